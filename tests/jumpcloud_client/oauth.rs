//! Service accounts: tokens, their end, and what is not sent without one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ephemerald::engine::{action::RoleField, observed::FaultClass, time::Millis};
use tokio::sync::Notify;

use super::{
    account, id, new_account, ok, role,
    server::{Given, Heard, JumpCloud, moved, pass},
};

pub(super) const SERVICE: &str = r#", "client_id": "client-1", "client_secret": "canary-secret""#;

/// No token of these tests is the beginning of another one: the door would take the longer for the shorter, which belongs to
/// another test's server.
pub(super) fn token(lives: u64) -> String {
    format!(r#"{{"access_token": "canary-only-token", "token_type": "bearer", "expires_in": {lives}}}"#)
}

/// A token endpoint that numbers its tokens, in front of an API that answers as told.
async fn service(lives: u64, api: impl Fn(&Heard) -> Given + Send + Sync + 'static) -> JumpCloud {
    let made = AtomicUsize::new(0);
    JumpCloud::answering(move |heard| {
        if heard.line == "POST /oauth2/token" {
            let n = made.fetch_add(1, Ordering::Relaxed) + 1;
            return (200, token(lives).replace("canary-only-token", &format!("canary-token-{n}"))).into();
        }
        api(heard)
    })
    .await
}

fn asked(jc: &JumpCloud) -> (usize, Vec<String>) {
    let heard = jc.heard();
    let tokens = heard.iter().filter(|h| h.line.contains("/oauth2/")).count();
    let api = heard.iter().filter(|h| !h.line.contains("/oauth2/"));
    (tokens, api.map(|h| h.header("authorization").unwrap_or("none").to_owned()).collect())
}

#[tokio::test]
async fn a_service_account_asks_for_a_token_and_sends_it_and_no_key() {
    let jc = service(3600, |_| ok(&account("a1", "Read Only")).into()).await;
    let client = jc.client_with(SERVICE);
    for _ in 0..3 {
        client.get(&id("a1")).await.unwrap();
    }
    let heard = jc.heard();
    assert_eq!((heard[0].line.as_str(), heard.len()), ("POST /oauth2/token", 4), "one token serves all");
    assert_eq!(heard[0].header("authorization"), Some("Basic Y2xpZW50LTE6Y2FuYXJ5LXNlY3JldA=="));
    assert_eq!(heard[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(heard[0].body, "grant_type=client_credentials&scope=api");
    assert_eq!(heard[3].header("authorization"), Some("Bearer canary-token-1"));
    assert!(heard.iter().all(|h| h.header("x-api-key").is_none()));
}

#[tokio::test]
async fn many_callers_wait_for_one_token() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let jc = JumpCloud::answering(move |heard| {
        if heard.line == "POST /oauth2/token" {
            return Given::from((200, token(3600))).held(&held);
        }
        ok(&account("a1", "Read Only")).into()
    })
    .await;
    let client = Arc::new(jc.client_with(SERVICE));
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.get(&id("a1")).await })
        })
        .collect();
    until(|| jc.heard().len() == 1).await;
    gate.notify_one();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(asked(&jc).0, 1);
}

#[tokio::test]
async fn a_token_is_made_anew_before_its_end_while_the_old_one_serves() {
    let jc = service(3600, |_| ok(&account("a1", "Read Only")).into()).await;
    let client = jc.client_with(SERVICE);
    client.get(&id("a1")).await.unwrap();
    pass(54 * 60_000);
    client.get(&id("a1")).await.unwrap();
    assert_eq!(asked(&jc).0, 1, "not yet");
    pass(2 * 60_000);
    client.get(&id("a1")).await.unwrap();
    until(|| asked(&jc).0 == 2).await;
    assert_eq!(asked(&jc).1.last().unwrap(), "Bearer canary-token-1", "nobody waited for the new one");
    until_token(&client, 50).await;
    client.get(&id("a1")).await.unwrap();
    assert_eq!(asked(&jc).1.last().unwrap(), "Bearer canary-token-2");
}

