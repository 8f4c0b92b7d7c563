//! The one outbound door against real servers: what leaves, what never does, and what is said when
//! nothing comes back.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "http_door/leaks.rs"]
mod leaks;

use std::{
    future::pending,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use axum::{
    Router, body::Bytes, extract::Request as Incoming, http::header::LOCATION, response::IntoResponse,
};
use ephemerald::{
    http::{Door, DoorError, DoorOptions, ProxyOptions, Request, SendFault},
    sandbox::tls::{Identity, Transport, serve},
    secrets::Secret,
};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use tempfile::TempDir;

const KEY: &str = "jca_canary_key";
const BODY: &str = "canary body";

#[tokio::test]
async fn an_unknown_authority_is_explained_and_nothing_is_sent() {
    let (theirs, namesake, other) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    transport(&namesake, "https");
    authority_named("somebody else", &other);
    let server = Server::start(transport(&theirs, "https"), None).await;
    for (trusted, reason) in [(other, "UnknownIssuer"), (namesake, "BadSignature")] {
        let door = Door::new(options(&server.origin("https"), &trusted)).unwrap();
        let fault = door.send(post("/")).await.unwrap_err();
        let text = fault.to_string();
        assert!(matches!(fault, SendFault::NotSent { .. }), "{text}");
        assert!(text.contains(reason) && text.contains("not signed by a trusted authority"), "{text}");
        assert!(!text.contains(KEY) && server.heard().is_empty());
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_before_anything_is_sent() {
    let ca = tempfile::tempdir().unwrap();
    let server = Server::start(transport(&ca, "https"), None).await;
    let origin = format!("https://127.0.0.2:{}", server.addr.port());
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), server.addr.port())).unwrap();
    let forward = server.addr;
    thread::spawn(move || {
        let (mut from, _) = listener.accept().unwrap();
        let mut to = std::net::TcpStream::connect(forward).unwrap();
        let (mut back, mut answer) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut answer, &mut back));
        let _ = std::io::copy(&mut from, &mut to);
    });
    let fault = Door::new(options(&origin, &ca)).unwrap().send(post("/")).await.unwrap_err();
    assert!(matches!(fault, SendFault::NotSent { .. }), "{fault}");
    assert!(fault.to_string().contains("not valid for name"), "{fault}");
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_refused_connection_is_certainly_not_sent() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let fault = plain_door(free).send(post("/")).await.unwrap_err();
    assert!(matches!(fault, SendFault::NotSent { .. }), "{fault}");
    assert!(fault.to_string().contains("refused"), "{fault}");
}

