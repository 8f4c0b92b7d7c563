//! Pages of the inventory: kept, shown, asked for only when they are not there.

use ephemerald::control::wire::InventoryPage;
use serde_json::{Value, json};

use crate::bench::{Agent, Plane};

fn people(names: &[&str]) -> Value {
    let person = |name: &&str| json!({ "account": { "id": name, "email": format!("{name}@example.com"), "suspended": false, "new": 1 } });
    names.iter().map(person).collect()
}

fn page(kind: &str, index: u32, items: &Value, send: bool) -> Value {
    let hash = InventoryPage::hash_of_json(items);
    let mut page = json!({ "kind": kind, "index": index, "hash": hash });
    if send {
        page["items"] = items.clone();
    }
    page
}

async fn tell(agent: &Agent, snapshot: &str, complete: bool, pages: &[Value]) -> usize {
    let body = json!({ "integration": "prod", "snapshot": snapshot, "taken_at": "2026-11-24T10:00:00.000Z",
                       "complete": complete, "pages": pages });
    agent.post("inventory", &body).await.unwrap()["missing"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_page_is_asked_for_once_and_kept_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let (one, two) = (people(&["ada", "bob"]), people(&["cleo"]));
    let announced = [page("accounts", 0, &one, false), page("accounts", 1, &two, false)];
    assert_eq!(tell(&agent, "s1", true, &announced).await, 2);
    let view = plane.operator().inventory().await.unwrap().pop().unwrap();
    assert_eq!((view.missing, view.pages.len()), (2, 0));

    let damaged = json!({ "kind": "accounts", "index": 0, "hash": announced[0]["hash"], "items": two });
    assert_eq!(tell(&agent, "s1", true, &[damaged]).await, 1, "items that do not fit their hash");
    // Unknown fields are hashed and kept as they came.
    let sent = [page("accounts", 0, &one, true), page("accounts", 1, &two, true)];
    assert_eq!(tell(&agent, "s1", true, &sent).await, 0);

    let plane = plane.restart().await;
    let agent = agent.moved(&plane.operator());
    assert_eq!(tell(&agent, "s2", true, &announced).await, 0, "nothing is sent twice");
    let view = plane.operator().inventory().await.unwrap().pop().unwrap();
    assert_eq!((view.snapshot.as_str(), view.missing, view.items_received), ("s2", 0, 3));
    assert_eq!(view.pages[0].items[0], one[0]);
}

#[tokio::test]
async fn a_complete_reading_drops_the_pages_beyond_it_and_an_incomplete_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let (one, two) = (people(&["ada"]), people(&["bob"]));
    let sent = [page("accounts", 0, &one, true), page("accounts", 1, &two, true)];
    let announced = [page("accounts", 0, &one, false), page("accounts", 1, &two, false)];
    tell(&agent, "s1", true, &announced).await;
    tell(&agent, "s1", true, &sent).await;
    let held = async || plane.operator().inventory().await.unwrap()[0].pages.len();

    tell(&agent, "s2", false, &announced[..1]).await;
    assert_eq!(held().await, 2, "an incomplete reading proves no absence");
    tell(&agent, "s3", true, &announced[..1]).await;
    assert_eq!(held().await, 1);
    tell(&agent, "s4", true, &[]).await;
    assert_eq!(held().await, 0);
}
