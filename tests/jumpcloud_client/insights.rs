//! Directory Insights: the exact question, its pages, and what is left of odd answers.

use ephemerald::{
    engine::{observed::FaultClass, time::Timestamp},
    jumpcloud::ChangeKind,
};
use serde_json::{Value, json};

use super::{
    id,
    server::{Given, JumpCloud},
};

const SINCE: Timestamp = Timestamp(1_790_000_000_000);

fn event(id: &str, kind: &str) -> Value {
    json!({
        "id": id, "event_type": kind, "timestamp": "2026-09-21T14:13:20Z", "service": "directory",
        "resource": {"type": "admin", "id": "a1", "email": "a1@example.com"},
        "initiated_by": {"type": "admin", "id": "boss", "email": "boss@example.com"},
        "auth_method": "session", "success": true, "changes": [{"field": "role", "from": "x", "to": "y"}],
    })
}

#[tokio::test]
async fn the_question_is_exactly_this_and_names_the_organization() {
    let jc = JumpCloud::start([(200, json!([event("e1", "admin_update")]).to_string())]).await;
    let changes = jc.insights_with(r#", "org_id": "org1""#).changes(SINCE).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].kind, changes[0].target.clone()), (ChangeKind::Updated, Some(id("a1"))));
    assert_eq!(changes[0].actor_email.as_ref().unwrap().as_str(), "boss@example.com");
    let heard = &jc.heard()[0];
    assert_eq!(heard.line, "POST /insights/directory/v1/events");
    assert_eq!((heard.header("x-org-id"), heard.header("x-api-key")), (Some("org1"), Some(super::TOKEN)));
    let sent: Value = serde_json::from_str(&heard.body).unwrap();
    let expected = json!({
        "service": ["directory"], "start_time": "2026-09-21T14:13:20Z", "limit": 1000,
        "search_term": {"and": [{"event_type": ["admin_create", "admin_update", "admin_delete"]}]},
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn pages_follow_while_they_are_full() {
    let full = |id: &str, count: &str, after: &str| {
        let page = Given::from((200, json!([event(id, "admin_delete")]).to_string()));
        page.with("X-Result-Count", count).with("X-Limit", "1").with("X-Search_after", after)
    };
    let jc = JumpCloud::start([full("e1", "1", r#"[1576181718000, "DZ"]"#), full("e2", "0", "[1]")]).await;
    let changes = jc.insights_with("").changes(SINCE).await.unwrap();
    assert_eq!(changes.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["e1", "e2"]);
    let second: Value = serde_json::from_str(&jc.heard()[1].body).unwrap();
    assert_eq!(second["search_after"], json!([1_576_181_718_000_i64, "DZ"]));
    // One that never ends is left after a few pages.
    let jc = JumpCloud::answering(move |_| full("e1", "1", "[1]")).await;
    jc.insights_with("").changes(SINCE).await.unwrap();
    assert_eq!(jc.heard().len(), 5);
}

#[tokio::test]
async fn events_without_an_id_or_of_another_kind_are_left_out_and_odd_names_with_them() {
    let mut odd = event("e9", "admin_create");
    odd["resource"]["id"] = json!("a/../1");
    odd["initiated_by"] = json!("<b>canary</b>");
    odd["auth_method"] = json!({"deep": [1]});
    let rows = json!([
        event("e1", "admin_login_attempt"), event("e2", "user_admin_granted"), event("e\n3", "admin_update"),
        {"event_type": "admin_update"}, "text", null, 5, [], odd, event(&"e".repeat(200), "admin_update"),
    ]);
    let jc = JumpCloud::start([(200, rows.to_string())]).await;
    let changes = jc.insights_with("").changes(SINCE).await.unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    let odd = &changes[0];
    assert_eq!((odd.id.as_str(), odd.kind), ("e9", ChangeKind::Created));
    assert!(odd.target.is_none() && odd.actor.is_none() && odd.actor_email.is_none() && !odd.by_key);
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_fault() {
    for (status, body, class) in [
        (403, "", FaultClass::Forbidden),
        (404, "", FaultClass::NotFound),
        (401, "", FaultClass::Credential),
        (500, "", FaultClass::Ambiguous),
        (200, "<html>", FaultClass::Ambiguous),
        (200, r#"{"results": []}"#, FaultClass::Ambiguous),
        (200, "", FaultClass::Ambiguous),
    ] {
        let jc = JumpCloud::start([(status, body)]).await;
        assert_eq!(jc.insights_with("").changes(SINCE).await.unwrap_err().class, class, "{status} {body}");
        assert_eq!(jc.heard().len(), 1);
    }
}

#[tokio::test]
async fn only_our_own_account_with_a_key_is_us() {
    let mut own = event("e1", "admin_update");
    own["initiated_by"]["id"] = json!("me1");
    own["auth_method"] = json!("api-key");
    let mut console = own.clone();
    console["auth_method"] = json!("session");
    let mut other = own.clone();
    other["initiated_by"]["id"] = json!("boss");
    let mut nobody = own.clone();
    nobody["initiated_by"] = json!({});
    let jc = JumpCloud::start([(200, json!([own, console, other, nobody]).to_string())]).await;
    let changes = jc.insights_with("").changes(SINCE).await.unwrap();
    let me = id("me1");
    let us: Vec<bool> = changes.iter().map(|change| change.is_by(Some(&me))).collect();
    assert_eq!(us, [true, false, false, false]);
    assert!(changes.iter().all(|change| !change.is_by(None)));
}