#[tokio::test]
async fn whatever_breaks_after_the_request_left_may_have_been_carried_out() {
    for (answer, why) in [
        ("", "closed without an answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "cut off"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "cut off in chunks"),
        ("not http at all\r\n\r\n", "another protocol"),
    ] {
        let addr = answers(answer, false);
        let fault = plain_door(addr).send(post("/")).await.unwrap_err();
        assert!(matches!(fault, SendFault::MaybeSent { .. }), "{why}: {fault}");
    }
}

#[tokio::test]
async fn a_body_that_stalls_meets_the_read_timeout_and_may_have_been_carried_out() {
    let addr = answers("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", true);
    let mut options = plain_options(addr);
    options.read_timeout = Duration::from_millis(100);
    let fault = Door::new(options).unwrap().send(post("/")).await.unwrap_err();
    assert!(matches!(fault, SendFault::MaybeSent { .. }), "{fault}");
    assert!(fault.to_string().contains("timed out"), "{fault}");
}

#[tokio::test]
async fn a_request_may_have_its_own_total_timeout() {
    let addr = answers("", true);
    let request = Request { total_timeout: Some(Duration::from_millis(100)), ..post("/") };
    let fault = plain_door(addr).send(request).await.unwrap_err();
    assert!(matches!(fault, SendFault::MaybeSent { .. }), "{fault}");
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused_and_one_at_the_limit_is_read() {
    for (size, fits) in [(1000, true), (1001, false)] {
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{}", "x".repeat(size));
        let mut options = plain_options(answers(&text, false));
        options.max_body = 1000;
        let answer = Door::new(options).unwrap().send(post("/")).await;
        match answer {
            Ok(answer) => assert!(fits && answer.body.len() == size),
            Err(fault) => assert!(!fits && matches!(fault, SendFault::TooLarge { limit: 1000 }), "{fault}"),
        }
    }
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_not_sent() {
    let ca = tempfile::tempdir().unwrap();
    let server = Server::start(transport(&ca, "https"), None).await;
    let door = Door::new(options(&server.origin("https"), &ca)).unwrap();
    for path in [
        "",
        "api",
        "@evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "https://evil.example/",
        "/a/../b",
        "/a/%2e%2E/b",
        "/a/./b",
        "/a\r\nx: y",
        "/a b",
        "/a#b",
        "/\tb",
        "/ä",
    ] {
        let fault = door.send(post(path)).await.unwrap_err();
        assert!(matches!(fault, SendFault::NotSent { .. }), "{path:?}: {fault}");
    }
    assert_eq!(server.heard(), "");
    door.send(post("/a%2Fb/me@x.example?q=%3A:$&s=_id")).await.unwrap();
    assert!(server.heard().contains("PUT /a%2Fb/me@x.example?q=%3A:$&s=_id"), "{}", server.heard());
}

#[test]
fn only_an_https_origin_or_loopback_gets_a_door() {
    let ca = tempfile::tempdir().unwrap();
    transport(&ca, "https");
    for good in [
        "https://console.jumpcloud.com",
        "https://console.jumpcloud.com:8443/",
        "http://127.0.0.1:1",
        "http://[::1]:1",
    ] {
        assert!(Door::new(options(good, &ca)).is_ok(), "{good}");
    }
    for bad in [
        "",
        "console.jumpcloud.com",
        "http://console.jumpcloud.com",
        "http://127.0.0.1.evil.example",
        "https://u:p@a.example",
        "https://a.example/api",
        "https://a.example/?q",
        "https://a.example/#f",
        "ftp://127.0.0.1",
        "file:///etc",
    ] {
        let error = Door::new(options(bad, &ca)).unwrap_err();
        assert!(matches!(error, DoorError::Origin { .. }), "{bad}: {error}");
    }
}

#[test]
fn certificate_authorities_that_are_none_are_refused() {
    for (pem, only) in [(Some("not PEM"), false), (Some(""), false), (None, true)] {
        let mut options = plain_options(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        options.extra_ca_pem = pem.map(|pem| pem.as_bytes().to_vec());
        options.only_extra_ca = only;
        assert!(matches!(Door::new(options).unwrap_err(), DoorError::Ca(_)), "{pem:?}");
    }
}

#[tokio::test]
async fn a_configured_proxy_is_used_and_its_refusal_means_not_sent() {
    let ca = tempfile::tempdir().unwrap();
    transport(&ca, "https");
    let (proxy, heard) = listens("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false);
    let mut options = options("https://localhost:1", &ca);
    let password = Some(Secret::new("canary password".to_owned()));
    options.proxy = Some(ProxyOptions {
        url: format!("http://{proxy}"),
        user: Some("me".to_owned()),
        password,
        except: Vec::new(),
        said_by: "control_plane: proxy".to_owned(),
        auth_by: "proxy.json".to_owned(),
    });
    let shown = format!("{options:?}");
    let door = Door::new(options).unwrap();
    let fault = door.send(post("/")).await.unwrap_err();
    assert!(matches!(fault, SendFault::NotSent { .. }), "{fault}");
    let heard = heard.lock().unwrap().clone();
    assert!(heard.starts_with("CONNECT localhost:1") && !heard.contains(KEY), "{heard}");
    for text in [shown, format!("{door:?}"), fault.to_string(), format!("{fault:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
}

/// The environment can only be set for a child; it runs the next test.
#[test]
fn proxies_of_the_environment_are_ignored() {
    let (proxy, heard) = listens("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false);
    let (target, direct) = listens("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false);
    let mut child = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, format!("http://{proxy}"));
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy").env("DOOR_TEST_TARGET", target.to_string());
    let output =
        child.args(["--exact", "as_a_child_with_proxies_in_the_environment", "--ignored"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(direct.lock().unwrap().contains(KEY), "the target was asked directly");
    assert_eq!(*heard.lock().unwrap(), "", "the proxy was not");
}

#[tokio::test]
#[ignore = "run by proxies_of_the_environment_are_ignored"]
async fn as_a_child_with_proxies_in_the_environment() {
    let target: SocketAddr = std::env::var("DOOR_TEST_TARGET").unwrap().parse().unwrap();
    assert_eq!(plain_door(target).send(post("/")).await.unwrap().body, b"ok");
}

fn options(origin: &str, ca: &TempDir) -> DoorOptions {
    DoorOptions {
        origin: origin.to_owned(),
        extra_ca_pem: Some(std::fs::read(ca.path().join("ca.pem")).unwrap()),
        only_extra_ca: true,
        proxy: None,
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(20),
        max_body: 1 << 20,
        user_agent: "ephemerald/test".to_owned(),
    }
}

fn plain_options(addr: SocketAddr) -> DoorOptions {
    let ca = tempfile::tempdir().unwrap();
    transport(&ca, "https");
    options(&format!("http://{addr}"), &ca)
}

fn plain_door(addr: SocketAddr) -> Door {
    Door::new(plain_options(addr)).unwrap()
}

fn post(path: &str) -> Request {
    let mut key = HeaderValue::from_static(KEY);
    key.set_sensitive(true);
    Request {
        method: Method::PUT,
        path: path.to_owned(),
        headers: vec![(HeaderName::from_static("x-api-key"), key)],
        body: Some(BODY.as_bytes().to_vec()),
        total_timeout: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "shows what the ban is for")]
fn plain_library(ca: &TempDir) -> reqwest::Client {
    // Other tests may run first: any of them may have installed the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = std::fs::read(ca.path().join("ca.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap()
}

fn authority_named(name: &str, ca: &TempDir) {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    std::fs::write(ca.path().join("ca.pem"), certificate.pem()).unwrap();
}

fn transport(ca: &TempDir, scheme: &str) -> Transport {
    let identity = Identity::in_dir(ca.path()).unwrap();
    if scheme == "https" { Transport::Tls(identity) } else { Transport::PlainHttpLoopbackOnly }
}

/// A server that writes down all that it hears, and may answer with a redirect.
struct Server {
    addr: SocketAddr,
    heard: Arc<Mutex<String>>,
}

impl Server {
    async fn start(transport: Transport, redirect: Option<String>) -> Self {
        let heard = Arc::new(Mutex::new(String::new()));
        let notes = Arc::clone(&heard);
        let router = Router::new().fallback(move |request: Incoming| {
            let (notes, redirect) = (Arc::clone(&notes), redirect.clone());
            async move {
                let (head, body) = request.into_parts();
                let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let text = format!("{} {} {:?} {:?}\n", head.method, head.uri, head.headers, body);
                notes.lock().unwrap().push_str(&text);
                match redirect {
                    Some(to) => {
                        (axum::http::StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response()
                    }
                    None => "ok".into_response(),
                }
            }
        });
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let serving = serve(listen, transport, router, pending()).await.unwrap();
        Self { addr: serving.addr, heard }
    }

    fn origin(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.addr)
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

/// A server that says `answer` to one request, byte for byte, and then closes or stays silent.
fn answers(answer: &str, stays: bool) -> SocketAddr {
    listens(answer, stays).0
}

fn listens(answer: &str, stays: bool) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let (notes, answer) = (Arc::clone(&heard), answer.to_owned());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        let mut text = String::new();
        while !text.contains(BODY) && !text.starts_with("CONNECT") {
            match stream.read(&mut bytes) {
                Ok(n) if n > 0 => text.push_str(&String::from_utf8_lossy(&bytes[..n])),
                _ => break,
            }
        }
        notes.lock().unwrap().push_str(&text);
        let _ = stream.write_all(answer.as_bytes());
        if stays {
            let _ = stream.read(&mut bytes); // until the client gives up
        }
    });
    (addr, heard)
}
