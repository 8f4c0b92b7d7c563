//! Every way of connecting, from the shipped program to the simulated JumpCloud.

use std::time::Duration;

use ephemerald::sandbox::jumpcloud::{Edit, Event, Received, Switches};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::{PATIENCE, World, asking::Ask};

/// The default population's second organization, and somebody there.
const SECOND: &str = "5f00c0de00000000000000bb";
const THERE: &str = "ines@example.net";

#[tokio::test]
async fn a_service_account_grants_and_revokes_over_several_tokens() {
    let world = World::enrolled_at(|cloud| {
        cloud.service_account = true;
        cloud.switches = switches(json!({"token_lifetime_s": 2}));
    })
    .await;
    let said = world.agent.command(&["check"]).await;
    assert!(said.text.contains("/oauth2/token") && said.text.contains("service account"), "{}", said.text);
    let world = world.started().await;

    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 4)).await;
    world.about(&request, "granted").await;
    let ended = world.about(&request, "grant_ended").await;

    assert_eq!((&ended["reason"], &ended["evidence"]["woken_by"]), (&json!("expired"), &json!("wheel")));
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    let tokens = requests(&world).iter().filter(|r| r.path == "/oauth2/token").count();
    assert!(tokens > 2, "{tokens} tokens: they lived for two seconds, and `check` had one of its own");
    assert!(!world.files.log_text().contains("is not accepted (401)"), "{}", world.files.log_text());
}

#[tokio::test]
async fn a_token_that_is_dead_before_its_end_is_made_anew_without_anybody_noticing() {
    let world = World::enrolled_at(|cloud| cloud.service_account = true).await.started().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 3)).await;
    world.about(&request, "granted").await;
    // JumpCloud forgets its tokens.
    world.cloud.add_faults(vec![
        serde_json::from_value(json!({"path_prefix": "/api/users", "count": 1, "fault": {"kind": "error_before", "status": 401}})).unwrap(),
    ]);

    let ended = world.about(&request, "grant_ended").await;

    assert_eq!(ended["reason"], "expired");
    assert!(!world.files.log_text().contains("is not accepted (401)"), "{}", world.files.log_text());
    assert!(requests(&world).iter().filter(|r| r.path == "/oauth2/token").count() >= 2);
}

#[tokio::test]
async fn a_multi_tenant_key_works_in_its_organization_whatever_becomes_of_the_header_and_nowhere_else() {
    for rule in ["accepted", "ignored", "refused"] {
        let world = World::enrolled_at(|cloud| {
            cloud.multi_tenant = true;
            cloud.switches = switches(json!({"org_id_on_users_write": rule}));
        })
        .await
        .started()
        .await;

        let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
        world.about(&request, "granted").await;
        assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired", "{rule}");
        world.sees("dmitri@example.com", Some("Help Desk")).await;

        let abroad = world.approved(Ask::role(THERE, "Manager", 60)).await;
        let refused = world.result(&abroad.job_id.unwrap().to_string()).await;
        assert_eq!(
            (&refused["code"], &refused["rule"]),
            (&json!("rejected"), &json!("account_not_found")),
            "{rule}"
        );
        world.sees(THERE, Some("Help Desk")).await;
    }
}

#[tokio::test]
async fn a_header_that_is_ignored_by_reads_raises_nobody_in_another_organization() {
    let world = World::enrolled_at(|cloud| {
        cloud.multi_tenant = true;
        cloud.switches = switches(json!({"org_id_on_users_read": "ignored"}));
    })
    .await
    .started()
    .await;

    let abroad = world.approved(Ask::role(THERE, "Manager", 60)).await;
    let refused = world.result(&abroad.job_id.unwrap().to_string()).await;

    assert_eq!((&refused["code"], &refused["rule"]), (&json!("rejected"), &json!("account_not_found")));
    world.sees(THERE, Some("Help Desk")).await;
}

#[tokio::test]
async fn a_wrong_org_id_makes_nothing_look_gone_and_the_right_one_ends_the_grant() {
    let mut world = World::enrolled_at(|cloud| cloud.multi_tenant = true).await.started().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 8)).await;
    world.about(&request, "granted").await;
    world.agent.kill().await;
    let mut right = Value::Null;
    world.rewrite_connection(|connection| {
        right = std::mem::replace(&mut connection["org_id"], json!(SECOND));
    });
    world.agent.start();
    world.logs("\"kind\":\"grant_ending\"").await;
    world.logs("belongs to another organization than the pinned one").await;
    let asked = || requests(&world).iter().filter(|r| r.path == "/api/users/getSelf").count();
    let before = asked();
    until(|| asked() > before).await; // who answers is asked again, and it is still another one
    let grant = request.grant_id.clone().unwrap().to_string();
    let ends: Vec<_> = world
        .reports()
        .await
        .into_iter()
        .filter(|r| r["grant_id"] == grant.as_str() && r["code"] == "grant_ended")
        .collect();
    assert!(ends.is_empty(), "{ends:?}");
    world.sees("dmitri@example.com", Some("Manager")).await;

    world.agent.kill().await;
    world.rewrite_connection(|connection| connection["org_id"] = right);
    world.agent.start();

    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
}

