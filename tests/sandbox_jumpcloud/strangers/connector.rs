//! As baton-jumpcloud asks: tries the key on the directories, pages administrators by `skip` alone
//! until an empty page, compares role names without regard to case, and looks for a user with the
//! administrator's address.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bench::Bench;

/// The roles that it knows, spelt as it spells them.
const ROLES: [&str; 4] = ["Administrator with Billing", "Manager", "Help Desk", "Read Only"];

async fn list(bench: &Bench, path: &str) -> Value {
    let (status, body) = bench.get(path).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// How many hold each role, and how many administrators it lost.
async fn synchronized(bench: &Bench) -> (BTreeMap<&'static str, usize>, usize) {
    list(bench, "/api/v2/directories?limit=1").await;
    let (mut holders, mut lost, mut skip) = (BTreeMap::new(), 0, 0);
    loop {
        let page = list(bench, &format!("/api/users?skip={skip}")).await;
        let rows = page["results"].as_array().unwrap();
        if rows.is_empty() {
            return (holders, lost);
        }
        skip += rows.len();
        for admin in rows {
            let email = admin["email"].as_str().unwrap();
            let users = list(bench, &format!("/api/systemusers?filter=email:$eq:{email}")).await;
            assert_eq!(users["results"], json!([]), "nobody is a user too");
            let role = admin["roleName"].as_str().unwrap();
            match ROLES.iter().find(|known| known.eq_ignore_ascii_case(role)) {
                Some(known) => *holders.entry(*known).or_insert(0) += 1,
                None => lost += 1,
            }
        }
    }
}

#[tokio::test]
async fn the_connector_finds_every_holder_of_a_role_that_it_knows() {
    let bench = Bench::plain().await;
    let edit = json!({"email": "more@example.com", "roles": ["Group Editor"]});
    bench.running.console.create(&serde_json::from_value(edit).unwrap()).unwrap();
    let expected = BTreeMap::from([
        ("Administrator with Billing", 2),
        ("Manager", 2),
        ("Help Desk", 3),
        ("Read Only", 3),
    ]);
    for switches in [json!({}), json!({"page_default": 3}), json!({"total_count": "absent", "page_max": 5})] {
        bench.switch(switches);
        assert_eq!(synchronized(&bench).await, (expected.clone(), 1), "the custom role is the one it loses");
    }
}

#[tokio::test]
async fn a_read_only_key_is_enough_for_the_connector() {
    let mut bench = Bench::plain().await;
    bench.key = bench.key_of("amara@example.com", &["Read Only"]);
    assert_eq!(synchronized(&bench).await.0["Read Only"], 3);
}
