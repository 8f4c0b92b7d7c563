//! Access that is given and taken back.

use crate::process::{World, asking::Ask};

#[tokio::test]
async fn a_granted_role_expires_by_the_wheel_and_is_restored_and_read_back() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;

    let granted = world.about(&request, "granted").await;
    assert_eq!(granted["evidence"]["roles_before"][0], "Help Desk");
    assert_eq!(granted["evidence"]["roles_after"][0], "Manager");
    let ended = world.about(&request, "grant_ended").await;

    assert_eq!(ended["reason"], "expired");
    assert_eq!(ended["evidence"]["woken_by"], "wheel");
    assert!(ended["evidence"]["lateness_ms"].is_u64(), "{ended}");
    assert_eq!(ended["evidence"]["verified_by_read"], true);
    assert_eq!(ended["evidence"]["roles_after"][0], "Help Desk");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    world.about(&request, "grant_settled").await;
    let history = world.cloud.roles_over_time(&account_id(&world, "dmitri@example.com"));
    let roles: Vec<&str> = history.iter().map(|(_, roles)| roles[0].as_str()).collect();
    assert_eq!(roles, ["Manager", "Help Desk"], "one write each way");
}

#[tokio::test]
async fn an_ephemeral_account_is_created_for_the_grant_and_deleted_at_its_end() {
    let world = World::ready().await;
    let before = world.cloud.state().accounts.len();
    let request = world.approved(Ask::ephemeral("visitor@example.com", "Help Desk", 2)).await;

    let granted = world.about(&request, "granted").await;
    let address = granted["account"]["email"].as_str().unwrap().to_owned();
    assert!(address.starts_with("visitor+"), "{address}");
    let ended = world.about(&request, "grant_ended").await;

    assert_eq!(ended["reason"], "expired");
    world.sees(&address, None).await;
    assert_eq!(world.cloud.state().accounts.len(), before);
}

#[tokio::test]
async fn an_early_revoke_takes_the_role_back_and_answers_its_own_job() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("elif@example.com", "Manager", 300)).await;
    world.about(&request, "granted").await;

    world.operator.revoke(&request.number, Some("done early")).await.unwrap();

    let revoked = world.about(&request, "revoked").await;
    assert_eq!(revoked["kind"], "result");
    world.sees("elif@example.com", Some("Help Desk")).await;
    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "requested");
}

fn account_id(world: &World, email: &str) -> String {
    world.cloud.state().accounts.into_iter().find(|a| a.email == email).unwrap().id
}
