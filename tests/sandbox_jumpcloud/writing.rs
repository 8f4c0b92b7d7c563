//! What a written body does: required fields, odd role names, roles that may not be given, answers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::Bench;

const AMARA: &str = "amara@example.com";

/// Amara with these roles before a write, and what she holds after it.
async fn after(bench: &Bench, before: &[&str], switches: Value, body: Value) -> (u16, Vec<String>) {
    let roles = before.iter().map(|&role| role.to_owned()).collect();
    let edit = ephemerald::sandbox::jumpcloud::Edit { roles: Some(roles), ..Default::default() };
    bench.running.console.change(AMARA, &edit).unwrap();
    bench.switch(switches);
    let (status, _) = bench.put(&bench.path(AMARA), body).await;
    (status.as_u16(), bench.roles(AMARA))
}

#[tokio::test]
async fn a_role_that_is_spelt_oddly_is_taken_or_refused_by_switch() {
    let bench = Bench::plain().await;
    let manager = bench.role_id("Manager");
    for (written, switches, taken) in [
        (json!("manager"), json!({}), None),
        (json!("manager"), json!({"role_case_ignored": true}), Some("Manager")),
        (json!(" Manager "), json!({}), None),
        (json!(" Manager "), json!({"role_trimmed": true}), Some("Manager")),
        (json!("Group Editor"), json!({}), Some("Group Editor")),
        (json!("Group Editor"), json!({"custom_role_names": false}), None),
        (json!(manager), json!({}), None),
        (json!(manager), json!({"role_ids_accepted": true}), Some("Manager")),
        (json!(7), json!({"blank_role": "removes"}), None),
    ] {
        let told = format!("{written} {switches}");
        let body = json!({"roleName": written});
        let expected = taken.map_or((400, "Read Only"), |role| (200, role));
        let (status, roles) = after(&bench, &["Read Only"], switches, body).await;
        assert_eq!((status, roles), (expected.0, vec![expected.1.to_owned()]), "{told}");
    }
}

#[tokio::test]
async fn a_blank_or_unknown_role_is_refused_ignored_or_empties_by_switch() {
    let bench = Bench::plain().await;
    for blank in [json!(null), json!(""), json!("  ")] {
        for (rule, status, held) in
            [("refused", 400, &["Manager"][..]), ("ignored", 200, &["Manager"]), ("removes", 200, &[])]
        {
            let body = json!({"roleName": blank});
            let (answered, roles) = after(&bench, &["Manager"], json!({"blank_role": rule}), body).await;
            assert_eq!((answered, roles), (status, held.iter().map(|r| (*r).to_owned()).collect()), "{rule}");
        }
    }
    let ignored = json!({"unknown_role_status": 200});
    let (status, roles) = after(&bench, &["Manager"], ignored.clone(), json!({"roleName": "Emperor"})).await;
    assert_eq!((status, roles), (200, vec!["Manager".to_owned()]));
    let body = json!({"roleNames": ["Emperor", "Help Desk"]});
    assert_eq!(after(&bench, &["Manager"], ignored.clone(), body).await.1, ["Help Desk"]);
    let body = json!({"roleNames": ["Emperor"]});
    assert_eq!(after(&bench, &["Manager"], ignored, body).await.1, ["Manager"]);
    let (status, roles) =
        after(&bench, &["Manager"], json!({"empty_roles_accepted": true}), json!({"roleNames": []})).await;
    assert_eq!((status, roles.len()), (200, 0));
}

#[tokio::test]
async fn fields_that_no_document_has_do_what_their_switches_say() {
    let bench = Bench::plain().await;
    let suspended = || {
        let mut accounts = bench.running.console.state().accounts.into_iter();
        accounts.find(|account| account.email == AMARA).unwrap().suspended
    };
    for (field, value, switch) in [
        ("suspended", json!(true), "suspended_written"),
        ("role", json!("Manager"), "role_field"),
        ("colour", json!("red"), ""),
    ] {
        for (rule, status) in [("ignored", 200), ("refused", 400)] {
            let switches = match switch {
                "" => json!({"unknown_fields_refused": rule == "refused"}),
                name => json!({name: rule}),
            };
            let (answered, roles) = after(&bench, &["Read Only"], switches, json!({field: value})).await;
            assert_eq!((answered, roles), (status, vec!["Read Only".to_owned()]), "{field} {rule}");
            assert!(!suspended());
        }
    }
    let obeyed = json!({"role_field": "obeyed", "suspended_written": "obeyed"});
    let manager = bench.role_id("Manager");
    let body = json!({"role": manager, "suspended": true});
    assert_eq!(after(&bench, &["Read Only"], obeyed, body).await, (200, vec!["Manager".to_owned()]));
    assert!(suspended());
}

#[tokio::test]
async fn roles_that_may_not_be_given_are_refused_and_those_held_stay() {
    let bench = Bench::plain().await;
    let no = json!({"ungrantable_roles": ["Manager"], "forbidden_role_status": 400});
    let (status, _) = after(&bench, &["Read Only"], no.clone(), json!({"roleName": "Manager"})).await;
    assert_eq!(status, 400);
    assert_eq!(after(&bench, &["Manager"], no, json!({"roleName": "Manager"})).await.0, 200, "held already");

    let scopes = ["users.readonly", "users", "administrators"].map(str::to_owned).to_vec();
    let role = ephemerald::sandbox::jumpcloud::NewRole { name: "Gatekeeper".to_owned(), scopes };
    bench.running.console.add_role(role).unwrap();
    let key = bench.key_of("greta@example.com", &["Gatekeeper"]);
    let path = bench.path(AMARA);
    for (above, role, status) in
        [(true, "Manager", 200), (false, "Administrator", 403), (false, "Gatekeeper", 200)]
    {
        bench.switch(json!({"roles_above_own": above}));
        let answered = bench.ask(Method::PUT, &path, &key, "", json!({"roleName": role})).await.0;
        assert_eq!(answered, status, "{role}: a custom role with the scope may write");
    }
}

