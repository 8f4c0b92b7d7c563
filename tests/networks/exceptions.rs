//! What goes without the proxy: exactly what is listed.

use ephemerald::http::{Door, DoorError};

use crate::{
    authority::Authority,
    bench::{Server, options, send, through},
    proxy::{Manner, Proxy},
};

#[tokio::test]
async fn what_is_listed_goes_direct_and_everything_else_through_the_proxy() {
    let authority = Authority::new("servers");
    let server = Server::start(authority.server(&["127.0.0.1", "localhost"])).await;
    let port = server.addr.port();
    for (host, except, direct) in [
        ("127.0.0.1", "127.0.0.0/8", true),
        ("127.0.0.1", "10.0.0.0/8", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.10", false),
        ("127.0.0.1", "localhost", false),
        ("localhost", "localhost", true),
        ("localhost", ".localhost", true),
        ("localhost", "127.0.0.0/8", false),
        ("localhost", "host", false),
    ] {
        let proxy = Proxy::start(Manner::Carries).await;
        let mut options = options(&format!("https://{host}:{port}"), &authority.pem);
        options.proxy = through(&proxy.url(), None);
        options.proxy.as_mut().unwrap().except = vec!["other.example".to_owned(), except.to_owned()];
        assert_eq!(send(options).await.unwrap(), 200);
        assert_eq!(proxy.told().is_empty(), direct, "{host} with no_proxy {except}");
    }
}

#[test]
fn names_match_with_all_names_below_them_and_addresses_by_their_network() {
    let pem = Authority::new("servers").pem;
    let proxied = |origin: &str, except: &str| {
        let mut options = options(origin, &pem);
        options.proxy = through("http://proxy.example:3128", None);
        options.proxy.as_mut().unwrap().except = vec![except.to_owned()];
        Door::new(options).unwrap().proxy().is_some()
    };
    for (origin, except, expected) in [
        ("https://console.jumpcloud.com", ".jumpcloud.com", false),
        ("https://console.jumpcloud.com", "jumpcloud.com", false),
        ("https://notjumpcloud.com", "jumpcloud.com", true),
        ("https://jumpcloud.com.evil.example", ".jumpcloud.com", true),
        ("https://CONSOLE.JumpCloud.com:8443", "console.jumpcloud.com", false),
        ("https://[fd00::5]:8443", "fd00::/8", false),
        ("https://[fd00::5]", "fd00::5", false),
        ("https://10.1.2.3", "10.0.0.0/8", false),
        ("https://11.1.2.3", "10.0.0.0/8", true),
    ] {
        assert_eq!(proxied(origin, except), expected, "{origin} with no_proxy {except}");
    }
}

#[test]
fn a_key_never_goes_to_a_proxy_in_plain_http() {
    let mut options = options("http://127.0.0.1:1", &Authority::new("servers").pem);
    options.proxy = through("http://proxy.example:3128", None);
    let error = Door::new(options).unwrap_err();
    assert!(matches!(error, DoorError::Proxy(_)), "{error}");
    assert!(error.to_string().contains("no_proxy"), "{error}");
}
