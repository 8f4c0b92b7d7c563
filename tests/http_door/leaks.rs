//! What would take a key to somebody else: a redirect, a request that holds it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ephemerald::{
    http::{Door, Request, SendFault},
    secrets::Secret,
};
use reqwest::header::{HeaderName, HeaderValue};

use super::{BODY, KEY, Server, options, plain_library, post, transport};

#[tokio::test]
async fn a_redirect_to_another_host_receives_nothing() {
    let ca = tempfile::tempdir().unwrap();
    for scheme in ["https", "http"] {
        let thief = Server::start(transport(&ca, scheme), None).await;
        // Another host name, another port.
        let elsewhere = format!("{scheme}://localhost:{}/stolen", thief.addr.port());
        let api = Server::start(transport(&ca, "https"), Some(elsewhere)).await;
        let door = Door::new(options(&api.origin("https"), &ca)).unwrap();

        let answer = door.send(post("/api/users/1?a=b%20c")).await.unwrap();

        assert_eq!(answer.status, 307);
        assert_eq!(thief.heard(), "", "over {scheme}");
        assert!(api.heard().contains("PUT /api/users/1?a=b%20c") && api.heard().contains(KEY));

        // Why the door exists: the library as it comes hands both over.
        plain_library(&ca)
            .put(format!("{}/x", api.origin("https")))
            .header("x-api-key", KEY)
            .body(BODY)
            .send()
            .await
            .unwrap();
        assert!(
            thief.heard().contains(KEY) && thief.heard().contains(BODY),
            "over {scheme}: {}",
            thief.heard()
        );
    }
}

/// The library as it comes, and the door, with the requests of each of our clients: the token endpoint's, which has its
/// secret in the Basic header; an agent's, which has its proof there; JumpCloud's, above, has a header of its own.
#[tokio::test]
async fn what_a_redirect_takes_along_of_each_clients_requests_and_that_the_door_takes_nothing() {
    let ca = tempfile::tempdir().unwrap();
    let basic = format!("Basic {}", STANDARD.encode("client-1:jca_canary_secret"));
    for (path, authorization, body) in [
        ("/oauth2/token", basic.as_str(), "grant_type=client_credentials&scope=api&canary=form"),
        ("/v1/agent/reports", "Proof jca_canary_proof", "[70017001]"),
    ] {
        let thief = Server::start(transport(&ca, "https"), None).await;
        let elsewhere = format!("https://localhost:{}/stolen", thief.addr.port());
        let api = Server::start(transport(&ca, "https"), Some(elsewhere)).await;
        let header = (reqwest::header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        let request = Request {
            method: reqwest::Method::POST,
            headers: vec![header.clone()],
            body: Some(body.as_bytes().to_vec()),
            ..post(path)
        };
        let door = Door::new(options(&api.origin("https"), &ca)).unwrap();
        assert_eq!(door.send(request).await.unwrap().status, 307);
        assert_eq!(thief.heard(), "", "{path}");
        assert!(api.heard().contains(authorization) && api.heard().contains(body), "{path}");

        let origin = api.origin("https");
        let asked = plain_library(&ca).post(format!("{origin}{path}")).header(header.0, header.1).body(body);
        asked.send().await.unwrap();
        let taken = thief.heard();
        assert!(taken.contains(body), "the library hands the body over: {taken}");
        assert!(!taken.contains(authorization), "and keeps this one header back: {taken}");
    }
}

#[tokio::test]
async fn a_request_that_holds_another_origins_key_is_not_sent_in_whatever_form() {
    let ca = tempfile::tempdir().unwrap();
    let (home, elsewhere) = (
        Server::start(transport(&ca, "https"), None).await,
        Server::start(transport(&ca, "https"), None).await,
    );
    let text = "jca_door-canary/91c4";
    let secret = Secret::new(text.to_owned());
    let at_home = Door::new(options(&home.origin("https"), &ca)).unwrap().carrying(&secret);
    let away = Door::new(options(&elsewhere.origin("https"), &ca)).unwrap();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let plain = || Request { headers: Vec::new(), body: None, ..post("/x") };
    let header = |value: &str| vec![(HeaderName::from_static("x-a"), HeaderValue::from_str(value).unwrap())];
    let requests = || {
        [
            Request { headers: header(text), ..plain() },
            Request {
                headers: header(&format!("Basic {}", STANDARD.encode(format!("me:{text}")))),
                ..plain()
            },
            Request { path: "/x?key=jca_door-canary%2F91c4".to_owned(), ..plain() },
            Request { body: Some(format!("{{\"note\": \"{hex}\"}}").into_bytes()), ..plain() },
            Request { body: Some(serde_json::to_vec(&format!("it is {text}")).unwrap()), ..plain() },
        ]
    };
    for request in requests() {
        let fault = away.send(request).await.unwrap_err();
        let said = fault.to_string();
        assert!(
            matches!(fault, SendFault::NotSent { .. }) && said.contains("does not belong there"),
            "{said}"
        );
        assert!(!said.contains(text), "{said}");
    }
    assert_eq!(elsewhere.heard(), "");
    for request in requests() {
        assert_eq!(at_home.send(request).await.unwrap().status, 200, "where it belongs");
    }
}
