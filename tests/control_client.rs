//! The shipped client against the reference control plane, over real TLS.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

#[path = "control_client/keychange.rs"]
mod keychange;
#[path = "control_client/spending.rs"]
mod spending;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use ephemerald::{
    clock,
    control::{
        client::{Client, ControlError, Speaker},
        enroll::{self, About, EnrollError, TokenSource},
        identity::{Identity, load_key},
        keys::{KeyError, KeyPair},
        poll::{self, ControlEvent, Line, Wants},
        token::AgentToken,
        verify::{DEFAULT_MAX_SKEW, DEFAULT_MAX_START_BY, Verifier},
        wire::{AcquireRequest, Code, JobBody, JobState, Report, Utc},
    },
    engine::{
        codes::{ResultCode, Rule},
        ids::JobId,
        time::{Now, Timestamp},
    },
    http::{Door, DoorOptions},
    sandbox::control_plane::{Faults, JobSpec, Operator, Options, Running, SignWith, run},
    secrets::{AtRest, Source},
};
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use zeroize::Zeroizing;

/// To a listener of the test's own, on loopback and in the clear.
fn plain_door(origin: &str) -> Arc<Door> {
    let options = DoorOptions {
        origin: origin.to_owned(),
        extra_ca_pem: None,
        only_extra_ca: false,
        proxy: None,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(60),
        total_timeout: Duration::from_secs(60),
        max_body: 1 << 20,
        user_agent: "ephemerald-test".to_owned(),
    };
    Arc::new(Door::new(options).unwrap())
}

struct Plane {
    running: Running,
    operator: Operator,
    stop: oneshot::Sender<()>,
}

impl Plane {
    async fn start(data: &Path) -> Self {
        let (stop, stopped) = oneshot::channel();
        let options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), data);
        let running = run(options, async move { drop(stopped.await) }).await.unwrap();
        Self { operator: Operator::of_data_dir(data).unwrap(), running, stop }
    }

    fn door(&self) -> Arc<Door> {
        let ca = std::fs::read(self.running.ca_file.as_ref().unwrap()).unwrap();
        Arc::new(
            Door::new(DoorOptions {
                origin: self.running.url.clone(),
                extra_ca_pem: Some(ca),
                only_extra_ca: true,
                proxy: None,
                connect_timeout: Duration::from_secs(5),
                read_timeout: Duration::from_secs(60),
                total_timeout: Duration::from_secs(10),
                max_body: 1 << 20,
                user_agent: "ephemerald-test".to_owned(),
            })
            .unwrap(),
        )
    }

    async fn token(&self) -> AgentToken {
        AgentToken::parse(&self.operator.token().await.unwrap()).unwrap()
    }

    async fn inject(&self, claims: serde_json::Value, key: SignWith) -> JobId {
        let spec = JobSpec { agent: None, claims, key, jws: None, copies: 0 };
        self.operator.send(&spec).await.unwrap().job_id
    }
}

fn speaker() -> Speaker {
    Speaker { instance: "test".to_owned(), epoch: 1 }
}

fn entropy(byte: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([byte; 32])
}

async fn enrol(plane: &Plane, token: &AgentToken, dir: &Path) -> Result<(Identity, KeyPair), EnrollError> {
    let key = enroll::prepare(dir, &entropy(9), &AtRest::Plain)?;
    let client = Client::unenrolled(plane.door(), key.clone(), speaker(), clock::now);
    let identity =
        enroll::enroll(&client, &key, token, About::default(), (dir, &AtRest::Plain), clock::now().wall)
            .await?;
    Ok((identity, key))
}

struct Agent {
    client: Arc<Client>,
    verifier: Arc<Verifier>,
}

impl Agent {
    async fn enrolled(plane: &Plane, dir: &Path) -> Self {
        let (identity, key) = enrol(plane, &plane.token().await, dir).await.unwrap();
        let client = Client::new(plane.door(), key, &identity.agent_id, speaker(), clock::now);
        let verifier = Verifier {
            agent: identity.agent_id.clone(),
            keys: identity.keys().unwrap(),
            ledger_created_at: Timestamp(0),
            max_start_by: DEFAULT_MAX_START_BY,
            max_skew: DEFAULT_MAX_SKEW,
        };
        Self { client: Arc::new(client), verifier: Arc::new(verifier) }
    }
}

/// The polling task, with everything that keeps it alive.
struct Polling {
    events: mpsc::Receiver<ControlEvent>,
    task: JoinHandle<()>,
    wants: watch::Sender<Wants>,
    _verifier: watch::Sender<Arc<Verifier>>,
    _pace: watch::Sender<u32>,
    stop: watch::Sender<bool>,
}

