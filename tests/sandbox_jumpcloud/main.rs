//! The simulated JumpCloud over real connections: routes, rules, switches, control API.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod bench;
mod control;
mod faults;
#[path = "../contract/guard.rs"]
mod guard;
mod insights;
mod lists;
mod oracle;
mod program;
mod reading;
mod refusals;
mod script;
mod services;
mod strangers;
mod tenancy;
mod timing;
mod writing;

use ephemerald::sandbox::jumpcloud::{BothWritten, Console, Edit, RoleNameWrite, RoleNamesWrite, Switches};
use reqwest::Method;
use serde_json::{Value, json};

use bench::{Bench, answer};

#[tokio::test]
async fn administrators_are_listed_in_pages_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(dir.path()).await;
    assert!(bench.running.url.starts_with("https://"));

    let (status, first) = bench.get("/api/users?limit=4&sort=_id").await;
    assert_eq!((status.as_u16(), &first["totalCount"]), (200, &json!(10)));
    let (_, rest) = bench.get("/api/users?limit=100&skip=4&sort=_id").await;
    let emails = |page: &Value| -> Vec<String> {
        let all = page["results"].as_array().unwrap().iter();
        all.map(|admin| admin["email"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((emails(&first).len(), emails(&rest).len()), (4, 6));
    assert!(emails(&first).iter().all(|email| !emails(&rest).contains(email)));

    let owner = &first["results"][0];
    assert_eq!(owner["roleName"], "Administrator With Billing");
    assert_eq!(owner["roleNames"], json!(["Administrator With Billing"]));
    assert_eq!(owner["roles"], json!([owner["role"]]));
    assert_eq!(owner["_id"].as_str().unwrap().len(), 24);
    assert!(!first.to_string().contains(bench::OWNER), "a key is shown");
}

#[tokio::test]
async fn an_account_lives_from_post_to_delete() {
    let bench = Bench::plain().await;
    let new = json!({"email": "new@example.com", "firstname": "N", "roleName": "Help Desk"});
    let (status, made) = bench.post("/api/users", new).await;
    assert_eq!((status.as_u16(), &made["roleName"]), (200, &json!("Help Desk")));
    let path = format!("/api/users/{}", made["_id"].as_str().unwrap());

    let (status, changed) = bench.put(&path, json!({"roleName": "Manager"})).await;
    assert_eq!((status.as_u16(), &changed["roleNames"]), (200, &json!(["Manager"])));
    assert_eq!(bench.get(&path).await.1["firstname"], "N", "what is not written stays");

    assert_eq!(bench.delete(&path).await.0, 200);
    assert_eq!(bench.get(&path).await.0, 404);
    assert_eq!(bench.delete(&path).await.0, 404);
    let history = bench.running.console.roles_over_time(made["_id"].as_str().unwrap());
    let roles: Vec<Vec<String>> = history.into_iter().map(|(_, roles)| roles).collect();
    assert_eq!(roles, [vec!["Help Desk".to_owned()], vec!["Manager".to_owned()], vec![]]);
}

#[tokio::test]
async fn bad_writes_are_refused_and_change_nothing() {
    let bench = Bench::plain().await;
    let before = bench.running.console.log_since(0).len();
    for body in [
        json!({"roleName": "Manager"}),
        json!({"email": "AMARA@example.com", "roleName": "Manager"}),
        json!({"email": "x@example.com", "roleName": "Emperor"}),
        json!({"email": "x@example.com", "roleName": "manager"}),
        json!({"email": "x@example.com", "roleNames": []}),
        json!({"email": "no address", "roleName": "Manager"}),
        json!([1]),
    ] {
        let (status, said) = bench.post("/api/users", body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(said["message"], said["error"]);
    }
    let entries = bench.running.console.log_since(0);
    assert_eq!(entries.len() - before, 7, "more than the seven requests: {entries:?}");
}

#[tokio::test]
async fn a_dead_key_and_a_missing_key_get_401_and_a_managers_key_may_read_but_not_write() {
    let mut bench = Bench::plain().await;
    let key = Edit { api_key: Some("jca_manager".to_owned()), ..Edit::default() };
    bench.running.console.change("greta@example.com", &key).unwrap();
    let amara = bench.path("amara@example.com");

    "jca_manager".clone_into(&mut bench.key);
    assert_eq!(bench.get("/api/users/getSelf").await.1["email"], "greta@example.com");
    assert_eq!(bench.get("/api/users").await.0, 200);
    assert_eq!(bench.put(&amara, json!({"roleName": "Manager"})).await.0, 403);
    assert_eq!(bench.delete(&amara).await.0, 403);
    assert_eq!(bench.post("/api/users", json!({"email": "x@example.com"})).await.0, 403);
    assert_eq!(bench.roles("amara@example.com"), ["Read Only"]);

    bench.running.console.delete("greta@example.com").unwrap();
    let (status, said) = bench.get("/api/users").await;
    assert_eq!((status.as_u16(), &said["error"]), (401, &json!("Unauthorized")));
    let keyless = bench.client.get(format!("{}/api/users", bench.running.url));
    assert_eq!(answer(keyless).await.0, 401);
}

#[tokio::test]
async fn nobody_deletes_the_own_account_or_the_last_administrator_with_billing() {
    let mut bench = Bench::plain().await;
    assert_eq!(bench.delete(&bench.path("owner@example.com")).await.0, 400);
    assert_eq!(bench.delete(&bench.path("breakglass@example.com")).await.0, 200);
    let owner = bench.path("owner@example.com");
    assert_eq!(bench.put(&owner, json!({"roleName": "Manager"})).await.0, 400);

    let console = bench.running.console.clone();
    switch(&console, |switches| switches.last_admin_may_be_demoted = true);
    assert_eq!(bench.put(&owner, json!({"roleName": "Manager"})).await.0, 200);
    "jca_gone".clone_into(&mut bench.key);
    assert_eq!(bench.get("/api/users").await.0, 401);
}

#[tokio::test]
async fn what_a_written_role_name_means_is_a_switch() {
    let bench = Bench::plain().await;
    let console = bench.running.console.clone();
    let two = Edit { roles: Some(texts(&["Read Only", "Command Runner"])), ..Edit::default() };
    let path = bench.path("amara@example.com");
    for (meaning, expected) in [
        (RoleNameWrite::ReplacesAll, &["Manager"][..]),
        (RoleNameWrite::ReplacesFirst, &["Manager", "Command Runner"]),
        (RoleNameWrite::Adds, &["Read Only", "Command Runner", "Manager"]),
        (RoleNameWrite::IgnoredWithSeveral, &["Read Only", "Command Runner"]),
    ] {
        console.change("amara@example.com", &two).unwrap();
        switch(&console, |switches| switches.role_name = meaning);
        let (status, shown) = bench.put(&path, json!({"roleName": "Manager"})).await;
        assert_eq!((status.as_u16(), &shown["roleNames"]), (200, &json!(expected)), "{meaning:?}");
    }
}

#[tokio::test]
async fn what_written_role_names_mean_is_a_switch() {
    let bench = Bench::plain().await;
    let console = bench.running.console.clone();
    let path = bench.path("amara@example.com");
    let both = json!({"roleName": "Manager", "roleNames": ["Help Desk", "Billing Only"]});
    for (several, which, status, expected) in [
        (RoleNamesWrite::Replaces, BothWritten::RoleNamesWins, 200, &["Help Desk", "Billing Only"][..]),
        (RoleNamesWrite::Replaces, BothWritten::RoleNameWins, 200, &["Manager"]),
        (RoleNamesWrite::Adds, BothWritten::RoleNamesWins, 200, &["Read Only", "Help Desk", "Billing Only"]),
        (RoleNamesWrite::Ignored, BothWritten::RoleNamesWins, 200, &["Manager"]),
        (RoleNamesWrite::Refused, BothWritten::RoleNamesWins, 400, &["Read Only"]),
    ] {
        let one = Edit { roles: Some(texts(&["Read Only"])), ..Edit::default() };
        console.change("amara@example.com", &one).unwrap();
        switch(&console, |switches| (switches.role_names, switches.both) = (several, which));
        assert_eq!(bench.put(&path, both.clone()).await.0.as_u16(), status, "{several:?} {which:?}");
        assert_eq!(bench.roles("amara@example.com"), expected, "{several:?} {which:?}");
    }
}

#[tokio::test]
async fn routes_that_may_be_missing_are_missing_by_switch() {
    let bench = Bench::plain().await;
    let (status, roles) = bench.get("/api/v2/roles?limit=100").await;
    assert_eq!((status.as_u16(), &roles["totalCount"]), (200, &json!(9)));
    let first = &roles["results"][0];
    let path = format!("/api/v2/roles/{}", first["id"].as_str().unwrap());
    assert_eq!(&bench.get(&path).await.1, first);

    switch(&bench.running.console, |switches| {
        switches.get_self = false;
        switches.roles_route = false;
        switches.create_status = 201;
        switches.delete_shows_account = false;
        switches.plural_roles_shown = false;
    });
    assert_eq!(bench.get("/api/v2/roles").await.0, 404);
    assert!(bench.get("/api/users/getSelf").await.0.is_client_error());
    let (status, made) = bench.post("/api/users", json!({"email": "x@example.com"})).await;
    assert_eq!((status.as_u16(), made.get("roleNames")), (201, None));
    assert_eq!(bench.delete(&bench.path("x@example.com")).await.0, 204);
}

#[tokio::test]
async fn the_organization_header_is_checked_and_refused_where_jumpcloud_refuses_it() {
    let bench = Bench::plain().await;
    let (_, organizations) = bench.get("/api/organizations").await;
    let id = organizations["results"][0]["_id"].as_str().unwrap().to_owned();
    for (path, given, expected) in [
        ("/api/organizations", id.as_str(), 403),
        ("/api/users", &id, 200),
        ("/api/users", "junk", 400),
        ("/api/users", "0123456789abcdef01234567", 404),
    ] {
        let request = bench.request(Method::GET, path).header("x-org-id", given);
        assert_eq!(answer(request).await.0.as_u16(), expected, "{path} {given}");
    }
}

#[tokio::test]
async fn a_filter_is_ignored_unless_the_switch_says_otherwise() {
    let bench = Bench::plain().await;
    let path = "/api/users?filter=email:$eq:elif@example.com";
    assert_eq!(bench.get(path).await.1["totalCount"], 10);
    switch(&bench.running.console, |switches| switches.filter = true);
    assert_eq!(bench.get(path).await.1["totalCount"], 1);
}

fn switch(console: &Console, change: impl FnOnce(&mut Switches)) {
    let mut switches = console.switches();
    change(&mut switches);
    console.set_switches(switches);
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
