//! What Prometheus scrapes: figures of the loop at the moment of the scrape, and what is counted between.
//! `docs/metrics.md` says what each means.
//!
//! Refuses: labels that grow with use (accounts, grants, jobs), and anything that the status does not tell.

use std::{collections::VecDeque, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{report, turn::Turn, views};
use crate::{
    admin::view::{HealthView, StatusView},
    clock,
    engine::{
        Engine,
        action::Entry,
        grant::Phase,
        record::Record,
        time::{BootTime, Now},
        views::IntegrationView,
    },
    secrets::guard::Outlet,
};

/// From "at once" to "a day late": what is asked of an ending is 5 seconds, what is overdue is 30.
const LATENESS: [f64; 12] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];
/// A commit is one sync of a disk.
const COMMITS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: String,
}

#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    code: String,
}

#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Way {
    outlet: String,
}

#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Peer {
    peer: String,
}

#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfIntegration {
    integration: String,
}

#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: String,
}

type Figure = Gauge<f64, AtomicU64>;

/// What is counted while the loop runs.
pub(super) struct Meters {
    lateness: Histogram,
    commits: Histogram,
    outcomes: Family<Outcome, Counter>,
    withheld: Family<Way, Counter>,
    /// Batches on their way to the disk: their last record, and since when.
    under_way: VecDeque<(u64, BootTime)>,
}

impl Meters {
    pub(super) fn new() -> Self {
        let withheld = Family::<Way, Counter>::default();
        for outlet in Outlet::OF_THE_DAEMON {
            drop(withheld.get_or_create(&Way { outlet: outlet.as_str().to_owned() })); // seen at zero
        }
        Self {
            lateness: Histogram::new(LATENESS),
            commits: Histogram::new(COMMITS),
            outcomes: Family::default(),
            withheld,
            under_way: VecDeque::new(),
        }
    }

    /// Records were made; whether they go to the disk now.
    pub(super) fn recorded(&mut self, entries: &[Entry], are_written: bool, now: Now) {
        for entry in entries {
            if let Record::GrantGone(gone) = &entry.record {
                self.lateness.observe(seconds(gone.lateness_ms));
            }
            if let Record::SecretWithheld { outlet, .. } = &entry.record {
                self.withheld.get_or_create(&Way { outlet: outlet.clone() }).inc();
            }
            let told = report::of(entry.seq.0, entry.at.0, &entry.record, |_| None);
            if let Some(told) = told {
                self.outcomes.get_or_create(&Outcome { code: told.code.as_str().to_owned() }).inc();
            }
        }
        if let Some(last) = entries.last().filter(|_| are_written) {
            self.under_way.push_back((last.seq.0, now.boot));
        }
    }

    /// Records up to this one are on disk.
    pub(super) fn committed(&mut self, upto: u64, now: Now) {
        while let Some((_, since)) = self.under_way.front().copied().filter(|(last, _)| *last <= upto) {
            self.commits.observe(seconds(now.boot.since(since).0));
            self.under_way.pop_front();
        }
    }

    /// What was on its way to the disk did not arrive.
    pub(super) fn lost(&mut self) {
        self.under_way.clear();
    }
}

/// Everything, in the text format of `OpenMetrics`.
pub(super) async fn text(turn: &Turn) -> String {
    let now = clock::now();
    let status = views::status(turn).await;
    let mut page = Page(Registry::with_prefix("ephemerald"));
    page.counted(&turn.meters);
    page.grants(&turn.engine, &status);
    page.peers(turn, now);
    page.state(turn, &status, &views::health(turn));
    let mut text = String::new();
    // Writing into memory does not fail.
    let _ = encode(&mut text, &page.0);
    text
}

struct Page(Registry);

impl Page {
    fn counted(&mut self, meters: &Meters) {
        self.0.register(
            "revocation_lateness_seconds",
            "How long after its end a grant's access was read back as gone",
            meters.lateness.clone(),
        );
        self.0.register(
            "ledger_commit_seconds",
            "How long a batch of records took to be durable",
            meters.commits.clone(),
        );
        self.0.register("reports", "Results and events, by their code", meters.outcomes.clone());
        let help = "What was stopped on its way out because it held a secret, by the way out";
        self.0.register("secrets_withheld", help, meters.withheld.clone());
    }