impl Polling {
    fn start(agent: &Agent) -> Self {
        let (events, receiver) = mpsc::channel(8);
        let (wants, wants_rx) = watch::channel(Wants { capacity: 4, ..Wants::default() });
        let (verifier, verifier_rx) = watch::channel(Arc::clone(&agent.verifier));
        let (pace, pace_rx) = watch::channel(0);
        let (stop, stop_rx) = watch::channel(false);
        let line = Line {
            client: Arc::clone(&agent.client),
            verifier: verifier_rx,
            wants: wants_rx,
            events,
            pace_s: pace_rx,
            stop: stop_rx,
            wait_s: 55,
            offers: None,
            clock: clock::now,
        };
        let task = tokio::spawn(poll::run(line));
        Self { events: receiver, task, wants, _verifier: verifier, _pace: pace, stop }
    }

    /// The next event that is not mere contact.
    async fn news(&mut self) -> ControlEvent {
        loop {
            match self.events.recv().await.unwrap() {
                ControlEvent::Contact { .. } => {}
                event => return event,
            }
        }
    }
}

fn test_job() -> serde_json::Value {
    json!({"integration": "acme", "job": {"type": "test"}})
}

#[tokio::test]
async fn an_enrolment_whose_answer_was_lost_is_repeated_with_the_same_key_and_gets_the_same_id() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let token = plane.token().await;
    let (first, key) = enrol(&plane, &token, dir.path()).await.unwrap();
    std::fs::remove_file(dir.path().join("identity.json")).unwrap();

    let (again, same) = enrol(&plane, &token, dir.path()).await.unwrap();
    assert_eq!((&first.agent_id, key.public()), (&again.agent_id, same.public()));
    assert_eq!(Identity::load(dir.path(), &AtRest::Plain).unwrap(), Some(again));
    assert!(matches!(enrol(&plane, &token, dir.path()).await, Err(EnrollError::Enrolled { .. })));

    let thief = tempfile::tempdir().unwrap();
    let key = enroll::prepare(thief.path(), &entropy(8), &AtRest::Plain).unwrap();
    let client = Client::unenrolled(plane.door(), key.clone(), speaker(), clock::now);
    let refused =
        enroll::enroll(&client, &key, &token, About::default(), (thief.path(), &AtRest::Plain), Timestamp(0))
            .await
            .unwrap_err();
    assert!(matches!(refused, EnrollError::Control(ControlError::TokenRefused { .. })), "{refused}");
    assert!(!refused.to_string().contains(&token.secret));
    assert_eq!(Identity::load(thief.path(), &AtRest::Plain).unwrap(), None);
}

#[tokio::test]
async fn a_root_other_than_the_tokens_is_refused_and_nothing_is_stored_but_the_key() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let mut token = plane.token().await;
    token.root = KeyPair::from_seed(&[3; 32]).public().thumbprint();
    let refused = enrol(&plane, &token, dir.path()).await.unwrap_err();
    assert!(matches!(refused, EnrollError::Keys(KeyError::WrongRoot { .. })), "{refused}");
    assert_eq!(Identity::load(dir.path(), &AtRest::Plain).unwrap(), None);
    assert!(load_key(dir.path(), &AtRest::Plain).unwrap().is_some());
}

#[tokio::test]
async fn a_token_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "eph1.x").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let source = TokenSource::From(Source::File(path.clone()));
    assert!(matches!(source.read(), Err(EnrollError::Secret(_))));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(source.read(), Err(EnrollError::Token(_))));
}

#[tokio::test]
async fn jobs_come_verified_and_forged_ones_come_as_refusals_without_a_believed_id() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let agent = Agent::enrolled(&plane, dir.path()).await;
    let mut polling = Polling::start(&agent);

    let good = plane.inject(test_job(), SignWith::Good).await;
    let ControlEvent::Job(job) = polling.news().await else { panic!("not a job") };
    assert_eq!((&job.claims.job_id, &job.claims.job), (&good, &JobBody::Test {}));
    polling.wants.send_modify(|wants| wants.in_hand.push((good, JobState::Running)));

    for (key, rule) in [(SignWith::Forged, Rule::BadSignature), (SignWith::Unknown, Rule::UnknownKey)] {
        let forged = plane.inject(test_job(), key).await;
        let ControlEvent::Refused { delivered_as, refusal } = polling.news().await else {
            panic!("no refusal")
        };
        assert_eq!(delivered_as, forged);
        assert_eq!((refusal.job_id, refusal.rule), (None, Some(rule)));
    }
}

#[tokio::test]
async fn a_waiting_poll_ends_at_once_when_told_to_stop() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let agent = Agent::enrolled(&plane, dir.path()).await;
    let polling = Polling::start(&agent);
    polling.stop.send(true).unwrap();
    polling.task.await.unwrap();
}

