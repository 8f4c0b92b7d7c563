//! Answers the operator's questions from the loop's own state.

use tokio::sync::mpsc::error::TrySendError;

use super::{meters, turn::Turn};
use crate::{
    admin::{
        server::Query,
        view::{
            ClockView, ControlPlaneView, FrozenView, GrantCounts, GrantView, HealthView, IntegrationView,
            LedgerView, PolicyView, RotationOutcome, RotationView, StatusView,
        },
    },
    clock,
    control::wire::{IntegrationStatus, Reachable, Utc},
    engine::{
        Engine,
        grant::{Grant, GrantKind, Phase},
        time::{Now, Timestamp},
        views::DRY_RUN,
    },
};

/// Answers one question; a questioner who has gone away is nobody's problem.
pub(super) async fn answer(turn: &Turn, query: Query) {
    match query {
        Query::Status(to) => drop(to.send(status(turn).await)),
        Query::Grants(to) => {
            let now = clock::now();
            drop(to.send(turn.engine.grants().map(|g| grant(&turn.engine, g, now)).collect()));
        }
        Query::Health(to) => drop(to.send(health(turn))),
        Query::Metrics(to) => drop(to.send(meters::text(turn).await)),
        Query::RotateKey(to) => rotate_key(turn, to),
        Query::Connections(name, to) => turn.parts.keepers.rotate(name.as_deref(), to),
        Query::Deed(..) | Query::Decide(..) => {} // the loop's own: it changes things
    }
}

/// The task that talks to the control plane answers; without one nobody could.
fn rotate_key(turn: &Turn, to: super::rotation::Ask) {
    let Err(back) = turn.parts.new_key.try_send(to) else { return };
    let (problem, to) = match back {
        TrySendError::Full(to) => ("a change of the key is under way", to),
        TrySendError::Closed(to) => ("nobody speaks with a control plane: enrol first, or see the log", to),
    };
    let view = RotationView {
        outcome: RotationOutcome::Impossible,
        key: None,
        previous: None,
        problem: Some(problem.to_owned()),
    };
    drop(to.send(view));
}

/// Which integrations answered lately.
pub(super) fn reachable(engine: &Engine) -> Vec<Reachable> {
    engine.integrations().map(|i| Reachable { reachable: i.fault.is_none(), name: i.id }).collect()
}

/// The integrations, for the status report.
pub(super) fn integration_status(engine: &Engine) -> Vec<IntegrationStatus> {
    let paused = !engine.raises_paused().is_empty();
    let of = |i: crate::engine::views::IntegrationView| IntegrationStatus {
        reachable: i.fault.is_none(),
        raises_paused: paused || i.wrong_org || i.credential_refused,
        name: i.id,
    };
    engine.integrations().map(of).collect()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) async fn status(turn: &Turn) -> StatusView {
    let now = clock::now();
    let ledger = &turn.parts.ledger;
    let head = ledger.head().await.ok();
    let of = |phase: fn(Phase) -> bool| turn.engine.grants().filter(|g| phase(g.phase)).count() as u64;
    let overdue = |g: &&Grant| is_overdue(g, now) && !given_up(g);
    StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agent_id: turn.parts.agent_id.as_ref().map(ToString::to_string),
        enrolled: turn.parts.agent_id.is_some(),
        control_plane: ControlPlaneView {
            url: turn.parts.control_url.clone(),
            last_contact_at: turn.contact.last.map(|n| utc(n.wall)),
            connected: turn.contact.last.is_some() && turn.contact.error.is_none(),
            error: turn.contact.error.clone(),
        },
        integrations: turn.engine.integrations().map(|i| integration(turn, i, now)).collect(),
        grants: GrantCounts {
            live: of(Phase::is_live),
            ending: of(|p| p == Phase::Revoking),
            overdue: turn.engine.grants().filter(overdue).count() as u64,
            abandoned: turn.engine.grants().filter(|g| given_up(g)).count() as u64,
            watched: of(|p| matches!(p, Phase::Settling | Phase::Ended)),
        },
        next_expiry: turn.engine.next_expiry().map(utc),
        outbox_depth: ledger.outbox_depth().await.unwrap_or(0),
        ledger: LedgerView {
            ok: turn.ledger_ok,
            head_seq: head.as_ref().map_or(0, |h| h.seq.0),
            head_hash: head.map(|h| hex(&h.hash)).unwrap_or_default(),
            doubts: doubts(&turn.engine),
            claims: turn.engine.state().recovery.claims.len() as u64,
        },
        clock: ClockView {
            trusted: turn.engine.is_clock_trusted(),
            skew_ms: turn.contact.skew_ms.unwrap_or(0),
        },
        frozen: frozen(&turn.engine),
        policy: PolicyView {
            loaded: turn.parts.policy.is_some(),
            hash: turn.engine.policy_hash().map(str::to_owned),
            error: turn.parts.policy_error.clone(),
        },
        raises_paused: turn.engine.raises_paused().into_iter().map(str::to_owned).collect(),
    }
}

/// Why the ledger is not believed.
fn doubts(engine: &Engine) -> Vec<String> {
    let causes = engine.state().recovery.doubt.iter().flat_map(|doubt| &doubt.causes);
    causes.map(|(cause, detail)| format!("{}: {detail}", cause.as_str())).collect()
}

