//! Proxies of the environment: ignored unless a key asks for them, and said to be.

use crate::{
    process::World,
    proxy::{Manner, Proxy},
};

const VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

fn set(world: &mut World, url: &str, except: &str) {
    let variables = VARIABLES.map(|name| (name.into(), url.into()));
    world.agent.environment = variables.into_iter().chain([("no_proxy".into(), except.into())]).collect();
}

#[tokio::test]
async fn variables_are_ignored_with_one_warning_until_a_key_asks_for_them() {
    let proxy = Proxy::start(Manner::Carries).await;
    let mut world = World::enrolled().await;
    set(&mut world, &proxy.url().replace("://", "://u:hunter2@"), "");
    let mut world = world.started().await;
    world.logs("variables of the environment are ignored").await;
    let log = world.files.log_text();
    assert_eq!(log.matches("variables of the environment are ignored").count(), 1, "{log}");
    assert!(log.contains("https_proxy") && log.contains("control_plane.proxy"), "{log}");
    assert_eq!(proxy.told(), "", "nobody asked the proxy");
    world.agent.kill().await;

    world.rewrite_config(|text| {
        text.replace("[control_plane]\n", "[control_plane]\nproxy = \"environment\"\n")
    });
    let mut world = world.started().await;
    assert!(proxy.told().contains("CONNECT 127.0.0.1:"), "{}", proxy.told());
    world.agent.kill().await;

    let before = proxy.told();
    set(&mut world, &proxy.url(), "example.com, 127.0.0.0/8");
    let mut world = world.started().await;
    assert_eq!(proxy.told(), before, "no_proxy of the environment counts too");
    world.agent.kill().await;
    let log = world.files.log_text();
    assert_eq!(log.matches("variables of the environment are ignored").count(), 1, "a choice was made");
    assert!(!log.contains("hunter2") && !before.contains(&world.api_key), "{log}");
}

#[tokio::test]
async fn where_the_environment_is_asked_and_says_nothing_no_channel_goes_direct() {
    let mut world = World::enrolled().await;
    world.rewrite_config(|text| {
        text.replace("[control_plane]\n", "[control_plane]\nproxy = \"environment\"\n")
    });
    world.agent.environment.clear();
    let said = world.agent.command(&["check"]).await;
    assert_eq!(
        said.prose().matches("neither https_proxy nor HTTPS_PROXY is set").count(),
        2,
        "{}",
        said.text
    );
    assert_eq!(said.code, Some(3), "{}", said.text);
}
