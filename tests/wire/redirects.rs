//! Redirects, and every other way in which an answer can point elsewhere: none is taken.

use std::sync::atomic::{AtomicUsize, Ordering};

use ephemerald::{control::client::ControlError, engine::observed::FaultClass};
use reqwest::Method;

use crate::{
    agent_side::{
        BEARER, KEY, assert_clean, assert_log_is_clean, control, door, jumpcloud, put, report, request,
        service_account,
    },
    certs::Authority,
    pipe::End,
    wild::{Reply, When, Wild},
};

const STATUSES: [u16; 7] = [300, 301, 302, 303, 305, 307, 308];

/// Others that would like to be told something: with TLS that the client trusts, and without.
struct Thieves {
    tls: Wild,
    plain: Wild,
}

impl Thieves {
    fn start(authority: &Authority) -> Self {
        let ok = |_| Reply::of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", End::Kept);
        let tls = Wild::start(Some(authority.server(&["http/1.1"])), When::Asked, ok);
        Self { tls, plain: Wild::start(None, When::Asked, ok) }
    }

    /// Targets, each with what it is.
    fn targets(&self, own: &str) -> Vec<(&'static str, String)> {
        let (tls, plain) = (self.tls.addr.port(), self.plain.addr.port());
        vec![
            ("another path", "/api/elsewhere".to_owned()),
            ("the same host in full", format!("{own}/api/elsewhere")),
            ("another port", format!("https://127.0.0.1:{tls}/")),
            ("another name", format!("https://localhost:{tls}/api/users/a1")),
            ("no scheme", format!("//localhost:{tls}/")),
            ("plain http", format!("http://127.0.0.1:{plain}/")),
            ("plain http at another name", format!("http://localhost:{plain}/api")),
            ("with user name", format!("http://127.0.0.1@localhost:{plain}/")),
            ("the cloud's metadata", "http://169.254.169.254/latest/meta-data/".to_owned()),
            ("another scheme", "ftp://localhost/".to_owned()),
            ("a file", "file:///etc/passwd".to_owned()),
            ("a script", "javascript:alert(1)".to_owned()),
            ("nothing", String::new()),
        ]
    }

    #[track_caller]
    fn assert_heard_nothing(&self, what: &str) {
        for thief in [&self.tls, &self.plain] {
            assert_eq!(thief.connections(), 0, "{what}: somebody came");
            assert_clean("what somebody else received", &thief.raw());
            assert_clean("what somebody else deciphered", thief.heard().as_bytes());
        }
    }
}

/// A server that answers so to everything; it also asks for cookies and other services.
fn pointing(authority: &Authority, status: u16, to: &str, thieves: &Thieves) -> Wild {
    let other = thieves.tls.addr.port();
    let said = format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Location: {to}\r\nRefresh: 0; url={to}\r\n\
         Alt-Svc: http/1.1=\"localhost:{other}\"; ma=86400, h2=\"localhost:{other}\"\r\n\
         Set-Cookie: session=wire_cookie\r\nLink: <{to}>; rel=\"next\"\r\nContent-Length: 0\r\n\r\n"
    );
    let tls = authority.server(&["http/1.1"]);
    Wild::start(Some(tls), When::Asked, move |_| Reply::of(said.clone(), End::Kept))
}

#[tokio::test]
async fn no_redirect_of_any_kind_is_followed_by_the_door() {
    let authority = Authority::new("wire");
    let thieves = Thieves::start(&authority);
    let mut tried = 0;
    for (what, to) in thieves.targets("https://127.0.0.1") {
        for status in STATUSES {
            let server = pointing(&authority, status, &to, &thieves);
            let door = door(&server.origin("https"), &authority);
            for (number, method) in
                [Method::GET, Method::POST, Method::PUT, Method::DELETE].into_iter().enumerate()
            {
                let answer = door.send(request(method, "/api/users/a1")).await.unwrap();
                assert_eq!((answer.status, server.requests()), (status, number + 1), "{what}, {status}");
                tried += 1;
            }
            // Vacuity: the right server did get the credentials, and got back nothing that it planted.
            let heard = server.heard();
            assert!(heard.contains(KEY) && heard.contains(BEARER));
            assert!(
                !heard.contains("wire_cookie") && !heard.to_ascii_lowercase().contains("referer"),
                "{heard}"
            );
            thieves.assert_heard_nothing(what);
        }
    }
    println!("{tried} redirects, none followed");
    assert_log_is_clean();
}

