//! The client against a small hand-made JumpCloud over real TLS: exact requests, and what each answer
//! is taken for.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod insights;
#[path = "../contract/judge.rs"]
mod judge;
mod listing;
mod oauth;
mod organization;
mod server;

use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use ephemerald::{
    engine::{
        action::RoleField,
        ids::{AccountId, Email, RoleName},
        observed::{Fault, FaultClass},
        time::Timestamp,
    },
    jumpcloud::NewAccount,
};
use tracing_subscriber::fmt::MakeWriter;

use server::{JumpCloud, connection};

const TOKEN: &str = "jca_canary_token";
const BODY_CANARY: &str = "canary from a body";

#[tokio::test]
async fn a_read_sends_exactly_this() {
    let jc = JumpCloud::start([ok(&account("a1", "Read Only"))]).await;
    let seen = jc.client().get(&id("a1")).await.unwrap();
    assert_eq!((seen.id.as_str(), seen.email.as_str()), ("a1", "a1@example.com"));
    assert_eq!(seen.roles, [role("Read Only")]);
    let heard = jc.heard();
    assert_eq!(heard[0].line, "GET /api/users/a1");
    assert_eq!(heard[0].header("x-api-key"), Some(TOKEN));
    assert_eq!(heard[0].header("accept"), Some("application/json"));
    assert_eq!(heard[0].header("x-org-id"), None);
    assert_eq!(heard[0].body, "");
}

