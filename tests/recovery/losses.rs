//! The shipped program on a ledger that is lost, older than it was, or copied.

use std::{fs, path::Path, path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::{
    clock,
    control::{
        client::{Client, Speaker},
        identity::{Identity, load_key},
        wire::{AcquireRequest, Report},
    },
    http::{Door, DoorOptions},
    sandbox::jumpcloud::Edit,
    secrets::AtRest,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::{PATIENCE, World, asking::Ask};

impl World {
    /// Everything of the ledger, copied as somebody does who copies a machine.
    pub(crate) fn snapshot(&self, name: &str) -> PathBuf {
        let to = self.files.root.join(name);
        fs::create_dir(&to).unwrap();
        copy_all(&self.files.state, &to);
        to
    }

    /// Puts a snapshot back.
    pub(crate) fn put_back(&self, snapshot: &Path) {
        fs::remove_dir_all(&self.files.state).unwrap();
        fs::create_dir(&self.files.state).unwrap();
        copy_all(snapshot, &self.files.state);
    }

    /// Removes files of the state directory by their beginning.
    pub(crate) fn lose(&self, beginnings: &[&str]) {
        for entry in fs::read_dir(&self.files.state).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if beginnings.iter().any(|beginning| name.starts_with(beginning)) {
                fs::remove_file(&path).unwrap();
            }
        }
    }

    /// What `ledger check --output json` says, and its exit code.
    pub(crate) async fn checked(&self) -> (Option<i32>, Value) {
        let said = self.agent.command(&["--output", "json", "ledger", "check"]).await;
        (said.code, serde_json::from_str(&said.text).unwrap_or_else(|e| panic!("{e}: {}", said.text)))
    }

    /// Waits until the status that the agent reports says this.
    pub(crate) async fn tells(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.operator.agents().await.unwrap().pop().unwrap().status.unwrap_or_default();
            if wanted(&status) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {status}\n{}", self.agent.tail());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The control plane's client of this agent, in another process.
    pub(crate) fn client(&self, epoch: u64) -> Client {
        let ca = self.files.root.join("control-plane/tls/ca.pem");
        let door = Door::new(DoorOptions {
            origin: self.operator.url().trim_end_matches('/').to_owned(),
            extra_ca_pem: Some(fs::read(ca).unwrap()),
            only_extra_ca: true,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(20),
            total_timeout: Duration::from_secs(20),
            max_body: 8 << 20,
            user_agent: "test".to_owned(),
        });
        let identity = Identity::load(&self.files.state, &AtRest::Plain).unwrap().unwrap();
        let key = load_key(&self.files.state, &AtRest::Plain).unwrap().unwrap();
        let speaker = Speaker { instance: "another".to_owned(), epoch };
        Client::new(Arc::new(door.unwrap()), key, &identity.agent_id, speaker, clock::now)
    }

    /// A deed with the daemon stopped.
    pub(crate) async fn decides(&self, args: &[&str]) {
        let said = self.agent.command(&[&["ledger"], args, &["--why", "a story"]].concat()).await;
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.text);
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn is_revoke_only(status: &Value) -> bool {
    status["revoke_only"] == true
}

#[tokio::test]
async fn a_lost_ledger_is_begun_anew_in_revoke_only_mode_and_its_live_grants_are_recovered_and_ended() {
    // Once the file alone is gone, once everything that says that there was one.
    for lost in [&["ledger.db"][..], &["ledger"]] {
        let mut world = World::ready().await;
        let request = world.approved(Ask::role("amara@example.com", "Help Desk", 12)).await;
        world.about(&request, "granted").await;
        assert!(world.agent.kill().await);
        world.lose(lost);

        world.agent.start();
        let grant = request.grant_id.clone().unwrap().to_string();
        let adopted = world.event(&grant, "grant_adopted").await;
        assert_eq!(adopted["account"]["email"], "amara@example.com", "{lost:?}");
        world.tells("revoke-only", is_revoke_only).await;
        world.sees("amara@example.com", Some("Help Desk")).await;
        let refused = world.approved(Ask::role("bruno@example.com", "Help Desk", 5)).await;
        let answer = world.about(&refused, "rejected").await;
        assert_eq!(answer["rule"], "revoke_only");
        world.sees("amara@example.com", Some("Read Only")).await;
        assert_eq!(world.event(&grant, "grant_ended").await["reason"], "expired");

        let doubted = world.reports().await.into_iter().find(|r| r["code"] == "ledger_doubted").unwrap();
        assert!(doubted["detail"].as_str().unwrap().starts_with("lost: "), "{doubted}");
        let views = world.operator.results().await.unwrap();
        assert!(
            views.iter().all(|view| view.conflicting == 0 && view.malformed.is_none()),
            "no number twice"
        );
        assert!(world.files.log_text().contains("ledger: in doubt, so that nothing is raised"));
        let health = world.agent.command(&["--output", "json", "health"]).await;
        assert!(health.text.contains("revoke-only"), "{}", health.text);
    }
}

#[tokio::test]
async fn t7_a_restored_snapshot_ends_what_it_forgot_and_bars_accounts_until_they_are_explained() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    let snapshot = world.snapshot("snapshot");
    world.agent.start();
    world.agent.ready().await;
    let live = world.approved(Ask::role("amara@example.com", "Help Desk", 15)).await;
    let over = world.approved(Ask::role("bruno@example.com", "Help Desk", 2)).await;
    world.about(&live, "granted").await;
    world.about(&over, "grant_ended").await;
    assert!(world.agent.kill().await);
    world.put_back(&snapshot);
    // An elevation of the forgotten time that nobody was told of.
    let edit = Edit { roles: Some(vec!["Manager".to_owned()]), ..Edit::default() };
    world.cloud.change("chiara@example.com", &edit).unwrap();

    world.agent.start();
    world.event(live.grant_id.clone().unwrap().as_str(), "grant_adopted").await;
    world.tells("revoke-only", is_revoke_only).await;
    let ended = world.event(live.grant_id.clone().unwrap().as_str(), "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    world.sees("amara@example.com", Some("Read Only")).await;
    let doubted = world.reports().await.into_iter().find(|r| r["code"] == "ledger_doubted").unwrap();
    assert!(doubted["detail"].as_str().unwrap().starts_with("rolled_back: "), "{doubted}");
    let views = world.operator.results().await.unwrap();
    assert!(views.iter().all(|view| view.conflicting == 0), "no number twice");

    // The daemon is told, and goes on.
    world.decides(&["acknowledge"]).await;
    world.tells("that it is believed", |status| !is_revoke_only(status)).await;
    world.agent.kill().await;
    let (code, check) = world.checked().await;
    assert_eq!(
        (code, &check["revoke_only"], &check["barred"]),
        (Some(0), &json!(false), &json!(true)),
        "{check}"
    );

    world.agent.start();
    world.agent.ready().await;
    let barred = world.approved(Ask::role("chiara@example.com", "Manager", 3)).await;
    assert_eq!(world.about(&barred, "rejected").await["rule"], "account_barred");
    world.sees("chiara@example.com", Some("Manager")).await;
    let edit = Edit { roles: Some(vec!["Read Only".to_owned()]), ..Edit::default() };
    world.cloud.change("chiara@example.com", &edit).unwrap();
    world.decides(&["explain", "--integration", "main", "--account", "chiara@example.com"]).await;
    let again = world.approved(Ask::role("chiara@example.com", "Manager", 2)).await;
    world.about(&again, "granted").await;
    world.about(&again, "grant_ended").await;
    world.sees("chiara@example.com", Some("Read Only")).await;
}

#[tokio::test]
async fn a_ledger_that_is_older_than_what_was_acknowledged_is_noticed_without_the_control_plane() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    let snapshot = world.snapshot("snapshot");
    world.agent.start();
    world.agent.ready().await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 1)).await;
    world.about(&request, "grant_settled").await;
    let noted = |world: &World| fs::read_to_string(world.files.state.join("ledger.head")).unwrap_or_default();
    let before = noted(&world);
    let deadline = Instant::now() + PATIENCE;
    while noted(&world) == before && Instant::now() < deadline {
        sleep(Duration::from_millis(50)).await;
    }
    let verified = world.agent.command(&["audit", "verify"]).await;
    assert!(verified.code == Some(0) && verified.text.contains("is in the chain"), "{}", verified.text);
    world.agent.kill().await;
    // The file alone, as a tool does that restores files; what lies beside it stays.
    world.lose(&["ledger.db"]);
    fs::copy(snapshot.join("ledger.db"), world.files.state.join("ledger.db")).unwrap();
    for log in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::copy(snapshot.join(log), world.files.state.join(log));
    }
    world.stop_control_plane().await;
    let (code, check) = world.checked().await;
    assert_eq!(code, Some(7), "{check}");
    let verified = world.agent.command(&["audit", "verify"]).await;
    assert!(verified.code == Some(7) && verified.text.contains("is NOT HERE"), "{}", verified.text);

    world.agent.start();
    world.logs("was acknowledged and is not here; the journal ends at").await;
    world.restart_control_plane().await;
    world.tells("revoke-only", is_revoke_only).await;
}