#[tokio::test]
async fn a_working_token_outlives_a_token_endpoint_that_is_down_and_an_ended_one_is_not_used() {
    let tokens = AtomicUsize::new(0);
    let jc = JumpCloud::answering(move |heard| {
        if heard.line == "POST /oauth2/token" {
            let first = tokens.fetch_add(1, Ordering::Relaxed) == 0;
            return if first { (200, token(3600)).into() } else { (503, "down").into() };
        }
        ok(&account("a1", "Read Only")).into()
    })
    .await;
    let client = jc.client_with(SERVICE);
    client.get(&id("a1")).await.unwrap();
    pass(58 * 60_000);
    for _ in 0..3 {
        client.get(&id("a1")).await.unwrap();
    }
    until(|| asked(&jc).0 == 2).await;
    pass(3 * 60_000);
    let fault = client.get(&id("a1")).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::NotSent, None));
    assert_eq!(asked(&jc).1.len(), 4, "the ended token was not sent");
}

#[tokio::test]
async fn a_401_is_answered_with_one_new_token_and_one_repeat_of_writes_too() {
    let jc = service(3600, |heard| {
        if heard.header("authorization") == Some("Bearer canary-token-1") {
            (401, "").into()
        } else {
            ok("{}").into()
        }
    })
    .await;
    let client = jc.client_with(SERVICE);
    client.set_roles(&id("a1"), &[role("Manager")], RoleField::One, None).await.unwrap();
    let writes: Vec<_> = jc.heard().into_iter().filter(|h| h.line == "PUT /api/users/a1").collect();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0].body, writes[1].body);
    assert_eq!(asked(&jc), (2, vec!["Bearer canary-token-1".to_owned(), "Bearer canary-token-2".to_owned()]));
    client.delete(&id("a1")).await.unwrap();
    assert_eq!(asked(&jc).0, 2, "the new one is kept");
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_a_fault_of_the_credential_and_no_third_try() {
    let jc = service(3600, |_| (401, "").into()).await;
    let fault = jc.client_with(SERVICE).delete(&id("a1")).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Credential, Some(401)));
    assert_eq!((asked(&jc).0, asked(&jc).1.len()), (2, 2));
}