#[tokio::test]
async fn jumpclouds_redirects_are_faults_of_their_own_and_the_key_stays() {
    let authority = Authority::new("wire");
    let thieves = Thieves::start(&authority);
    for (what, to) in thieves.targets("https://127.0.0.1") {
        for status in STATUSES {
            let server = pointing(&authority, status, &to, &thieves);
            let client = jumpcloud(&server.origin("https"), &authority);
            let read = client.list().await.unwrap_err();
            let write = put(&client).await.unwrap_err();
            for fault in [&read, &write] {
                assert_eq!((fault.class, fault.status), (FaultClass::Redirected, Some(status)), "{what}");
                assert_clean("a fault", format!("{fault:?}").as_bytes());
            }
            assert!(write.may_have_happened(), "whoever redirects may have acted first");
            assert_eq!(server.requests(), 2, "{what}, {status}");
            thieves.assert_heard_nothing(what);
        }
    }
    assert_log_is_clean();
}

#[tokio::test]
async fn no_redirect_takes_a_service_accounts_secret_or_token_along() {
    const MADE: &str = r#"{"access_token": "wire_canary_token", "token_type": "bearer", "expires_in": 3600}"#;
    let authority = Authority::new("wire");
    let thieves = Thieves::start(&authority);
    for (what, to) in thieves.targets("https://127.0.0.1") {
        for status in STATUSES {
            // Where tokens are made.
            let server = pointing(&authority, status, &to, &thieves);
            let fault = put(&service_account(&server.origin("https"), &authority)).await.unwrap_err();
            assert!(!fault.may_have_happened(), "{what}, {status}: {fault:?}");
            assert_eq!(server.requests(), 1, "{what}, {status}");
            // The API, for whoever has a token.
            let answers = [
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{MADE}", MADE.len()),
                format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
            ];
            let asked = AtomicUsize::new(0);
            let script = move |_| {
                let number = asked.fetch_add(1, Ordering::Relaxed).min(1);
                Reply::of(answers[number].clone(), End::Kept)
            };
            let api = Wild::start(Some(authority.server(&["http/1.1"])), When::Asked, script);
            let fault = put(&service_account(&api.origin("https"), &authority)).await.unwrap_err();
            assert_eq!((fault.class, fault.status), (FaultClass::Redirected, Some(status)), "{what}");
            assert!(api.heard().contains("Bearer wire_canary_token") && api.requests() == 2, "{what}");
            thieves.assert_heard_nothing(what);
        }
    }
    assert_log_is_clean();
}

#[tokio::test]
async fn a_next_page_at_another_host_is_not_fetched() {
    let authority = Authority::new("wire");
    let thieves = Thieves::start(&authority);
    let page = r#"{"totalCount":2,"results":[{"_id":"a1","email":"a1@example.com","roleName":"Manager"}]}"#;
    for (what, to) in thieves.targets("https://127.0.0.1").into_iter().skip(2) {
        let said = format!(
            "HTTP/1.1 200 OK\r\nLink: <{to}?skip=1>; rel=\"next\"\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        );
        let tls = authority.server(&["http/1.1"]);
        let server = Wild::start(Some(tls), When::Asked, move |_| Reply::of(said.clone(), End::Kept));
        let listing = jumpcloud(&server.origin("https"), &authority).list().await;
        assert!(listing.as_ref().is_ok_and(|listing| !listing.complete), "{what}: {listing:?}");
        thieves.assert_heard_nothing(what);
    }
}

#[tokio::test]
async fn the_control_planes_redirects_are_not_followed_and_nothing_is_acknowledged() {
    let authority = Authority::new("wire");
    let thieves = Thieves::start(&authority);
    for (what, to) in thieves.targets("https://127.0.0.1") {
        for status in STATUSES {
            let server = pointing(&authority, status, &to, &thieves);
            let error = control(&server.origin("https"), &authority).report(&[report()]).await.unwrap_err();
            assert!(!matches!(error, ControlError::Unreachable { .. }), "it did answer: {error}");
            assert!(error.to_string().contains(&status.to_string()), "{what}: {error}");
            assert_eq!(server.requests(), 1, "{what}, {status}");
            thieves.assert_heard_nothing(what);
        }
    }
}
