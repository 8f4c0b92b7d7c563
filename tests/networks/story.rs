//! The shipped program through two real proxies, one for each channel: each proxy's own log tells whom it
//! dialled. And with its proxy down: nobody is dialled, and nothing is lost.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    process::{World, asking::Ask},
    tiny::Tiny,
};

#[tokio::test]
async fn each_channel_takes_its_own_proxy_and_a_grant_comes_and_goes() {
    let (Some(plane), Some(cloud)) =
        (Tiny::start(Some(("agent", "canary-password"))).await, Tiny::start(None).await)
    else {
        return;
    };
    let world = World::enrolled().await;
    let auth = world.files.root.join("proxy.json");
    fs::write(&auth, r#"{"user": "agent", "password": "canary-password"}"#).unwrap();
    fs::set_permissions(&auth, fs::Permissions::from_mode(0o600)).unwrap();
    world.rewrite_config(|text| {
        let first = format!("[control_plane]\nproxy = {:?}\nproxy_auth_file = {auth:?}\n", plane.url());
        let second = format!("name = \"main\"\nproxy = {:?}\n", cloud.url());
        text.replace("[control_plane]\n", &first).replace("name = \"main\"\n", &second)
    });
    let world = world.started().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
    world.about(&request, "granted").await;
    world.about(&request, "grant_ended").await;

    let origin = |text: &str| text.split("://").nth(1).unwrap().trim_end_matches('/').to_owned();
    let connection: serde_json::Value =
        serde_json::from_slice(&fs::read(&world.files.connection).unwrap()).unwrap();
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(world.files.state.join("identity.json")).unwrap()).unwrap();
    assert_eq!(cloud.dialled(), [origin(connection["url"].as_str().unwrap())]);
    assert_eq!(plane.dialled(), [origin(identity["url"].as_str().unwrap())]);

    let said = world.agent.command(&["check"]).await;
    for words in [
        format!("{}, by control_plane: proxy", plane.url()),
        format!("{}, by integration main: proxy", cloud.url()),
        format!("the proxy {} makes a way to", plane.url()),
        "certificate trusted, issued by".to_owned(),
    ] {
        assert!(said.prose().contains(&words), "{words:?} is not in\n{}", said.text);
    }
    let everything = format!("{}{}{}", world.files.log_text(), plane.log(), cloud.log());
    for secret in [world.api_key.as_str(), "canary-password"] {
        assert!(!everything.contains(secret), "{secret} was logged");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_with_its_file_and_the_other_channel_goes_on() {
    let Some(plane) = Tiny::start(Some(("agent", "right"))).await else { return };
    let world = World::enrolled().await;
    let auth = world.files.root.join("proxy.json");
    fs::write(&auth, r#"{"user": "agent", "password": "wrong-canary"}"#).unwrap();
    fs::set_permissions(&auth, fs::Permissions::from_mode(0o600)).unwrap();
    world.rewrite_config(|text| {
        let first = format!("[control_plane]\nproxy = {:?}\nproxy_auth_file = {auth:?}\n", plane.url());
        text.replace("[control_plane]\n", &first)
            .replace("name = \"main\"\n", "name = \"main\"\nproxy = \"direct\"\n")
    });
    let said = world.agent.command(&["check"]).await;
    assert_eq!(said.code, Some(4), "{}", said.text);
    let sentence = format!("does not accept the user name and password of {} (401)", auth.display());
    assert!(said.prose().contains(&sentence), "{}", said.text);
    assert!(said.text.contains("API key") && said.text.contains("accepted"), "{}", said.text);
    assert!(!said.text.contains("wrong-canary"), "{}", said.text);
    assert_eq!(plane.dialled().len(), 1, "{}", plane.log());
}
