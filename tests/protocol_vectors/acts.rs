//! What is said in the session.

use ephemerald::{
    control::{
        keys::sign_key_set,
        wire::{
            AccountRef, Code, Evidence, IntegrationOffer, IntegrationStatus, InventoryAccount, InventoryItem,
            InventoryRole, JournalHead, Limits, Report, ReportsRequest,
        },
    },
    engine::ids::{AccountId, Email, GrantId, IntegrationId, JobId, RoleName},
};

use super::*;

pub(super) const SECRET: &str = "example-only-0123456789";
const ENROLL: &str = "/v1/agent/enroll";
const STATUS: &str = "/v1/agent/status";
const ACQUIRE: &str = "/v1/agent/jobs/acquire";
const REPORTS: &str = "/v1/agent/reports";
const INVENTORY: &str = "/v1/agent/inventory";

pub(super) fn id() -> AgentId {
    AgentId::new("agent-7f3a").unwrap()
}

pub(super) fn play(stage: &mut Stage) {
    enrolment(stage);
    a_grant(stage);
    keys_change(stage);
    a_revocation(stage);
    an_inventory(stage);
    refusals(stage);
}

fn enrolment(stage: &mut Stage) {
    let request = EnrollRequest {
        secret: SECRET.to_owned(),
        key: agent().public().to_jwk(),
        version: "0.1.0".to_owned(),
        name: Some("jit-agent-1".to_owned()),
        offers: Some(offers(vec![1])),
    };
    let now = stage.now;
    let answer = EnrollAnswer {
        agent_id: id(),
        root: root().public().to_jwk(),
        key_set: set(3, &[signing()]),
        version: Some(1),
        server_time: utc(now),
    };
    let note = "The proof is signed by the key in the body, and its `iss` is that key's thumbprint. The answer \
                carries the first nonce; the agent uses it from now on.";
    stage.say("Enrolment", note, ENROLL, &request).answers(&answer).gives_nonce("n-1");
    stage.enrolled(&id());
    stage.nonce("n-1");
    let status = status(stage.now, 3, 0, vec![1]);
    let note = "The daemon has started: its first status. `epoch` is no longer 0.";
    let now = stage.now;
    stage.say("Status", note, STATUS, &status).answers(&status_answer(now));
}

fn a_grant(stage: &mut Stage) {
    let note =
        "A long poll. The control plane holds it until there is a job, and answers with one under a lease.";
    let now = stage.now;
    let job = json!({"type": "grant", "grant_id": "grant-1", "target": {"email": "ada@example.com"},
        "role": "Help Desk", "duration_s": 3600, "request": {"number": "AR-1001", "requester": "ada@example.com",
        "approvers": ["grace@example.com"], "justification": "ticket 4711"}});
    stage.say("A job", note, ACQUIRE, &acquire(&[])).answers(&jobs(now, vec![delivery("job-1", now, &job)]));
    stage.now += 10;
    let note = "Every 10 s while a job has no result. `cancelled: true` would withdraw it.";
    let beat = HeartbeatAnswer { lease_s: 60, cancelled: false, server_time: utc(stage.now) };
    let running = HeartbeatRequest { state: JobState::Running, revoke_only: false };
    stage.say("A heartbeat", note, "/v1/agent/jobs/job-1/heartbeat", &running).answers(&beat);
    let granted = Report {
        job_id: Some(JobId::new("job-1").unwrap()),
        account: Some(account()),
        evidence: Some(Evidence {
            roles_before: Some(vec![role("Read Only")]),
            roles_after: Some(vec![role("Help Desk")]),
            attempts: Some(1),
            verified_by_read: Some(true),
            ..Evidence::default()
        }),
        ends_at: Some(utc(stage.now + 3600)),
        receipt: Some("r1.b3BhcXVl".to_owned()),
        policy_hash: Some("aa".repeat(32)),
        ..report(7, stage.now, Code::Result(ResultCode::Granted))
    };
    let note = "The one result of the job. Keep `receipt`. Acknowledge once it is stored durably; if this answer is \
                lost, the same report comes again.";
    let acked = acked(stage.now, &[7]);
    stage
        .say("The result", note, REPORTS, &ReportsRequest { reports: vec![granted], journal: None })
        .answers(&acked);
    let note = "The control plane has changed its nonce twice since. The same request follows at once with the new \
                one, and a fresh `jti`.";
    let problem = problem("use-nonce", 401, "the nonce is not fresh");
    stage
        .say("A nonce that is too old", note, ACQUIRE, &acquire(&[]))
        .refuses(401, &problem)
        .gives_nonce("n-3");
    stage.nonce("n-3");
    let now = stage.now;
    let note = "Nothing to do when `wait_s` is over.";
    stage.say("The repeat", note, ACQUIRE, &acquire(&[])).answers(&jobs(now, Vec::new()));
}

