//! What the control plane says, and how much of it the agent can take.
//!
//! Each integration has a room of its own: jobs for one that does not answer fill theirs and leave the
//! others what they have. Refuses, by leaving them to their leases, jobs beyond that room; never an ending.

use std::collections::BTreeMap;

use super::{intake, parked::Parked, turn::Turn, views};
use crate::{
    clock,
    control::{
        poll::{ControlEvent, Wants},
        verify::VerifiedJob,
        wire::{JobBody, JobState},
    },
    engine::{
        ids::{IntegrationId, JobId},
        input::Input,
        time::{Millis, Now},
    },
};

/// What is known of the control plane.
#[derive(Clone, Debug, Default)]
pub(super) struct Contact {
    pub(super) last: Option<Now>,
    pub(super) error: Option<String>,
    pub(super) skew_ms: Option<i64>,
}

impl Turn {
    pub(super) fn control_event(&mut self, event: ControlEvent) {
        match event {
            ControlEvent::Contact { server_time, rtt } => {
                if self.contact.error.take().is_some() || self.contact.last.is_none() {
                    tracing::info!("control plane: in contact");
                }
                let now = clock::now();
                self.contact.last = Some(now);
                self.contact.skew_ms = Some(now.wall.0 - server_time.0.0);
                if rtt < Millis::from_secs(5) {
                    self.feed(Input::ControlTime(server_time.0));
                }
            }
            ControlEvent::Lost { error } => {
                if self.contact.error.is_none() {
                    tracing::warn!(error = %error, "control plane: out of contact; live grants run to their end");
                }
                self.contact.error = Some(error.to_string());
            }
            ControlEvent::Ledger(input) => self.feed(*input),
            ControlEvent::Cancelled(job) => match self.parked.cancel(&job) {
                Some(refusal) => self.feed(Input::Refused(refusal)),
                None => self.feed(Input::Cancelled(job)),
            },
            ControlEvent::Job(job) if self.has_room_for(&job) => self.take_job(job),
            ControlEvent::Job(job) => {
                let claims = &job.claims;
                tracing::warn!(job.id = %claims.job_id, integration = %claims.integration, "jobs: this integration has as many in hand as it may; left to its lease");
            }
            ControlEvent::Refused { delivered_as, refusal } => {
                let refusal = intake::refusal(delivered_as, &refusal);
                self.feed(Input::Refused(refusal));
            }
        }
    }

    fn take_job(&mut self, job: Box<VerifiedJob>) {
        if Parked::must_wait(&job, &self.engine) {
            return self.parked.put(job, clock::now());
        }
        match intake::job(&job, &self.engine, &self.parts) {
            Ok(job) => self.feed(Input::Job(Box::new(job))),
            Err(refusal) => self.feed(Input::Refused(refusal)),
        }
    }

    /// Goes on with the jobs whose integration has answered, or never did.
    pub(super) fn unpark(&mut self) {
        for over in self.parked.over(&self.engine, clock::now()) {
            match over {
                Ok(job) => self.take_job(job),
                Err(refusal) => self.feed(Input::Refused(refusal)),
            }
        }
    }

    /// What the polling task may ask for.
    pub(super) fn wants(&self) -> Wants {
        let in_hand = self.in_hand();
        let room = self.rooms(&in_hand).into_values().max().unwrap_or(0);
        Wants {
            capacity: if self.ledger_ok { room } else { 0 },
            revoke_only: self.engine.state().recovery.is_revoke_only(),
            integrations: views::reachable(&self.engine),
            in_hand: in_hand.into_iter().map(|(job, _)| (job.clone(), self.job_state(&job))).collect(),
        }
    }

    fn job_state(&self, job: &JobId) -> JobState {
        let parked = self.parked.ids().any(|(waiting, _)| waiting == *job);
        if parked || self.engine.is_waiting(job) { JobState::Accepted } else { JobState::Running }
    }

    fn in_hand(&self) -> Vec<(JobId, IntegrationId)> {
        self.engine.jobs_in_hand().into_iter().chain(self.parked.ids()).collect()
    }

    /// How many more jobs each integration may have in hand.
    fn rooms(&self, in_hand: &[(JobId, IntegrationId)]) -> BTreeMap<IntegrationId, u32> {
        let mut rooms: BTreeMap<IntegrationId, u32> =
            self.engine.integrations().map(|i| (i.id, self.parts.capacity)).collect();
        for (_, integration) in in_hand {
            rooms.entry(integration.clone()).and_modify(|room| *room = room.saturating_sub(1));
        }
        rooms
    }

    /// A job of an integration that is not configured is answered at once, and needs no room.
    fn has_room_for(&self, job: &VerifiedJob) -> bool {
        let in_hand = self.in_hand();
        matches!(job.claims.job, JobBody::Revoke(_))
            || in_hand.iter().any(|(held, _)| *held == job.claims.job_id)
            || self.rooms(&in_hand).get(&job.claims.integration).is_none_or(|room| *room > 0)
    }
}
