//! Authorities of a company's own: which one vouched for the server is told, and they are trusted beside the
//! platform's or instead of them.

use std::sync::Arc;

use ephemerald::http::Door;

use crate::{
    authority::Authority,
    bench::{KEY, Server, not_sent, options, plain_http, says, send, through},
    proxy::{Manner, Proxy},
};

#[tokio::test]
async fn a_proxy_that_looks_inside_is_named_by_its_authority_and_works_once_that_is_trusted() {
    let servers = Arc::new(Authority::new("servers"));
    let corp = Arc::new(Authority::new("Corp TLS Inspection"));
    let server = Server::start(servers.server(&["127.0.0.1"])).await;
    let proxy = Proxy::start(Manner::Inspects(Arc::clone(&corp), Arc::clone(&servers))).await;
    let trusting = |pem: &str| {
        let mut options = options(&server.origin(), pem);
        options.proxy = through(&proxy.url(), None);
        options
    };
    let text = not_sent(send(trusting(&servers.pem)).await);
    says(&text, &["127.0.0.1 showed CN=leaf of 127.0.0.1, issued by CN=Corp TLS Inspection"]);
    says(&text, &["not signed by a trusted authority", "through the proxy"]);
    assert_eq!((proxy.read(), server.heard()), (String::new(), String::new()), "and nothing was said to it");

    // Replacing: the company's authority alone. Adding: both, and the way without the proxy works too.
    assert_eq!(send(trusting(&corp.pem)).await.unwrap(), 200);
    let both = format!("{}{}", corp.pem, servers.pem);
    assert_eq!(send(trusting(&both)).await.unwrap(), 200);
    assert_eq!(send(options(&server.origin(), &both)).await.unwrap(), 200);
    let text = not_sent(send(options(&server.origin(), &corp.pem)).await);
    says(&text, &["issued by CN=servers"]);
    // As docs/networks.md says: whoever is trusted to look inside sees the key there, and nowhere else.
    assert!(proxy.read().contains(KEY) && !proxy.told().contains(KEY));
}

#[tokio::test]
async fn what_vouches_for_itself_and_what_speaks_no_tls_are_told_apart() {
    let authority = Authority::new("servers");
    let plain = plain_http().await;
    let text = not_sent(send(options(&format!("https://{plain}"), &authority.pem)).await);
    says(&text, &["speaks no TLS", "captive portal"]);
    assert!(!text.contains("issued by"), "{text}");
    let server = Server::start(Authority::new("Router Login").server(&["127.0.0.1"])).await;
    says(&not_sent(send(options(&server.origin(), &authority.pem)).await), &["issued by CN=Router Login"]);
}

#[tokio::test]
async fn a_literal_ipv6_origin_is_reached_and_refused_behind_a_proxy_before_anything_is_dialled() {
    let authority = Authority::new("servers");
    let server = Server::at("[::1]:0".parse().unwrap(), authority.server(&["::1"]), crate::bench::FINE).await;
    assert!(server.origin().starts_with("https://[::1]:"), "{}", server.origin());
    assert_eq!(send(options(&server.origin(), &authority.pem)).await.unwrap(), 200);
    let proxy = Proxy::start(Manner::Carries).await;
    let mut proxied = options(&server.origin(), &authority.pem);
    proxied.proxy = through(&proxy.url(), None);
    let error = Door::new(proxied).unwrap_err().to_string();
    says(
        &error,
        &["a literal IPv6 address cannot be reached through a proxy", "control_plane: proxy", "no_proxy"],
    );
    let mut listed = options(&server.origin(), &authority.pem);
    listed.proxy = through(&proxy.url(), None);
    listed.proxy.as_mut().unwrap().except = vec!["::1".to_owned()];
    assert_eq!(send(listed).await.unwrap(), 200);
    assert_eq!((server.connections(), proxy.told()), (2, String::new()));
    says(
        &not_sent(send(options(&server.origin(), &Authority::new("other").pem)).await),
        &["::1 showed CN=leaf of ::1, issued by CN=servers"],
    );
}