#[tokio::test]
async fn a_lost_control_plane_is_told_and_asked_again_until_it_is_back() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let agent = Agent::enrolled(&plane, dir.path()).await;
    plane.operator.faults(&Faults { unavailable_s: 1, ..Faults::default() }).await.unwrap();
    let mut polling = Polling::start(&agent);
    let ControlEvent::Lost { error } = polling.news().await else { panic!("not lost") };
    assert!(matches!(error, ControlError::Busy { status: 503, retry_after: Some(_), .. }), "{error}");
    let job = plane.inject(test_job(), SignWith::Good).await;
    loop {
        match polling.news().await {
            ControlEvent::Lost { .. } => {}
            ControlEvent::Job(got) => break assert_eq!(got.claims.job_id, job),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_a_request_that_was_not_sent() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let agent = Agent::enrolled(&plane, dir.path()).await;
    drop(plane.stop);
    plane.running.done.await.unwrap().unwrap();
    let error = agent.client.acquire(&AcquireRequest::default()).await.unwrap_err();
    assert!(matches!(error, ControlError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("/v1/agent/jobs/acquire"), "{error}");
}

#[tokio::test]
async fn a_nonce_that_the_control_plane_asks_for_is_given_in_one_repeat() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let agent = Agent::enrolled(&plane, dir.path()).await;
    plane.operator.faults(&Faults { require_nonce: true, ..Faults::default() }).await.unwrap();
    agent.client.acquire(&AcquireRequest { capacity: 1, ..AcquireRequest::default() }).await.unwrap();
}

/// A clock that is ten years slow.
fn slow() -> Now {
    let now = clock::now();
    Now { wall: Timestamp(now.wall.0 - 10 * 365 * 86_400_000), ..now }
}

#[tokio::test]
async fn an_agent_whose_clock_is_ten_years_off_enrols_reports_and_polls_by_the_nonce() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let token = plane.token().await;
    let key = enroll::prepare(dir.path(), &entropy(9), &AtRest::Plain).unwrap();
    let stranger = Client::unenrolled(plane.door(), key.clone(), speaker(), slow);
    let now = slow().wall;
    let about = About::default();
    let identity =
        enroll::enroll(&stranger, &key, &token, about, (dir.path(), &AtRest::Plain), now).await.unwrap();
    let client = Client::new(plane.door(), key, &identity.agent_id, speaker(), slow);
    for _ in 0..3 {
        let answer = client.acquire(&AcquireRequest::default()).await.unwrap();
        assert!(answer.server_time.0.0 - slow().wall.0 > 9 * 365 * 86_400_000, "it learns the time");
    }
    // Nonces that change all the time are followed.
    plane.operator.faults(&Faults { nonce_s: Some(1), ..Faults::default() }).await.unwrap();
    let first = plane.operator.agents().await.unwrap()[0].last_seen_at.unwrap();
    while plane.operator.agents().await.unwrap()[0].last_seen_at.unwrap() < first + 3_000 {
        client.acquire(&AcquireRequest::default()).await.unwrap();
    }
}

#[tokio::test]
async fn no_common_version_is_told_with_the_versions_of_both() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let agent = Agent::enrolled(&plane, dir.path()).await;
    plane.operator.faults(&Faults { versions: Some(vec![7, 8]), ..Faults::default() }).await.unwrap();
    let error = agent.client.acquire(&AcquireRequest::default()).await.unwrap_err();
    assert!(matches!(&error, ControlError::NoCommonVersion { theirs, .. } if theirs == "7, 8"), "{error}");
    assert!(error.needs_a_person() && error.to_string().contains("speaks 1"), "{error}");

    let fresh = tempfile::tempdir().unwrap();
    let refused = enrol(&plane, &plane.token().await, fresh.path()).await.unwrap_err();
    assert!(refused.to_string().contains("no common protocol version"), "{refused}");
}

#[tokio::test]
async fn reports_are_acknowledged_and_a_repeat_is_harmless() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let agent = Agent::enrolled(&plane, dir.path()).await;
    let job_id = plane.inject(test_job(), SignWith::Good).await;
    let code = Code::Result(ResultCode::Tested);
    let report = Report {
        seq: 7,
        at: Utc(clock::now().wall),
        kind: code.kind(),
        job_id: Some(job_id),
        grant_id: None,
        code,
        rule: None,
        reason: None,
        detail: None,
        integration: None,
        account: None,
        role: None,
        evidence: None,
        ends_at: None,
        receipt: None,
        session_may_persist_until: None,
        policy_hash: None,
    };
    plane.operator.faults(&Faults { drop_acks: 1, ..Faults::default() }).await.unwrap();
    let reports = [report];
    assert!(agent.client.report(&reports).await.unwrap().acked.is_empty());
    assert_eq!(agent.client.report(&reports).await.unwrap().acked, [7]);
    assert_eq!(plane.operator.results().await.unwrap().len(), 1);
}