fn keys_change(stage: &mut Stage) {
    let now = stage.now;
    let newer = KeyPair::from_seed(&[6; 32]).named("jobs-2027-01");
    let answer = StatusAnswer {
        key_set: Some(set(4, &[signing(), newer])),
        rotate_key: Some(agent().public().thumbprint()),
        ..status_answer(now)
    };
    let note = "The control plane hands out key set 4 and asks for a new agent key. The agent stores both before it \
                goes by them.";
    stage.say("Keys are to change", note, STATUS, &status(now, 3, 1, vec![1])).answers(&answer);
    let request = rotation::announce(&id(), ORIGIN, agent().public(), &next_key(), stage.now);
    let answer = RotateKeyAnswer { key: next_key().public().thumbprint(), server_time: utc(stage.now) };
    let note =
        "Proven by the old key; `proof` in the body is signed by the new one. From here both are accepted.";
    stage.say("The new key", note, "/v1/agent/rotate-key", &request).answers(&answer);
    stage.key = next_key();
    let note = "The first request that the new key proves: from here the old one is refused.";
    let now = stage.now;
    stage.say("The new key works", note, STATUS, &status(now, 4, 1, vec![1])).answers(&status_answer(now));
}

fn a_revocation(stage: &mut Stage) {
    let now = stage.now;
    let job = json!({"type": "revoke", "grant_id": "grant-1", "reason": "done early"});
    let note = "The person is done; a `revoke` job ends the grant early.";
    let answer = jobs(now, vec![delivery("job-2", now, &job)]);
    stage.say("A revocation", note, ACQUIRE, &acquire(&[])).answers(&answer);
    let ended = Report {
        account: Some(account()),
        reason: Some(EndReason::Requested),
        evidence: Some(Evidence {
            roles_before: Some(vec![role("Read Only")]),
            roles_after: Some(vec![role("Read Only")]),
            verified_by_read: Some(true),
            lateness_ms: Some(0),
            woken_by: Some(WokenBy::Operator),
            ..Evidence::default()
        }),
        session_may_persist_until: Some(utc(stage.now + 3600)),
        ..report(12, stage.now, Code::Event(EventCode::GrantEnded))
    };
    let revoked = Report {
        job_id: Some(JobId::new("job-2").unwrap()),
        role: None,
        policy_hash: Some("aa".repeat(32)),
        ..report(13, stage.now, Code::Result(ResultCode::Revoked))
    };
    let acked = acked(stage.now, &[12, 13]);
    let note =
        "The grant's own event and the result of the `revoke`, both after a read has shown the role gone.";
    stage
        .say("The end", note, REPORTS, &ReportsRequest { reports: vec![ended, revoked], journal: None })
        .answers(&acked);
}

fn an_inventory(stage: &mut Stage) {
    let roles: Vec<InventoryItem> = ["Help Desk", "Manager", "Read Only"]
        .map(|name| InventoryItem::Role(InventoryRole { name: role(name), grantable: name != "Manager" }))
        .to_vec();
    let people = vec![InventoryItem::Account(InventoryAccount {
        id: AccountId::new("5f1b2c3d4e5f60718293a4b5").unwrap(),
        email: Email::new("ada@example.com").unwrap(),
        suspended: false,
    })];
    let page = |kind, items: &[InventoryItem], send: bool| InventoryPage {
        kind,
        index: 0,
        hash: InventoryPage::hash_of(items),
        items: send.then(|| items.to_vec()),
    };
    let request = |now, pages| InventoryRequest {
        integration: acme(),
        snapshot: "s-19c2".to_owned(),
        taken_at: utc(now),
        complete: true,
        pages,
    };
    let now = stage.now;
    let announced =
        request(now, vec![page(PageKind::Roles, &roles, false), page(PageKind::Accounts, &people, false)]);
    let missing = InventoryAnswer { missing: vec![InventoryPage::hash_of(&people)], server_time: utc(now) };
    let note = "All pages by their hashes. This control plane has the page of roles from another day.";
    stage.say("The inventory is announced", note, INVENTORY, &announced).answers(&missing);
    let sent = request(now, vec![page(PageKind::Accounts, &people, true)]);
    let nothing = InventoryAnswer { missing: Vec::new(), server_time: utc(stage.now) };
    let note = "The page that was missing, with its items.";
    stage.say("The missing page", note, INVENTORY, &sent).answers(&nothing);
}