#[tokio::test]
async fn only_a_refused_secret_is_a_fault_of_the_credential_and_nothing_is_sent_without_a_token() {
    for (status, body, class) in [
        (401, "", FaultClass::Credential),
        (400, r#"{"error": "invalid_client"}"#, FaultClass::Credential),
        (400, r#"{"error": "invalid_scope"}"#, FaultClass::Refused),
        (403, "", FaultClass::Forbidden),
        (404, "<html>", FaultClass::Refused),
        (429, "", FaultClass::Throttled),
        (302, "", FaultClass::NotSent),
        (500, "", FaultClass::NotSent),
        (503, "<html>", FaultClass::NotSent),
        (200, "<html>", FaultClass::NotSent),
        (200, r#"{"access_token": ""}"#, FaultClass::NotSent),
        (200, r#"{"access_token": "a\r\nx-evil: 1"}"#, FaultClass::NotSent),
    ] {
        let jc =
            JumpCloud::answering(move |_| Given::from((status, body)).with("location", "/elsewhere")).await;
        let client = jc.client_with(SERVICE);
        let fault = client.create(&new_account(), None).await.unwrap_err();
        assert_eq!(fault.class, class, "{status} {body}");
        assert!(!fault.may_have_happened());
        assert!(class != FaultClass::Throttled || fault.retry_after_ms == Some(7_000));
        let problem = client.token().await.unwrap().unwrap_err();
        assert!(problem.why.contains("/oauth2/token") && !problem.why.contains("canary"), "{}", problem.why);
        assert!(
            jc.heard().iter().all(|h| h.line == "POST /oauth2/token"),
            "{status}: only tokens were asked for"
        );
    }
}

#[tokio::test]
async fn a_lower_is_tried_again_and_succeeds_once_tokens_are_made_again() {
    let tokens = AtomicUsize::new(0);
    let jc = JumpCloud::answering(move |heard| {
        if heard.line == "POST /oauth2/token" {
            let n = tokens.fetch_add(1, Ordering::Relaxed);
            return if n < 2 { (500, "").into() } else { (200, token(3600)).into() };
        }
        ok("{}").into()
    })
    .await;
    let client = jc.client_with(SERVICE);
    for _ in 0..2 {
        assert_eq!(client.delete(&id("a1")).await.unwrap_err().class, FaultClass::NotSent);
    }
    client.delete(&id("a1")).await.unwrap();
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_holds_nobody_for_long_and_serves_the_next_call() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let jc = JumpCloud::answering(move |heard| {
        if heard.line == "POST /oauth2/token" {
            return Given::from((200, token(3600))).held(&held);
        }
        ok("{}").into()
    })
    .await;
    let client = jc.client_with(SERVICE);
    assert_eq!(client.delete(&id("a1")).await.unwrap_err().class, FaultClass::NotSent);
    gate.notify_one();
    client.delete(&id("a1")).await.unwrap();
    assert_eq!(asked(&jc).0, 1, "the slow answer was used");
}

#[tokio::test]
async fn a_raise_whose_instant_passed_while_a_token_was_made_is_not_sent() {
    let jc = JumpCloud::answering(|heard| {
        if heard.line == "POST /oauth2/token" {
            pass(6_000);
            return (200, token(3600)).into();
        }
        pass(6_000);
        (401, "").into()
    })
    .await;
    let client = jc.client_with(SERVICE);
    let send_by = Some(moved().boot + Millis(5_000));
    assert_eq!(client.create(&new_account(), send_by).await.unwrap_err().class, FaultClass::NotSent);
    assert_eq!(asked(&jc), (1, vec![]));
    // And the same where the first sending was in time, and its repeat would not be.
    let send_by = Some(moved().boot + Millis(5_000));
    let fault = client.set_roles(&id("a1"), &[role("Manager")], RoleField::One, send_by).await.unwrap_err();
    assert_eq!((fault.class, asked(&jc).1.len()), (FaultClass::NotSent, 1));
    // A lower has no such instant, but an end: the engine tries it again.
    let fault = client.delete(&id("a1")).await.unwrap_err();
    assert_eq!((fault.class, asked(&jc).1.len()), (FaultClass::NotSent, 2));
}

#[tokio::test]
async fn a_service_account_that_get_self_does_not_know_is_told_by_its_organization() {
    for status in [401, 403, 404] {
        let jc = service(3600, move |heard| match heard.line.as_str() {
            "GET /api/users/getSelf" => (status, "").into(),
            _ => ok(r#"{"totalCount": 1, "results": [{"id": "org1"}]}"#).into(),
        })
        .await;
        let who = jc.client_with(SERVICE).who_am_i().await.unwrap();
        assert_eq!((who.account, who.org.unwrap().as_str()), (None, "org1"), "{status}");
    }
    // It may not read its organizations either: the listing must name the organization.
    let jc = service(3600, |_| (403, "").into()).await;
    let who = jc.client_with(SERVICE).who_am_i().await.unwrap();
    assert_eq!((who.account, who.org), (None, None));
    // A key that tells nothing about itself has an account that must be protected, whose is not known.
    let jc = JumpCloud::answering(|_| (403, "").into()).await;
    assert_eq!(jc.client().who_am_i().await.unwrap_err().class, FaultClass::Forbidden);
    // Refused everywhere is refused.
    let jc = service(3600, |_| (401, "").into()).await;
    assert_eq!(jc.client_with(SERVICE).who_am_i().await.unwrap_err().class, FaultClass::Credential);
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the condition came true");
}

async fn until_token(client: &ephemerald::jumpcloud::Client, minutes: u64) {
    let wait = async {
        while client.token().await.unwrap().unwrap() < Millis(minutes * 60_000) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("a new token came");
}
