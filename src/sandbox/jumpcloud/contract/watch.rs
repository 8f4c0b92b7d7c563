//! What was seen of the exchanges of one simulated JumpCloud.
//!
//! Keeps the first violations and counts the rest, over resets too: whoever resets the simulation
//! between two tests must not lose sight of the first one's. Refuses to judge an answer that was made
//! wrong on purpose.

use std::sync::Arc;

use serde::Serialize;

use super::{By, Contract, Sent, Violation, deviations};
use crate::sandbox::jumpcloud::{faults::Fault, reply::Reply, switches::Switches};

/// The most violations, and the most notes, that are kept.
const KEPT: usize = 1_000;

/// An eye on every exchange.
pub(in crate::sandbox::jumpcloud) struct Watch {
    contract: Arc<Contract>,
    report: Report,
}

/// What was seen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Whether JumpCloud's own documents took part.
    pub published_documents: bool,
    /// Requests judged.
    pub requests: u64,
    /// Answers judged.
    pub answers: u64,
    /// Answers that were wrong on purpose (a fault, a switch) and therefore not judged.
    pub answers_left_out: u64,
    /// Requests of the agent and answers that are not as described; the first thousand.
    pub violations: Vec<Seen>,
    /// Requests of other clients that are not as described; the first thousand.
    pub notes: Vec<Seen>,
    /// Violations and notes that were not kept.
    pub dropped: u64,
}

/// A violation and when it was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// What was seen.
    #[serde(flatten)]
    pub violation: Violation,
}

impl Watch {
    pub(in crate::sandbox::jumpcloud) fn new(contract: Arc<Contract>) -> Self {
        let report = Report { published_documents: contract.knows_published(), ..Report::default() };
        Self { contract, report }
    }

    /// Judges one exchange. `reply` is what went out; none if that was no answer of the API.
    pub(in crate::sandbox::jumpcloud) fn see(
        &mut self,
        at_ms: i64,
        sent: &Sent,
        reply: Option<&Reply>,
        fault: &Fault,
        switches: &Switches,
    ) {
        self.report.requests += 1;
        for violation in self.contract.judge_request(sent) {
            self.note(at_ms, violation);
        }
        let Some(reply) = reply.filter(|_| deviations::answers_as_described(fault)) else {
            self.report.answers_left_out += 1;
            return;
        };
        let found = self.contract.judge_answer(sent, reply.status, reply.body.as_ref());
        if !found.is_empty() && deviations::on_purpose(switches, reply.status) {
            self.report.answers_left_out += 1;
            return;
        }
        self.report.answers += 1;
        for violation in found {
            self.note(at_ms, violation);
        }
    }

    pub(in crate::sandbox::jumpcloud) fn report(&self) -> &Report {
        &self.report
    }

    /// Forgets what was seen.
    pub(in crate::sandbox::jumpcloud) fn clear(&mut self) {
        *self = Self::new(Arc::clone(&self.contract));
    }

    fn note(&mut self, at_ms: i64, violation: Violation) {
        let kept = match violation.by {
            By::OtherClient => &mut self.report.notes,
            By::Agent | By::Simulation => &mut self.report.violations,
        };
        tracing::warn!(
            call = violation.call,
            problem = violation.problem,
            "not as JumpCloud's API is described: {violation}"
        );
        if kept.len() < KEPT {
            kept.push(Seen { at_ms, violation });
        } else {
            self.report.dropped += 1;
        }
    }
}