#[tokio::test]
async fn writes_carry_only_the_changed_keys() {
    let jc =
        JumpCloud::start([ok("{}"), ok("{}"), (201, r#"{"_id": "new1"}"#.to_owned()), (204, String::new())])
            .await;
    let client = jc.client();
    client.set_roles(&id("a1"), &[role("Help Desk")], RoleField::One, None).await.unwrap();
    client
        .set_roles(&id("a1"), &[role("Help Desk"), role("Manager")], RoleField::Several, None)
        .await
        .unwrap();
    let made = client.create(&new_account(), None).await.unwrap();
    client.delete(&id("a1")).await.unwrap();
    assert_eq!(made, Some(id("new1")));
    let heard: Vec<_> = jc.heard().iter().map(|h| (h.line.clone(), h.body.clone())).collect();
    assert_eq!(heard[0], ("PUT /api/users/a1".to_owned(), r#"{"roleName":"Help Desk"}"#.to_owned()));
    assert_eq!(heard[1].1, r#"{"roleNames":["Help Desk","Manager"]}"#);
    assert_eq!(heard[2].0, "POST /api/users");
    let sent: serde_json::Value = serde_json::from_str(&heard[2].1).unwrap();
    let expected = serde_json::json!({
        "email": "ann+tag@example.com", "roleName": "Administrator", "enableMultiFactor": true,
        "apiKeyAllowed": false, "firstname": "Ann",
    });
    assert_eq!(sent, expected);
    assert_eq!(heard[3], ("DELETE /api/users/a1".to_owned(), String::new()));
    assert_eq!(jc.heard()[0].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn an_empty_or_ambiguous_set_of_roles_is_never_sent() {
    let jc = JumpCloud::start::<(u16, String)>([]).await;
    let several = [role("Help Desk"), role("Manager")];
    for (roles, field) in [
        (&[][..], RoleField::One),
        (&[], RoleField::Several),
        (&several, RoleField::One),
        (&several, RoleField::Both),
    ] {
        let fault = jc.client().set_roles(&id("a1"), roles, field, None).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::NotSent);
    }
    assert!(jc.heard().is_empty());
}

#[tokio::test]
async fn several_roles_are_read_from_the_plural_field() {
    let both = r#"{"id": "a1", "email": "a1@example.com", "roleName": "Manager", "roleNames": ["Manager", "Help Desk"], "suspended": true}"#;
    let empty = r#"{"_id": "a1", "email": "a1@example.com", "roleName": "Manager", "roleNames": [], "new": {"deep": [1]}}"#;
    let jc = JumpCloud::start([ok(both), ok(empty)]).await;
    let seen = jc.client().get(&id("a1")).await.unwrap();
    assert_eq!(
        (seen.roles, seen.plural, seen.suspended),
        (vec![role("Help Desk"), role("Manager")], true, true)
    );
    let seen = jc.client().get(&id("a1")).await.unwrap();
    assert_eq!((seen.roles, seen.plural, seen.suspended), (vec![role("Manager")], false, false));
}

#[tokio::test]
async fn what_is_no_account_is_neither_an_account_nor_its_absence() {
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "<html>404 not found</html>",
        "not found",
        r#"{"_id": "a1""#,
        &deep,
        r#"{"_id": "a1"}"#,
        r#"{"email": "a1@example.com"}"#,
        r#"{"_id": "a/1", "email": "a1@example.com"}"#,
        r#"{"_id": "other", "email": "a1@example.com"}"#,
        r#"{"_id": "a1", "email": "a1@example.com", "roleNames": "x"}"#,
        r#"{"_id": "a1", "email": "a1@example.com", "suspended": "yes"}"#,
    ] {
        let jc = JumpCloud::start([ok(body)]).await;
        let fault = jc.client().get(&id("a1")).await.unwrap_err();
        assert_eq!((fault.class, fault.status), (FaultClass::Ambiguous, Some(200)), "{:.60}", body);
        let broken = JumpCloud::start([ok(&format!(r#"{{"totalCount": 1, "results": [{body}]}}"#))]).await;
        if !body.contains(r#""other""#) && !body.is_empty() {
            assert_eq!(
                broken.client().list().await.unwrap_err().class,
                FaultClass::Ambiguous,
                "{:.60}",
                body
            );
        }
    }
}

#[tokio::test]
async fn a_gateways_page_with_a_200_is_no_success_of_a_write() {
    for body in ["<html>sign in</html>", "OK, sort of", r#"{"_id": "a1""#] {
        let jc = JumpCloud::start((0..3).map(|_| ok(body))).await;
        let client = jc.client();
        let faults = [
            client.set_roles(&id("a1"), &[role("Manager")], RoleField::One, None).await.unwrap_err(),
            client.delete(&id("a1")).await.unwrap_err(),
            client.create(&new_account(), None).await.unwrap_err(),
        ];
        assert!(faults.iter().all(Fault::may_have_happened), "{body}: {faults:?}");
    }
    let jc = JumpCloud::start([ok(""), ok("{}")]).await;
    assert_eq!(jc.client().create(&new_account(), None).await, Ok(None), "made, and the id is not told");
    assert_eq!(jc.client().create(&new_account(), None).await, Ok(None));
}

#[tokio::test]
async fn no_text_of_jumpcloud_and_no_token_reaches_a_fault_or_the_log() {
    let log = Log::default();
    // For the whole process: what the other tests log must hold no token either.
    tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).init();
    let mut shown = String::new();
    let mut show = |thing: &dyn Debug| shown.push_str(&format!("{thing:?}\n{thing:#?}\n"));
    for status in [200, 201, 302, 400, 401, 403, 404, 408, 409, 418, 429, 500, 503] {
        let jc = JumpCloud::start((0..4).map(|_| (status, format!("<b>{BODY_CANARY}</b>")))).await;
        let client = jc.client();
        show(&client);
        show(&client.get(&id("a1")).await.unwrap_err());
        show(&client.list().await.unwrap_err());
        show(&client.set_roles(&id("a1"), &[role("Manager")], RoleField::One, None).await.unwrap_err());
        show(&client.create(&new_account(), None).await.unwrap_err());
    }
    for more in ["", oauth::SERVICE] {
        show(&connection("https://127.0.0.1:1", more, "not PEM"));
    }
    for (status, body) in [(200, oauth::token(3600)), (401, format!("{{\"error\": \"{BODY_CANARY}\"}}"))] {
        let jc = JumpCloud::answering(move |_| (status, body.clone()).into()).await;
        let client = jc.client_with(oauth::SERVICE);
        show(&client.get(&id("a1")).await.unwrap_err());
        show(&client.token().await);
        show(&client.me().await);
        show(&client);
        show(&jc.insights_with(oauth::SERVICE).changes(Timestamp(0)).await);
    }
    let logged = log.text();
    assert!(logged.contains("/api/users/a1"), "the log was listened to: {logged}");
    for text in [shown, logged] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn a_throttled_write_was_not_carried_out_and_says_when_to_come_back() {
    let jc = JumpCloud::start([(429, String::new())]).await;
    let fault = jc.client().delete(&id("a1")).await.unwrap_err();
    assert_eq!((fault.class, fault.retry_after_ms), (FaultClass::Throttled, Some(7_000)));
    assert!(!fault.may_have_happened());
}

fn id(text: &str) -> AccountId {
    AccountId::new(text).unwrap()
}

fn role(text: &str) -> RoleName {
    RoleName::new(text).unwrap()
}

fn new_account() -> NewAccount {
    NewAccount {
        email: Email::new("ann+tag@example.com").unwrap(),
        role: role("Administrator"),
        firstname: Some("Ann".to_owned()),
        lastname: None,
    }
}

fn account(id: &str, role: &str) -> String {
    format!(
        r#"{{"_id": "{id}", "email": "{id}@example.com", "roleName": "{role}", "organization": "org1", "role": "5f"}}"#
    )
}

fn page(total: usize, ids: &[&str]) -> String {
    let accounts: Vec<_> = ids.iter().map(|id| account(id, "Read Only")).collect();
    format!(r#"{{"totalCount": {total}, "results": [{}]}}"#, accounts.join(","))
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