fn refusals(stage: &mut Stage) {
    let running = HeartbeatRequest { state: JobState::Running, revoke_only: false };
    let problem_404 = problem("not-found", 404, "this agent holds no such job");
    let note = "`job-1` has its result.";
    let path = "/v1/agent/jobs/job-1/heartbeat";
    stage.say("A heartbeat for a job that is done", note, path, &running).refuses(404, &problem_404);
    let now = stage.now;
    let mut refusal = problem("no-common-version", 409, "this control plane speaks version 1");
    refusal["versions"] = json!([1]);
    let note = "An agent of a later day, which has forgotten version 1.";
    stage.say("No common version", note, STATUS, &status(now, 4, 0, vec![7])).refuses(409, &refusal);
}

fn offers(versions: Vec<u32>) -> Offers {
    let limits = Limits::of_version_1(64, 8 << 20, 604_800, 120);
    let integration = IntegrationOffer {
        name: acme(),
        role_mode: "single".to_owned(),
        targets: wire::TARGETS.map(str::to_owned).to_vec(),
        job_types: None,
    };
    Offers { versions, integrations: vec![integration], ..Offers::without(&[], limits) }
}

fn status(now: i64, key_set_version: u64, live_grants: u32, versions: Vec<u32>) -> StatusRequest {
    StatusRequest {
        version: "0.1.0".to_owned(),
        at: utc(now),
        started_at: utc(NOW),
        live_grants,
        next_expiry: (live_grants > 0).then(|| utc(NOW + 3613)),
        ending: 0,
        overdue: 0,
        stuck: 0,
        outbox: 0,
        frozen: false,
        dry_run: false,
        revoke_only: false,
        skew_ms: Some(0),
        journal: Some(JournalHead { seq: 2, hash: "bb".repeat(32) }),
        policy_hash: Some("aa".repeat(32)),
        key_set_version,
        integrations: vec![IntegrationStatus { name: acme(), reachable: true, raises_paused: false }],
        offers: Some(offers(versions)),
    }
}

fn status_answer(now: i64) -> StatusAnswer {
    StatusAnswer {
        server_time: utc(now),
        poll_after_s: None,
        key_set: None,
        rotate_key: None,
        replaced: false,
        version: Some(1),
        journal: Some(JournalHead { seq: 2, hash: "bb".repeat(32) }),
    }
}

fn acquire(known: &[&str]) -> AcquireRequest {
    AcquireRequest {
        capacity: 64,
        wait_s: 55,
        integrations: vec![Reachable { name: acme(), reachable: true }],
        known: known.iter().map(|id| JobId::new(id).unwrap()).collect(),
        offers: Some(offers(vec![1])),
    }
}

fn jobs(now: i64, jobs: Vec<Delivery>) -> AcquireAnswer {
    AcquireAnswer { jobs, poll_after_s: None, version: Some(1), server_time: utc(now) }
}

fn delivery(id: &str, now: i64, job: &Value) -> Delivery {
    let claims = json!({"v": 1, "iss": ORIGIN, "aud": "agent-7f3a", "job_id": id, "iat": now,
        "start_by": now + 300, "integration": "acme", "job": job});
    let jws = jws::sign(JOB_TYP, &signing(), claims.to_string().as_bytes());
    Delivery { job_id: JobId::new(id).unwrap(), jws, lease_s: 60 }
}

fn set(version: u64, keys: &[KeyPair]) -> String {
    let keys = keys.iter().map(jwk).collect();
    sign_key_set(&KeySetClaims { v: 1, version, iat: NOW - 1000, keys }, &root())
}

fn acked(now: i64, seqs: &[u64]) -> ReportsAnswer {
    ReportsAnswer { acked: seqs.to_vec(), refused: Vec::new(), server_time: utc(now) }
}

fn problem(kind: &str, status: u16, detail: &str) -> Value {
    json!({"type": format!("urn:ephemerald:problem:{kind}"), "status": status, "detail": detail})
}

fn report(seq: u64, at: i64, code: Code) -> Report {
    Report {
        seq,
        at: utc(at),
        kind: code.kind(),
        job_id: None,
        grant_id: Some(GrantId::new("grant-1").unwrap()),
        code,
        rule: None,
        reason: None,
        detail: None,
        integration: Some(acme()),
        account: None,
        role: Some(role("Help Desk")),
        evidence: None,
        ends_at: None,
        receipt: None,
        session_may_persist_until: None,
        policy_hash: Some("aa".repeat(32)),
    }
}

fn account() -> AccountRef {
    AccountRef {
        id: Some(AccountId::new("5f1b2c3d4e5f60718293a4b5").unwrap()),
        email: Some(Email::new("ada@example.com").unwrap()),
    }
}

fn acme() -> IntegrationId {
    IntegrationId::new("acme").unwrap()
}

fn role(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}
