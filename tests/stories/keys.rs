//! Keys change while the agent works: its own, and those that sign its jobs. Whatever is lost and
//! whenever the agent dies, it comes back with a key that works.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use ephemerald::{
    clock,
    control::{
        client::{Client, Speaker},
        identity::{Identity, load_key},
        key_file,
    },
    engine::ids::AgentId,
    http::{Door, DoorOptions},
    sandbox::control_plane::{AgentView, BadKeySet, Faults, JobSpec, SignWith},
    secrets::AtRest,
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::process::{PATIENCE, World, asking::Ask};

impl World {
    async fn me(&self) -> AgentView {
        self.operator.agents().await.unwrap().pop().unwrap()
    }

    async fn until(&self, what: &str, holds: impl Fn(&AgentView) -> bool) -> AgentView {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let me = self.me().await;
            if holds(&me) {
                return me;
            }
            assert!(Instant::now() < deadline, "never: {what}; {me:?}\n{}", self.agent.tail());
            sleep(Duration::from_millis(30)).await;
        }
    }

    fn key_on_disk(&self) -> String {
        load_key(&self.files.state, &AtRest::Plain).unwrap().unwrap().public().thumbprint()
    }

    fn key_files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.files.state).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("agent")).collect();
        names.sort();
        names
    }

    /// A new key made durable by an agent that died right after.
    fn next_key_on_disk(&self) -> String {
        let next =
            key_file::prepare_next(&self.files.state, &Zeroizing::new([77; 32]), &AtRest::Plain).unwrap();
        next.public().thumbprint()
    }

    /// The agent's client, as another process of it would use it.
    fn client(&self) -> Client {
        self.client_of(Speaker { instance: "before".to_owned(), epoch: 0 })
    }

    pub(crate) fn client_of(&self, speaker: Speaker) -> Client {
        let ca: PathBuf = self.files.root.join("control-plane/tls/ca.pem");
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
        Client::new(Arc::new(door.unwrap()), key, &identity.agent_id, speaker, clock::now)
    }

    async fn works(&self) {
        let claims = json!({"integration": "main", "job": {"type": "test"}});
        let job = self.sent(JobSpec { claims, ..JobSpec::default() }).await;
        assert_eq!(self.result(&job).await["code"], "tested");
    }

    async fn has_changed_to(&self, new: &str) {
        let me = self.until("the new key is in force", |me| me.key == new).await;
        assert_eq!(me.next_key, None);
        self.logs("agent key: the old key is erased").await;
        assert_eq!((self.key_on_disk().as_str(), self.key_files()), (new, vec!["agent.key".to_owned()]));
        self.works().await;
    }
}

#[tokio::test]
async fn an_operator_gives_the_agent_a_new_key_and_nothing_stays_of_the_old_one() {
    let mut world = World::ready().await;
    let old = world.key_on_disk();
    let seeds = vec![fs::read_to_string(world.files.state.join("agent.key")).unwrap()];

    let said = world.agent.command(&["--output", "json", "rotate-key"]).await;

    assert_eq!(said.code, Some(0), "{}", said.text);
    let view: serde_json::Value = serde_json::from_str(&said.text).unwrap();
    let new = view["key"].as_str().unwrap();
    assert_eq!((view["outcome"].as_str(), view["previous"].as_str()), (Some("done"), Some(old.as_str())));
    assert_ne!(new, old);
    world.has_changed_to(new).await;
    assert_eq!(Identity::load(&world.files.state, &AtRest::Plain).unwrap().unwrap().key, new);
    let seeds = [seeds, vec![fs::read_to_string(world.files.state.join("agent.key")).unwrap()]].concat();
    assert!(seeds.iter().all(|seed| !world.files.log_text().contains(seed)), "only thumbprints are told");
    assert!(world.files.log_text().contains(&old) && world.files.log_text().contains(new));

    world.agent.kill().await;
    world.agent.start();
    world.agent.ready().await;
    world.works().await;
}

#[tokio::test]
async fn the_control_plane_asks_for_a_new_key_and_gets_it_once() {
    let world = World::ready().await;
    let old = world.key_on_disk();
    let id = AgentId::new(world.me().await.id.as_str()).unwrap();
    world.operator.wish_new_key(&id).await.unwrap();
    let new = world.until("the wish is fulfilled", |me| me.key != old && !me.new_key_wished).await.key;
    world.has_changed_to(&new).await;
    let seen = world.me().await.status.unwrap()["at"].clone();
    world.until("two more statuses", |me| me.status.as_ref().unwrap()["at"] != seen).await;
    assert_eq!(world.me().await.key, new);
}

#[tokio::test]
async fn a_lost_answer_and_a_kill_are_mended_with_the_same_new_key() {
    let mut world = World::ready().await;
    let old = world.key_on_disk();
    let lost = Faults { lose_rotations: 1000, ..Faults::default() };
    world.operator.faults(&lost).await.unwrap();
    let said = world.agent.command(&["rotate-key"]).await;
    assert_eq!(said.code, Some(5), "{}", said.text);
    let announced = world.me().await.next_key.expect("it was taken, only the answer was lost");
    assert_eq!(world.key_on_disk(), old, "the old key is in force until the new one has worked");
    assert!(world.agent.kill().await);

    world.operator.faults(&Faults::default()).await.unwrap();
    world.agent.start();

    world.has_changed_to(&announced).await;
}