#[tokio::test]
async fn a_journal_that_went_another_way_is_noticed_although_it_is_longer() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    let snapshot = world.snapshot("snapshot");
    world.agent.start();
    world.agent.ready().await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 1)).await;
    world.about(&request, "grant_settled").await;
    world.agent.kill().await;
    let known =
        world.operator.agents().await.unwrap().pop().unwrap().status.unwrap()["journal"]["seq"].clone();
    world.put_back(&snapshot);
    world.stop_control_plane().await;
    // Another life: starts and nothing else, until its journal is the longer one.
    // Reports carry a head as well, which may be a few records later than that of the last status.
    while world.checked().await.1["records"].as_u64().unwrap() <= known.as_u64().unwrap() + 12 {
        let before = world.files.log_text().matches("\"agent_started\"").count();
        world.agent.start();
        let deadline = Instant::now() + PATIENCE;
        while world.files.log_text().matches("\"agent_started\"").count() == before
            && Instant::now() < deadline
        {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(100)).await;
        world.agent.kill().await;
    }
    world.restart_control_plane().await;
    world.agent.start();
    world.logs("it knows a record of this agent's journal that is not here").await;
    world.tells("revoke-only", is_revoke_only).await;
}

#[tokio::test]
async fn a_copy_that_runs_twice_stops_the_one_that_is_told_so_from_raising() {
    let world = World::ready().await;
    world.client(1_000_000).acquire(&AcquireRequest::default()).await.unwrap();
    world.logs("a copy of it runs").await;
    world.tells("revoke-only", is_revoke_only).await;
}

