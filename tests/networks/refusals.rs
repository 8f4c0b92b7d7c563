//! Proxies that do not make the way: each is told by its name, with what to do, and nothing goes past it.

use std::{net::TcpListener, time::Duration};

use crate::{
    authority::Authority,
    bench::{KEY, PASSWORD, Server, not_sent, options, plain_http, says, send, through},
    proxy::{Manner, Proxy},
};

#[tokio::test]
async fn each_refusal_names_the_proxy_and_what_to_do_and_nothing_is_sent_past_it() {
    let authority = Authority::new("servers");
    let server = Server::start(authority.server(&["127.0.0.1"])).await;
    let target = server.addr.to_string();
    let cases: [(&str, &[&str]); 11] = [
        (
            "HTTP/1.1 407 Who?\r\n\r\n",
            &["wants a user name and password (407)", "control_plane: proxy_auth_file"],
        ),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", &["does not allow", "(403)", &target]),
        ("HTTP/1.0 502 Bad Gateway\r\n\r\n", &["does not reach", "(502)", &target]),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", &["does not reach", "(503)"]),
        ("HTTP/1.1 504 Gateway Timeout\r\n\r\n", &["does not reach", "(504)"]),
        ("HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\n\r\n<html>", &["answers 405 to CONNECT"]),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/?to=x\r\n\r\n",
            &["an answer that is not from", "302, a redirect to login.hotel.example", "captive portal"],
        ),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", &["is not an HTTP proxy"]),
        ("\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{50}", &["is not an HTTP proxy"]),
        ("HTTP/2 200\r\n\r\n", &["is not an HTTP proxy"]),
        ("", &["closed the connection without an answer"]),
    ];
    for (answer, words) in cases {
        let proxy = Proxy::start(Manner::Says(answer)).await;
        let mut options = options(&server.origin(), &authority.pem);
        options.proxy = through(&proxy.url(), None);
        let text = not_sent(send(options).await);
        says(&text, words);
        says(&text, &[&format!("the proxy {}", proxy.url())]);
        says(&proxy.told(), &[&format!("CONNECT {target} HTTP/1.1")]);
        assert!(!proxy.told().contains(KEY), "{}", proxy.told());
    }
    assert_eq!(server.connections(), 0, "nothing went past a proxy");
}

#[tokio::test]
async fn a_password_reaches_the_proxy_as_it_is_and_is_in_no_error() {
    let authority = Authority::new("servers");
    let server = Server::start(authority.server(&["127.0.0.1"])).await;
    let proxy = Proxy::start(Manner::Wants(format!("agent:{PASSWORD}"))).await;
    let with = |user| {
        let mut options = options(&server.origin(), &authority.pem);
        options.proxy = through(&proxy.url(), user);
        options
    };
    assert_eq!(send(with(Some("agent"))).await.unwrap(), 200);
    assert_eq!(server.connections(), 1);
    let text = not_sent(send(with(Some("somebody"))).await);
    says(&text, &["does not accept the user name and password of proxy.json (407)", &proxy.url()]);
    says(&not_sent(send(with(None)).await), &["wants a user name and password (407)"]);
    assert!(!proxy.told().contains(KEY) && server.heard().contains(KEY), "the key is for the server alone");
    assert!(!server.heard().to_lowercase().contains("proxy-"), "the password is for the proxy alone");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_proxy_that_is_down_or_has_no_address_is_named_and_nothing_goes_past_it() {
    let authority = Authority::new("servers");
    let server = Server::start(authority.server(&["127.0.0.1"])).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = format!("http://{free}");
    for (url, words) in [
        (down.as_str(), ["cannot be reached", "refused"]),
        ("http://proxy.invalid:3128", ["cannot be reached", "of proxy.invalid"]),
        ("https://proxy.invalid:3128", ["cannot be reached", "of proxy.invalid"]),
    ] {
        let mut options = options(&server.origin(), &authority.pem);
        options.proxy = through(url, Some("agent"));
        let text = not_sent(send(options).await);
        says(&text, &words);
        says(&text, &[&format!("the proxy {url}")]);
    }
    assert_eq!(server.connections(), 0, "nothing went past a proxy");
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_waited_for_as_long_as_a_connection_and_named() {
    let authority = Authority::new("servers");
    let proxy = Proxy::start(Manner::Silent).await;
    let mut options = options("https://127.0.0.1:1", &authority.pem);
    options.connect_timeout = Duration::from_millis(200);
    options.proxy = through(&proxy.url(), None);
    let text = not_sent(send(options).await);
    says(&text, &["no connection within 200ms", "the proxy http://", "does not answer"]);
}

#[tokio::test]
async fn a_proxy_is_spoken_to_over_tls_and_must_prove_itself() {
    let (authority, stranger) = (Authority::new("servers"), Authority::new("Somebody Else"));
    let server = Server::start(authority.server(&["127.0.0.1"])).await;
    let wants = || Manner::Wants(format!("agent:{PASSWORD}"));
    let with = |url: &str| {
        let mut options = options(&server.origin(), &authority.pem);
        options.proxy = through(url, Some("agent"));
        options
    };
    let good = Proxy::over_tls(wants(), authority.server(&["127.0.0.1"])).await;
    assert_eq!(send(with(&good.url())).await.unwrap(), 200);
    assert!(!good.told().contains(KEY));
    let refuses =
        Proxy::over_tls(Manner::Says("HTTP/1.1 403 No\r\n\r\n"), authority.server(&["127.0.0.1"])).await;
    says(&not_sent(send(with(&refuses.url())).await), &["does not allow", "(403)", &refuses.url()]);

    let impostor = Proxy::over_tls(wants(), stranger.server(&["127.0.0.1"])).await;
    let text = not_sent(send(with(&impostor.url())).await);
    says(&text, &["the proxy https://", "cannot be reached", "issued by CN=Somebody Else"]);
    assert_eq!(impostor.told(), "", "the password went to nobody");

    let plain = plain_http().await;
    let text = not_sent(send(with(&format!("https://{plain}"))).await);
    says(&text, &["the proxy https://", "cannot be reached", "speaks no TLS"]);
    let text = not_sent(send(with(&good.url().replace("https:", "http:"))).await);
    says(&text, &["the proxy http://", "http:// or https://"]);
    assert_eq!(server.connections(), 1);
}
