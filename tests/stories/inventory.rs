//! What JumpCloud looks like, as the control plane gets to know it.

use std::{path::Path, time::Duration};

use ephemerald::{
    control::wire::PageKind,
    engine::ids::IntegrationId,
    sandbox::{
        control_plane::{InventoryView, SyncSpec},
        jumpcloud,
    },
};
use serde_json::{Value, json};

use crate::process::{PATIENCE, World, asking::Ask};

const CROWD: usize = 10_000;

/// An owner and ten thousand others, one of them somebody whose role changes.
fn crowded(options: &mut jumpcloud::Options, dir: &Path) {
    let id = |n: usize| format!("{:024x}", 0x6b05_0000_0000_usize + n);
    let person =
        |n: usize| json!({"id": id(n), "email": format!("p{n}@example.com"), "roles": ["Help Desk"]});
    let owner = json!({"id": id(0), "email": "owner@example.com", "roles": ["Administrator With Billing"]});
    let accounts: Vec<Value> = std::iter::once(owner).chain((1..CROWD).map(person)).collect();
    let file = dir.join("crowd.json");
    std::fs::write(&file, json!({"accounts": accounts}).to_string()).unwrap();
    options.seed_file = Some(file);
}

/// A sync's result; how many pages it sent and how many it left.
async fn synced(world: &World) -> (Value, u64, u64) {
    let asked = SyncSpec { integration: IntegrationId::new("main").unwrap(), agent: None };
    let job = world.operator.sync(&asked).await.unwrap();
    // A listing of a hundred requests, of a simulated tenant in a build for debugging.
    let deadline = tokio::time::Instant::now() + 4 * PATIENCE;
    let mine = |r: &Value| r["kind"] == "result" && r["job_id"] == job.job_id.as_str();
    let result = loop {
        if let Some(result) = world.reports().await.into_iter().find(mine) {
            break result;
        }
        assert!(tokio::time::Instant::now() < deadline, "no result\n{}", world.agent.tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(result["code"], "synced", "{result}");
    let counts = result["evidence"]["inventory"].clone();
    let count = |name: &str| counts[name].as_u64().unwrap();
    (counts.clone(), count("pages_sent"), count("pages_unchanged"))
}

async fn held(world: &World) -> InventoryView {
    let mut views = world.operator.inventory().await.unwrap();
    assert_eq!(views.len(), 1);
    views.remove(0)
}

fn items(view: &InventoryView, kind: PageKind) -> Vec<Value> {
    view.pages.iter().filter(|page| page.kind == kind).flat_map(|page| page.items.clone()).collect()
}

#[tokio::test]
async fn of_ten_thousand_accounts_every_page_is_sent_once_and_then_only_what_changed() {
    let mut world = World::enrolled_on(crowded).await;
    world.agent.start();
    world.agent.ready().await;

    let (counts, sent, unchanged) = synced(&world).await;
    assert_eq!((counts["accounts"].as_u64(), counts["permissions"].as_u64()), (Some(10_000), Some(10_000)));
    assert_eq!((sent, unchanged, counts["complete"].as_bool()), (101, 0, Some(true)));
    let view = held(&world).await;
    assert_eq!((view.missing, items(&view, PageKind::Accounts).len()), (0, CROWD));

    let (_, sent, unchanged) = synced(&world).await;
    assert_eq!((sent, unchanged), (0, 101));

    world
        .cloud
        .change("p7000@example.com", &serde_json::from_value(json!({"suspended": true})).unwrap())
        .unwrap();
    let (_, sent, unchanged) = synced(&world).await;
    assert_eq!((sent, unchanged), (1, 100), "only the page of that account");
    let view = held(&world).await;
    let changed = |item: &&Value| item["account"]["suspended"] == true;
    assert_eq!(items(&view, PageKind::Accounts).iter().filter(changed).count(), 1);
    assert_eq!(view.items_received, 20_000 + items(&view, PageKind::Roles).len() as u64 + 200);
    world.logs("inventory: pages sent").await;
}

#[tokio::test]
async fn an_inventory_tells_our_access_from_everybody_elses() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 60)).await;
    world.about(&request, "granted").await;

    synced(&world).await;

    let view = held(&world).await;
    let permissions = items(&view, PageKind::Permissions);
    let ours = permissions.iter().filter(|item| item["permission"]["type"] == "jit");
    let ours: Vec<&Value> = ours.map(|item| &item["permission"]).collect();
    assert_eq!(ours.len(), 1, "{permissions:?}");
    assert_eq!(ours[0]["grant_id"], request.grant_id.clone().unwrap().as_str());
    assert_eq!(ours[0]["role"], "Manager");
    let roles = items(&view, PageKind::Roles);
    let grantable =
        |name: &str| roles.iter().find(|r| r["role"]["name"] == name).unwrap()["role"]["grantable"].clone();
    assert_eq!((grantable("Manager"), grantable("Administrator")), (json!(true), json!(false)));
}

#[tokio::test]
async fn a_sync_that_the_control_planes_absence_interrupts_goes_on_where_it_was() {
    let mut world = World::ready().await;
    let asked = SyncSpec { integration: IntegrationId::new("main").unwrap(), agent: None };
    let job = world.operator.sync(&asked).await.unwrap();
    world.logs("inventory: read").await;
    world.stop_control_plane().await;
    assert!(world.agent.kill().await, "it ran until then");
    world.agent.start();

    world.restart_control_plane().await;

    let result = world.result(job.job_id.as_str()).await;
    assert_eq!(result["code"], "synced", "{result}");
    let view = held(&world).await;
    let held: u64 = view.pages.iter().map(|page| page.items.len() as u64).sum();
    assert_eq!((view.missing, view.items_received), (0, held), "no page came twice");
}