/// T10, over the shipped program and two organizations: an account that is made and one that is lent a
/// role fall due while the key is another organization's.
#[tokio::test]
async fn t10_with_another_organizations_key_nothing_closes_and_nothing_is_written_until_the_right_one_is_back()
 {
    let mut world = World::enrolled_at(|cloud| cloud.multi_tenant = true).await.started().await;
    let lent = world.approved(Ask::role("dmitri@example.com", "Manager", 8)).await;
    let made = world.approved(Ask::ephemeral("farid@example.com", "Help Desk", 8)).await;
    world.about(&lent, "granted").await;
    let address = world.about(&made, "granted").await["account"]["email"].as_str().unwrap().to_owned();
    let theirs = Edit { api_key: Some("jca_of_the_second_organization".into()), ..Edit::default() };
    world.cloud.change("owner@example.net", &theirs).unwrap();
    let writes = world.writes();

    world.agent.kill().await;
    let mut right = Value::Null;
    world.rewrite_connection(|connection| {
        right = connection.clone();
        *connection =
            json!({"url": right["url"], "ssl_ca_cert": right["ssl_ca_cert"], "token": theirs.api_key});
    });
    world.agent.start();
    world.logs("belongs to another organization than the pinned one").await;
    let raise = world.approved(Ask::role("farid@example.com", "Manager", 60)).await;
    let refused = world.result(&raise.job_id.clone().unwrap().to_string()).await;
    let ending = || world.files.log_text().matches("\"kind\":\"grant_ending\"").count();
    until(|| ending() == 2).await;
    let asked = || requests(&world).iter().filter(|r| r.path == "/api/users/getSelf").count();
    let before = asked();
    until(|| asked() > before).await; // an ending is due, and it is still another organization's key

    assert_eq!((&refused["code"], &refused["rule"]), (&json!("rejected"), &json!("credential")));
    assert!(world.reports().await.iter().all(|report| report["code"] != "grant_ended"));
    assert_eq!(world.writes(), writes);
    world.sees("dmitri@example.com", Some("Manager")).await;
    world.sees(&address, Some("Help Desk")).await;

    world.agent.kill().await;
    world.rewrite_connection(|connection| *connection = right);
    world.agent.start();

    for request in [&lent, &made] {
        assert_eq!(world.about(request, "grant_ended").await["reason"], "expired");
    }
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    world.sees(&address, None).await;
}

#[tokio::test]
async fn a_change_in_the_console_is_noticed_by_the_hint_long_before_the_regular_look() {
    let world = World::enrolled().await;
    world.rewrite_config(|text| {
        text.replace("observe_interval = \"1s\"", "observe_interval = \"1h\"\ninsights = true")
    });
    let world = world.started().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 300)).await;
    world.about(&request, "granted").await;
    world.logs("insights: watched for changes by others").await;

    let demoted = Edit { roles: Some(vec!["Help Desk".to_owned()]), ..Edit::default() };
    world.cloud.change("dmitri@example.com", &demoted).unwrap();

    assert_eq!(world.about(&request, "grant_ended").await["reason"], "revoked_externally");
    let log = world.files.log_text();
    let line =
        log.lines().find(|line| line.contains("an administrator was changed by somebody else")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let account = world.cloud.id_of("dmitri@example.com").unwrap();
    assert_eq!((&line["event"], &line["account"]), (&json!("admin_update"), &json!(account)), "{line}");
}

#[tokio::test]
async fn insights_that_are_not_part_of_the_plan_disturb_nothing() {
    let world = World::enrolled_at(|cloud| cloud.switches = switches(json!({"insights_status": 403}))).await;
    world.rewrite_connection(|connection| connection["options"] = json!({"insights": true}));
    let world = world.started().await;
    world.logs("insights: not available").await;

    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;

    world.about(&request, "granted").await;
    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
}

fn switches(edit: Value) -> Switches {
    serde_json::from_value(edit).unwrap()
}

fn requests(world: &World) -> Vec<Received> {
    let received = |event: Event| if let Event::Request(received) = event { Some(received) } else { None };
    world.cloud.log_since(0).into_iter().filter_map(|entry| received(entry.event)).collect()
}

async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        sleep(Duration::from_millis(50)).await;
    }
}