    fn grants(&mut self, engine: &Engine, status: &StatusView) {
        let of = |phase: Phase| engine.grants().filter(|g| g.phase == phase).count() as f64;
        let grants = [
            ("applying", of(Phase::Applying)),
            ("indeterminate", of(Phase::Indeterminate)),
            ("active", of(Phase::Active)),
            ("revoking", of(Phase::Revoking)),
            ("settling", of(Phase::Settling)),
            ("ended", of(Phase::Ended)),
        ];
        let labelled = grants.map(|(state, n)| (State { state: state.to_owned() }, n));
        self.each("grants", "Grants that are not closed, by the state of their life", labelled);
        let counts = &status.grants;
        self.one("grants_live", "Grants whose access is there or being given", counts.live as f64);
        self.one(
            "revocations_overdue",
            "Grants due for more than 30 seconds and not proven gone",
            counts.overdue as f64,
        );
        self.one(
            "grants_abandoned",
            "Grants that an operator gave up and no read has shown gone",
            counts.abandoned as f64,
        );
        let late = engine.grants().filter(|g| g.phase == Phase::Revoking).map(|g| g.overdue_ms(clock::now()));
        self.one(
            "revocation_oldest_seconds",
            "How long the ending that is due longest has been due; 0 when none is",
            seconds(late.max().unwrap_or(0)),
        );
        if let Some(next) = engine.next_expiry() {
            self.one(
                "next_expiry_timestamp_seconds",
                "When the next live grant ends",
                next.0 as f64 / 1000.0,
            );
        }
    }

    fn peers(&mut self, turn: &Turn, now: Now) {
        let control = turn.contact.last.map(|at| ("control_plane".to_owned(), at.boot));
        let all: Vec<IntegrationView> = turn.engine.integrations().collect();
        let clouds = all.iter().filter_map(|i| Some((format!("jumpcloud/{}", i.id), i.answered_at?)));
        let ago = |at: BootTime| (now.wall.0 as f64) / 1000.0 - seconds(now.boot.since(at).0);
        let contacts = control.into_iter().chain(clouds).map(|(peer, at)| (Peer { peer }, ago(at)));
        self.each("last_contact_timestamp_seconds", "When a peer answered last", contacts);
        let of = |i: &IntegrationView| OfIntegration { integration: i.id.to_string() };
        let reachable = |i: &IntegrationView| i.fault.is_none() && i.answered_at.is_some();
        self.each(
            "integration_reachable",
            "1 if JumpCloud answered the last request",
            all.iter().map(|i| (of(i), flag(reachable(i)))),
        );
        self.each(
            "request_rate_limit",
            "Requests a second that are allowed at present; less than configured after a throttling",
            all.iter().map(|i| (of(i), i.rate as f64)),
        );
        self.each(
            "key_expires_timestamp_seconds",
            "When the key or secret of a connection ends, where anybody says so",
            turn.parts.clients.all().into_iter().filter_map(|(id, key)| {
                let ends = key.client.key_ends()?.0 as f64 / 1000.0;
                Some((OfIntegration { integration: id.to_string() }, ends))
            }),
        );
        self.each(
            "circuit_open",
            "1 while nothing but endings is sent, because calls failed in a row",
            all.iter().map(|i| (of(i), flag(i.circuit_open))),
        );
    }

    fn state(&mut self, turn: &Turn, status: &StatusView, health: &HealthView) {
        let build = Build { version: status.version.clone() };
        self.each("build_info", "Always 1; the label tells the version", [(build, 1.0)]);
        self.one("ready", "1 if new grants can be served", flag(health.ready));
        self.one(
            "frozen",
            "1 while an operator's stop for raises is in force",
            flag(status.frozen.is_some()),
        );
        self.one(
            "revoke_only",
            "1 while the ledger is in doubt and nothing is raised",
            flag(!status.ledger.doubts.is_empty()),
        );
        self.one("claims", "Claims of unknown grants that wait for an operator", status.ledger.claims as f64);
        self.one("policy_loaded", "1 if a policy is in force", flag(status.policy.loaded));
        let refused = status.policy.error.is_some();
        self.one("policy_refused", "1 if the newest policy file was not taken", flag(refused));
        self.one("ledger_ok", "1 if the last write to the journal succeeded", flag(status.ledger.ok));
        self.one("ledger_head", "Sequence number of the newest record", status.ledger.head_seq as f64);
        self.one(
            "outbox_reports",
            "Reports that the control plane has not acknowledged",
            status.outbox_depth as f64,
        );
        self.one("clock_trusted", "1 if raises may rely on the clock", flag(status.clock.trusted));
        if let Some(skew) = turn.contact.skew_ms {
            self.one(
                "clock_skew_seconds",
                "How far the clock is ahead of the control plane's; negative when behind",
                skew as f64 / 1000.0,
            );
        }
    }

    fn one(&mut self, name: &str, help: &str, value: f64) {
        let figure = Figure::default();
        figure.set(value);
        self.0.register(name, help, figure);
    }

    fn each<L>(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (L, f64)>)
    where
        L: Clone + std::fmt::Debug + std::hash::Hash + Eq + EncodeLabelSet + Send + Sync + 'static,
    {
        let family = Family::<L, Figure>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }
}

/// The gauges of Prometheus are floating-point numbers; milliseconds stay exact far beyond any date.
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