#[tokio::test]
async fn what_a_put_leaves_out_is_kept_or_reset() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    let kept = bench.get(&path).await.1;
    for (rule, body, first, mfa, role) in [
        ("kept", json!({"lastname": "X"}), "Amara", true, "Read Only"),
        ("role_reset", json!({"lastname": "X"}), "Amara", true, "Administrator"),
        ("role_reset", json!({"roleName": "Help Desk"}), "Amara", true, "Help Desk"),
        ("flags_reset", json!({"roleName": "Help Desk"}), "", false, "Help Desk"),
    ] {
        let edit = json!({"roles": ["Read Only"], "firstname": "Amara", "enable_multi_factor": true});
        bench.running.console.change(AMARA, &serde_json::from_value(edit).unwrap()).unwrap();
        bench.switch(json!({"put_omitted": rule}));
        let shown = bench.put(&path, body).await.1;
        assert_eq!(
            (&shown["firstname"], &shown["enableMultiFactor"], &shown["roleName"], &shown["email"]),
            (&json!(first), &json!(mfa), &json!(role), &kept["email"]),
            "{rule}"
        );
    }
}

#[tokio::test]
async fn the_answer_to_a_write_may_show_the_account_or_less() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    for (form, expected) in [
        ("account", json!("Manager")),
        ("old_account", json!("Read Only")),
        ("empty_object", Value::Null),
        ("nothing", Value::Null),
    ] {
        bench.running.console.reset();
        bench.switch(json!({"put_answer": form}));
        let (status, shown) = bench.put(&path, json!({"roleName": "Manager"})).await;
        assert_eq!((status.as_u16(), &shown["roleName"]), (200, &expected), "{form}");
        assert_eq!(shown == json!(""), form == "nothing");
        assert_eq!(bench.roles(AMARA), ["Manager"], "{form}");
    }
    for (form, keys) in [
        ("account", Some("_id")),
        ("v2_id", Some("id")),
        ("id_only", Some("_id")),
        ("empty_object", None),
        ("nothing", None),
    ] {
        bench.running.console.reset();
        bench.switch(json!({"create_answer": form, "create_status": 201}));
        let (status, made) = bench.post("/api/users", json!({"email": "new@example.com"})).await;
        let id = bench.id("new@example.com");
        assert_eq!(status, 201);
        for key in ["_id", "id"] {
            let expected = if keys == Some(key) { json!(id) } else { Value::Null };
            assert_eq!(made[key], expected, "{form} {key}");
        }
        assert_eq!(made.get("email").is_some(), matches!(form, "account" | "v2_id"), "{form}");
    }
}

#[tokio::test]
async fn a_create_needs_what_the_switch_says_and_gets_a_role_or_none() {
    let bench = Bench::plain().await;
    let bare = json!({"email": "new@example.com"});
    bench.switch(json!({"create_requires": ["email", "roleName"]}));
    assert_eq!(bench.post("/api/users", bare.clone()).await.0, 400);
    for (switches, status, roles) in [
        (json!({}), 200, &["Administrator"][..]),
        (json!({"default_role": "Read Only"}), 200, &["Read Only"]),
        (json!({"default_role": null}), 400, &[]),
        (json!({"default_role": null, "roleless_created": true}), 200, &[]),
    ] {
        bench.running.console.reset();
        bench.switch(switches);
        let (answered, made) = bench.post("/api/users", bare.clone()).await;
        assert_eq!(answered.as_u16(), status, "{made}");
        if status == 200 {
            assert_eq!(bench.roles("new@example.com"), roles);
            assert_eq!(made.get("roleName").is_some(), !roles.is_empty(), "no null: {made}");
        }
    }
}

#[tokio::test]
async fn mails_are_noted_and_a_password_spares_one() {
    let bench = Bench::plain().await;
    let mails = || -> Vec<(String, String)> {
        let log = serde_json::to_value(bench.running.console.log_since(0)).unwrap();
        let mails = log.as_array().unwrap().iter().filter(|entry| entry["event"] == "mail");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        mails.map(|mail| (text(&mail["mail"]), text(&mail["email"]))).collect()
    };
    bench.post("/api/users", json!({"email": "a@example.com"})).await;
    bench.switch(json!({"password_written": "obeyed"}));
    bench.post("/api/users", json!({"email": "b@example.com", "password": "x"})).await;
    bench.switch(json!({"password_written": "refused"}));
    assert_eq!(bench.post("/api/users", json!({"email": "c@example.com", "password": "x"})).await.0, 400);
    bench.switch(json!({"activation_mail": false}));
    bench.post("/api/users", json!({"email": "d@example.com"})).await;
    let again = format!("/api/users/reactivate/{}", bench.id("a@example.com"));
    assert_eq!(bench.get(&again).await, (200.try_into().unwrap(), json!("")));
    let pair = |mail: &str| (mail.to_owned(), "a@example.com".to_owned());
    assert_eq!(mails(), [pair("activation"), pair("reactivation")]);

    let totp = |email: &str| format!("/api/users/resettotp/{}", bench.id(email));
    assert_eq!(bench.post(&totp("a@example.com"), Value::Null).await.0, 412, "nothing is enrolled");
    assert_eq!(bench.post(&totp(AMARA), Value::Null).await.0, 200);
    assert_eq!(bench.get(&bench.path(AMARA)).await.1["totpEnrolled"], false);
}
