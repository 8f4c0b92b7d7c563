//! Keys that change: those that sign jobs, those of agents, and the nonce.

use ephemerald::{
    control::{
        jws,
        keys::{KeyPair, KeySet, PublicKey},
        rotation,
        wire::{JOB_TYP, MAX_JOB_BYTES, NONCE_HEADER},
    },
    engine::ids::AgentId,
    sandbox::control_plane::{BadKeySet, Faults, JobSpec, SignWith},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    bench::{Agent, Plane, new_token, now_s},
    oversight::status,
};

/// What the agent holds, and what the control plane hands out next.
struct Held {
    root: ephemerald::control::wire::Jwk,
    pinned: String,
    set: KeySet,
}

async fn enrolled(plane: &Plane) -> (Agent, Held) {
    let token = new_token(plane).await;
    let mut agent = Agent::new(plane, 1);
    let answer = agent.enroll(&token).await.unwrap();
    agent.id = answer.agent_id.to_string();
    let set = KeySet::verify(&answer.key_set, &answer.root, &token.root).unwrap();
    (agent, Held { root: answer.root, pinned: token.root.clone(), set })
}

impl Held {
    /// Tells the version held and takes what comes.
    async fn update(&mut self, agent: &Agent) -> bool {
        let told = json!({ "key_set_version": self.set.version() });
        let answer = agent.post("status", &status(&told)).await.unwrap();
        let Some(text) = answer["key_set"].as_str() else { return false };
        self.set = self.set.successor(text, &self.root, &self.pinned).unwrap();
        true
    }

    fn trusts(&self, job: &Value) -> bool {
        let found = |kid: &str| self.set.find(kid);
        jws::verify(job["jws"].as_str().unwrap(), JOB_TYP, MAX_JOB_BYTES, found).is_ok()
    }
}

async fn job(plane: &Plane, agent: &Agent, key: SignWith) -> Value {
    let claims = json!({ "integration": "prod", "job": { "type": "test" } });
    plane.operator().send(&JobSpec { claims, key, ..JobSpec::default() }).await.unwrap();
    agent.acquire(0, &[]).await.pop().unwrap()
}

#[tokio::test]
async fn signing_keys_change_in_two_steps_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let (agent, mut held) = enrolled(&plane).await;
    assert!(!held.update(&agent).await, "it has the newest set");
    let first = operator.keys().await.unwrap();
    assert!(operator.drop_old_keys().await.is_err(), "the last key stays");

    let second = operator.rotate_keys().await.unwrap();
    assert_eq!((second.version, second.trusted.len()), (first.version + 1, 2));
    assert_ne!(second.signing, first.signing);
    assert!(!held.trusts(&job(&plane, &agent, SignWith::Good).await), "not before it has the new set");
    assert!(held.update(&agent).await);
    assert!(held.trusts(&job(&plane, &agent, SignWith::Good).await));
    assert!(held.trusts(&job(&plane, &agent, SignWith::Previous).await));

    let third = operator.drop_old_keys().await.unwrap();
    let plane = plane.restart().await;
    assert_eq!(plane.operator().keys().await.unwrap(), third);
    let agent = agent.moved(&plane.operator());
    assert!(held.update(&agent).await);
    assert_eq!(held.set.version(), 3);
    assert!(!held.trusts(&job(&plane, &agent, SignWith::Previous).await));
    assert!(held.trusts(&job(&plane, &agent, SignWith::Good).await));
}

#[tokio::test]
async fn bad_key_sets_are_handed_out_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let (agent, held) = enrolled(&plane).await;
    for how in [BadKeySet::Older, BadKeySet::Forked, BadKeySet::OtherRoot] {
        plane.operator().faults(&Faults { key_set: Some(how), ..Faults::default() }).await.unwrap();
        let answer = agent.post("status", &status(&json!({}))).await.unwrap();
        let got = held.set.successor(answer["key_set"].as_str().unwrap(), &held.root, &held.pinned);
        assert!(got.is_err(), "{how:?}");
    }
}