fn integration(turn: &Turn, view: crate::engine::views::IntegrationView, now: Now) -> IntegrationView {
    let key = turn.parts.clients.current(&view.id);
    let ends = key.as_ref().and_then(|key| key.client.key_ends());
    let paused = if view.wrong_org {
        Some("the key belongs to another organization than the pinned one".to_owned())
    } else if view.credential_refused {
        let key = key.as_ref().map_or_else(String::new, |key| format!(" {}", key.client.key()));
        Some(format!("JumpCloud does not accept the key{key}"))
    } else {
        turn.parts.broken.get(&view.id).cloned()
    };
    let ago = view.answered_at.map(|at| now.boot.since(at));
    let seen = ago.map(|ago| Timestamp(now.wall.0 - i64::try_from(ago.0).unwrap_or(0)));
    IntegrationView {
        name: view.id.to_string(),
        org_id: view.org.map(|o| o.to_string()),
        reachable: view.fault.is_none() && view.answered_at.is_some(),
        self_account: view.own_account.map(|a| a.to_string()),
        last_observed_at: seen.map(utc),
        raises_paused: paused,
        rate: u32::try_from(view.rate).unwrap_or(u32::MAX),
        key: key.map(|key| key.client.key().to_owned()),
        key_ends_at: ends.map(utc),
        key_days_left: ends.map(|ends| (ends.0 - now.wall.0).div_euclid(24 * 60 * 60 * 1000)),
    }
}

/// How things stand, in one line for the service manager.
pub(super) fn line(engine: &Engine, contact: &super::heard::Contact) -> String {
    let now = clock::now();
    let live = engine.state().live_grants();
    let ending = engine.grants().filter(|g| g.phase == Phase::Revoking).count();
    let overdue = engine.grants().filter(|g| is_overdue(g, now)).count();
    let next = engine.next_expiry().map_or_else(String::new, |at| format!(", next end {}", utc(at)));
    let overdue = if overdue > 0 { format!(", {overdue} OVERDUE") } else { String::new() };
    let paused = engine.raises_paused();
    let raises =
        if paused.is_empty() { String::new() } else { format!("; no raises: {}", paused.join(", ")) };
    let out = contact.last.is_none() || contact.error.is_some();
    let reach = if out { "; the control plane does not answer" } else { "" };
    format!("{live} live, {ending} ending{overdue}{next}{raises}{reach}")
}

/// Whether its end is due for so long that somebody should look.
fn is_overdue(grant: &Grant, now: Now) -> bool {
    grant.phase == Phase::Revoking && grant.overdue_ms(now) > 30_000
}

fn given_up(grant: &Grant) -> bool {
    grant.forgotten.is_some() && grant.may_carry()
}

fn frozen(engine: &Engine) -> Option<FrozenView> {
    engine.state().frozen.as_ref().map(|frozen| FrozenView {
        since: utc(frozen.since),
        by_uid: frozen.freeze.order.by.uid,
        reason: frozen.freeze.order.remark.as_ref().map(ToString::to_string),
        draining: frozen.freeze.draining,
    })
}

/// A grant, for the operator.
pub(super) fn grant(engine: &Engine, grant: &Grant, now: Now) -> GrantView {
    let terms = &grant.terms;
    let (attempts, fault) = engine.attempts_of(grant);
    let account = engine.state().accounts.get(&grant.account_ref());
    let state = serde_json::to_value(grant.phase).ok().and_then(|v| v.as_str().map(str::to_owned));
    GrantView {
        grant_id: terms.grant.to_string(),
        job_id: terms.job.to_string(),
        integration: terms.integration.to_string(),
        account_email: terms.email.to_string(),
        account_id: account.and_then(|a| a.id.as_ref()).map(ToString::to_string),
        role: terms.role.to_string(),
        kind: if terms.kind == GrantKind::Role { "role" } else { "ephemeral" }.to_owned(),
        state: state.unwrap_or_default(),
        accepted_at: utc(terms.accepted_at),
        ends_at: utc(grant.end.at),
        seconds_left: grant.end.at.since(now.wall).0 / 1000,
        lateness_ms: grant.gone_at.map(|_| grant.lateness_ms),
        overdue: is_overdue(grant, now),
        ended_reason: grant.reason.map(|r| r.to_string()),
        ended_by: grant.forgotten.as_ref().or(grant.order.as_ref()).map(ToString::to_string),
        given_up: given_up(grant),
        request_number: terms.request.number.clone(),
        justification: terms.request.justification.clone(),
        attempts,
        last_fault: fault.map(|f| format!("{:?}", f.class)),
    }
}

/// Whether it lives and is ready.
pub(super) fn health(turn: &Turn) -> HealthView {
    // A dry run is what somebody chose: jobs are taken and answered.
    let paused = turn.engine.raises_paused().into_iter().filter(|why| *why != DRY_RUN);
    let mut why: Vec<String> = paused.map(str::to_owned).collect();
    if turn.parts.agent_id.is_none() {
        why.push("not enrolled, or identity.json cannot be used: run `ephemerald check`".to_owned());
    } else if turn.contact.last.is_none() || turn.contact.error.is_some() {
        why.push("the control plane does not answer".to_owned());
    }
    for view in turn.engine.integrations() {
        if view.wrong_org || view.credential_refused || turn.parts.broken.contains_key(&view.id) {
            why.push(format!("integration {}: the connection does not work", view.id));
        }
    }
    HealthView { live: true, ready: why.is_empty(), why_not: why }
}

fn utc(at: Timestamp) -> String {
    Utc(at).to_string()
}