#[tokio::test]
async fn an_agent_that_died_before_it_announced_its_new_key_announces_it_at_the_next_start() {
    let mut world = World::enrolled().await;
    let new = world.next_key_on_disk();
    world.agent.start();
    world.has_changed_to(&new).await;
}

#[tokio::test]
async fn an_agent_that_died_after_its_new_key_had_worked_finds_the_old_one_refused_and_goes_on() {
    let mut world = World::enrolled().await;
    let new = world.next_key_on_disk();
    let (client, next) =
        (world.client(), key_file::load_next(&world.files.state, &AtRest::Plain).unwrap().unwrap());
    client.rotate_key(&next).await.unwrap();
    client.with_key(next).acquire(&ephemerald::control::wire::AcquireRequest::default()).await.unwrap();
    assert_eq!(world.me().await.key, new, "the old key is refused from here");

    world.agent.start();

    world.has_changed_to(&new).await;
}

#[tokio::test]
async fn an_agent_that_died_before_the_old_key_was_erased_erases_it_at_the_next_start() {
    let mut world = World::enrolled().await;
    let old = world.files.state.join("agent-old.key");
    fs::write(&old, "0123456789012345678901234567890123456789012").unwrap();
    let mut open = fs::File::open(&old).unwrap();
    world.agent.start();
    world.agent.ready().await;
    assert_eq!(world.key_files(), ["agent.key"]);
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut open, &mut left).unwrap();
    assert_eq!(left, [0; 43]);
    world.works().await;
}

#[tokio::test]
async fn a_control_plane_that_takes_no_new_keys_keeps_the_old_one_and_the_operator_is_told() {
    let world = World::ready().await;
    let old = world.key_on_disk();
    world.operator.faults(&Faults { refuse_rotations: true, ..Faults::default() }).await.unwrap();
    let said = world.agent.command(&["rotate-key"]).await;
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(said.text.contains("409") && said.text.contains(&old), "{}", said.text);
    world.logs("agent key: not changed; the old key stays in force").await;
    assert_eq!((world.key_on_disk(), world.key_files()), (old, vec!["agent.key".to_owned()]));
    world.works().await;
}

#[tokio::test]
async fn a_new_signing_key_is_taken_with_a_status_and_a_dropped_one_is_refused_also_after_a_restart() {
    let mut world = World::ready().await;
    let version = |me: &AgentView| me.status.as_ref().and_then(|s| s["key_set_version"].as_u64());
    let grant = world.approved(Ask::role("dmitri@example.com", "Manager", 12)).await;
    world.about(&grant, "granted").await;

    world.operator.rotate_keys().await.unwrap();
    world.until("the new set is in force", |me| version(me) == Some(2)).await;
    world.works().await;
    let previous = || JobSpec {
        claims: json!({"integration": "main", "job": {"type": "test"}}),
        key: SignWith::Previous,
        ..JobSpec::default()
    };
    let job = world.sent(previous()).await;
    assert_eq!(world.result(&job).await["code"], "tested", "both keys are trusted");

    world.operator.drop_old_keys().await.unwrap();
    world.until("the old key is dropped", |me| version(me) == Some(3)).await;
    let job = world.sent(previous()).await;
    assert_eq!(world.result(&job).await["rule"], "unknown_key");
    world.agent.kill().await;
    world.agent.start();
    world.agent.ready().await;
    let job = world.sent(previous()).await;
    assert_eq!(world.result(&job).await["rule"], "unknown_key");
    world.works().await;
    assert_eq!(world.about(&grant, "grant_ended").await["reason"], "expired");
    assert_eq!(world.results_of(&grant).await, ["granted"], "what was accepted under the old key goes on");
}

#[tokio::test]
async fn key_sets_that_are_older_forked_or_of_another_root_are_refused_and_the_one_in_force_stays() {
    let world = World::ready().await;
    world.operator.rotate_keys().await.unwrap();
    let version = |me: &AgentView| me.status.as_ref().and_then(|s| s["key_set_version"].as_u64());
    world.until("the new set is in force", |me| version(me) == Some(2)).await;
    let held = Identity::load(&world.files.state, &AtRest::Plain).unwrap().unwrap();
    let refusals = || world.files.log_text().matches("key set: refused; the one in force stays").count();
    for how in [BadKeySet::Older, BadKeySet::Forked, BadKeySet::OtherRoot] {
        let before = refusals();
        world.operator.faults(&Faults { key_set: Some(how), ..Faults::default() }).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while refusals() < before + 2 {
            assert!(Instant::now() < deadline, "{how:?} was not refused");
            sleep(Duration::from_millis(30)).await;
        }
        world.works().await;
    }
    assert_eq!(Identity::load(&world.files.state, &AtRest::Plain).unwrap().unwrap(), held);
}