#[tokio::test]
async fn a_wish_for_a_new_agent_key_stays_until_the_new_one_has_worked() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let (agent, _) = enrolled(&plane).await;
    let id = AgentId::new(&agent.id).unwrap();
    let wish = async |agent: &Agent| {
        let answer = agent.post("status", &status(&json!({}))).await.unwrap();
        answer["rotate_key"].as_str().map(str::to_owned)
    };
    assert_eq!(wish(&agent).await, None);
    assert!(plane.operator().wish_new_key(&id).await.unwrap().new_key_wished);
    assert_eq!(wish(&agent).await.as_deref(), Some(agent.key.kid()));

    let mut new = Agent::new(&plane, 2);
    new.id.clone_from(&agent.id);
    let body = rotation::announce(&id, &agent.url, agent.key.public(), &new.key, now_s());
    let body = serde_json::to_value(body).unwrap();
    for _ in 0..2 {
        let answer = agent.post("rotate-key", &body).await.unwrap();
        assert_eq!(answer["key"], new.key.kid(), "a repeat gets the same answer");
    }
    assert_eq!(wish(&agent).await.as_deref(), Some(agent.key.kid()), "announced is not used");
    assert_eq!(wish(&new).await, None);
    assert_eq!(agent.post("status", &status(&json!({}))).await.unwrap_err(), StatusCode::UNAUTHORIZED);
    let view = &plane.operator().agents().await.unwrap()[0];
    assert_eq!(
        (view.key.as_str(), view.next_key.as_ref(), view.new_key_wished),
        (new.key.kid(), None, false)
    );
    let nobody = AgentId::new("nobody").unwrap();
    assert!(plane.operator().wish_new_key(&nobody).await.is_err());
}

#[tokio::test]
async fn a_new_key_that_is_another_agents_or_vouches_for_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let (agent, _) = enrolled(&plane).await;
    let other = Agent::new(&plane, 2);
    other.enroll(&new_token(&plane).await).await.unwrap();
    let id = AgentId::new(&agent.id).unwrap();
    let announce = |old: &PublicKey, new: &KeyPair| {
        serde_json::to_value(rotation::announce(&id, &agent.url, old, new, now_s())).unwrap()
    };
    let own = agent.key.public();
    let taken = announce(own, &other.key);
    let third = KeyPair::from_seed(&[3; 32]);
    let wrong_old = announce(other.key.public(), &third);
    let same = announce(own, &agent.key);
    let bad = StatusCode::BAD_REQUEST;
    for (body, expected) in [(taken, StatusCode::CONFLICT), (wrong_old, bad), (same, bad)] {
        assert_eq!(agent.post("rotate-key", &body).await.unwrap_err(), expected);
    }
    plane.operator().faults(&Faults { lose_rotations: 1, ..Faults::default() }).await.unwrap();
    let good = announce(own, &third);
    let lost = agent.post("rotate-key", &good).await.unwrap_err();
    assert_eq!(lost, StatusCode::SERVICE_UNAVAILABLE);
    let next = plane.operator().agents().await.unwrap()[0].next_key.clone();
    assert_eq!(next.as_deref(), Some(third.kid()), "the key was taken, only the answer is lost");
    agent.post("rotate-key", &good).await.unwrap();
}

#[tokio::test]
async fn nonces_change_and_only_the_newest_two_are_fresh() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let mut agent = Agent::enrolled(&plane).await;
    let faults = Faults { nonce_s: Some(1), require_nonce: true, ..Faults::default() };
    plane.operator().faults(&faults).await.unwrap();
    let body = json!({ "capacity": 0, "wait_s": 0, "integrations": [], "known": [] }).to_string();
    let first = agent.send("jobs/acquire", &agent.proof("jobs/acquire", &body), &body).await;
    assert_eq!(first.status(), StatusCode::UNAUTHORIZED, "a nonce is demanded");
    agent.nonce = Some(first.headers()[NONCE_HEADER].to_str().unwrap().to_owned());
    agent.skew_s = -10 * 365 * 86_400;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let proof = agent.proof("jobs/acquire", &body);
        let answer = agent.send("jobs/acquire", &proof, &body).await;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let newest = answer.headers()[NONCE_HEADER].to_str().unwrap().to_owned();
            assert_ne!(Some(&newest), agent.nonce.as_ref());
            agent.nonce = Some(newest);
            break;
        }
        assert!(Instant::now() < deadline, "an old nonce stays fresh");
        sleep(Duration::from_millis(100)).await;
    }
    let proof = agent.proof("jobs/acquire", &body);
    assert_eq!(agent.send("jobs/acquire", &proof, &body).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_database_from_before_keys_could_change_goes_on_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let before = plane.operator().keys().await.unwrap();
    let file = dir.path().join("control-plane.sqlite3");
    let restart = plane.stopped().await;
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch(
        "drop table signing_key; drop table key_set; drop table alarm; drop table instance;
         drop table snapshot; alter table agent drop column offers; alter table agent drop column wished_away;
         pragma user_version = 1;",
    )
    .unwrap();
    drop(db);

    let plane = Plane::with(restart).await;
    assert_eq!(plane.operator().keys().await.unwrap(), before);
    agent.post("status", &status(&json!({}))).await.unwrap();
}