#[tokio::test]
async fn a_hostile_control_plane_that_invents_claims_on_a_first_enrolment_moves_nothing() {
    let mut world = World::enrolled().await;
    let id = world.cloud.id_of("greta@example.com").unwrap();
    // All that a receipt says, and no key: were it believed, a standing Manager would be lowered.
    let content = json!({
        "grant": "invented", "job": "j", "integration": "main", "org": world.cloud.state().organization,
        "account": {"standing": id}, "id": id, "email": "greta@example.com", "role": "Manager",
        "baseline": ["Read Only"], "plural": false, "ends_at": clock::now().wall.0 - 60_000,
    });
    let content = URL_SAFE_NO_PAD.encode(content.to_string());
    let receipt = format!("r2.{content}.{}", URL_SAFE_NO_PAD.encode([7; 32]));
    let invented: Report = serde_json::from_value(json!({
        "seq": 7_000_000, "at": "2026-11-24T10:00:00.000Z", "kind": "result", "job_id": "j", "code": "granted",
        "grant_id": "invented", "integration": "main", "account": {"id": id, "email": "greta@example.com"},
        "role": "Manager", "ends_at": "2026-11-24T11:00:00.000Z", "receipt": receipt,
    }))
    .unwrap();
    world.client(0).report(&[invented]).await.unwrap();

    world.agent.start();
    world.event("invented", "claim_opened").await;
    world.tells("a claim that needs a person", |status| status["stuck"] == 1 && is_revoke_only(status)).await;
    let asked = world.approved(Ask::role("bruno@example.com", "Help Desk", 5)).await;
    assert_eq!(world.about(&asked, "rejected").await["rule"], "revoke_only");
    assert_eq!(world.writes(), 0, "nothing moved");

    world.agent.kill().await;
    let claims = world.agent.command(&["ledger", "claims"]).await;
    assert!(claims.text.contains("invented") && claims.text.contains("bad_receipt"), "{}", claims.text);
    let early = world.agent.command(&["ledger", "acknowledge", "--why", "early"]).await;
    assert_eq!(early.code, Some(4), "{}", early.text);
    world.decides(&["claim", "invented", "--dismiss"]).await;
    world.decides(&["acknowledge"]).await;
    world.agent.start();
    world.agent.ready().await;
    let request = world.approved(Ask::role("bruno@example.com", "Help Desk", 1)).await;
    world.about(&request, "granted").await;
    world.about(&request, "grant_ended").await;
    world.sees("greta@example.com", Some("Manager")).await;
}

#[tokio::test]
async fn killed_again_and_again_while_it_adopts_it_still_ends_everything_once() {
    let mut world = World::ready().await;
    let people = ["amara", "bruno", "chiara"].map(|name| format!("{name}@example.com"));
    let mut requests = Vec::new();
    for person in &people {
        requests.push(world.approved(Ask::role(person, "Help Desk", 20)).await);
    }
    for request in &requests {
        world.about(request, "granted").await;
    }
    assert!(world.agent.kill().await);
    world.lose(&["ledger"]);
    for _ in 0..4 {
        let before = world.files.log_text().matches("\"grant_adopted\"").count();
        world.agent.start();
        let deadline = Instant::now() + Duration::from_secs(3);
        // As soon as the first one is adopted, or a while after that was done before.
        while world.files.log_text().matches("\"grant_adopted\"").count() == before
            && Instant::now() < deadline
        {
            sleep(Duration::from_millis(1)).await;
        }
        world.agent.kill().await;
    }
    world.agent.start();
    for (request, person) in requests.iter().zip(&people) {
        world.about(request, "grant_ended").await;
        world.sees(person, Some("Read Only")).await;
        let grant = request.grant_id.clone().unwrap().to_string();
        let ends = world
            .reports()
            .await
            .iter()
            .filter(|r| r["grant_id"] == grant.as_str() && r["code"] == "grant_ended")
            .count();
        assert_eq!(ends, 1, "{person}");
    }
}
