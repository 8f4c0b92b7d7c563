//! The task that talks: long polls for jobs, heartbeats for those in hand.
//!
//! Refuses to queue: the channel is bounded and a full one stops intake. A lost control plane is an
//! event, never an end; the task ends only when it is told to.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    backoff::Waits,
    client::{Client, ControlError, MAX_WAIT_S},
    verify::{Refusal, VerifiedJob, Verifier},
    wire::{AcquireRequest, Delivery, HeartbeatRequest, JobState, Offers, Reachable, Utc},
};
use crate::engine::{
    codes::{ResultCode, Rule},
    ids::JobId,
    input::Input,
    time::{Millis, Now},
};

/// What the agent can take and holds; changed by the agent's loop at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The most jobs to hand out at once; 0 = none, no polling.
    pub capacity: u32,
    /// The agent's integrations.
    pub integrations: Vec<Reachable>,
    /// Jobs accepted and without a result: they get heartbeats and are not sent again.
    pub in_hand: Vec<(JobId, JobState)>,
    /// Whether the agent raises nothing because its ledger is in doubt.
    pub revoke_only: bool,
}

/// What the agent's loop hears.
#[derive(Debug)]
pub enum ControlEvent {
    /// A job that is authentic, ours and fresh.
    Job(Box<VerifiedJob>),
    /// A job that is none. It has to be answered; if `refusal.job_id` is `None`, the signature did
    /// not verify and `delivered_as` is only what the envelope claims: answer it, but never close or
    /// remember a job by it.
    Refused {
        /// The id of the envelope.
        delivered_as: JobId,
        /// Why.
        refusal: Refusal,
    },
    /// A job in hand was withdrawn.
    Cancelled(JobId),
    /// The control plane answered.
    Contact {
        /// Its clock.
        server_time: Utc,
        /// The time the answer took, long poll included: the bound on the error of `server_time`.
        rtt: Millis,
    },
    /// Something that concerns the agent's own ledger.
    Ledger(Box<Input>),
    /// The control plane did not answer, or not as it should.
    Lost {
        /// What happened.
        error: ControlError,
    },
}

/// What the task runs on.
#[derive(Clone)]
pub struct Line {
    /// The client.
    pub client: Arc<Client>,
    /// What jobs are judged against; replaced when a new key set comes.
    pub verifier: watch::Receiver<Arc<Verifier>>,
    /// What the agent can take.
    pub wants: watch::Receiver<Wants>,
    /// Where events go.
    pub events: mpsc::Sender<ControlEvent>,
    /// How long one poll may stay open, seconds; at most [`MAX_WAIT_S`].
    pub wait_s: u32,
    /// What the agent can do.
    pub offers: Option<Offers>,
    /// Seconds to wait between polls, as the newest status answer asked; 0 to 300.
    pub pace_s: watch::Receiver<u32>,
    /// Turns true, or is dropped, at shutdown.
    pub stop: watch::Receiver<bool>,
    /// The clock.
    pub clock: fn() -> Now,
}

/// Polls and heartbeats until told to stop, or until nobody listens.
pub async fn run(line: Line) {
    let mut stop = line.stop.clone();
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = polls(line.clone()) => {}
        () = heartbeats(line) => {}
    }
}

/// Nobody listens any more.
struct Deaf;

/// The shortest time between two polls that brought nothing new.
const FLOOR: Duration = Duration::from_secs(1);
/// The longest time between polls that a control plane may ask for.
const MAX_PACE_S: u32 = 300;
/// Heartbeats come at a third of the shortest sensible lease.
const HEARTBEAT: Duration = Duration::from_secs(10);

async fn polls(mut line: Line) {
    let mut waits = Waits::default();
    let mut seen = BTreeSet::new();
    loop {
        if line.wants.wait_for(|wants| wants.capacity > 0).await.is_err() {
            return;
        }
        let pause = match poll(&mut line, &mut seen).await {
            Ok(Ok(pause)) => {
                waits.reset();
                pause
            }
            Ok(Err(error)) => {
                let pause = waits.next(error.retry_after());
                if line.events.send(ControlEvent::Lost { error }).await.is_err() {
                    return;
                }
                pause
            }
            Err(Deaf) => return,
        };
        tokio::time::sleep(pause).await;
    }
}

/// One poll; the pause that should follow.
async fn poll(line: &mut Line, seen: &mut BTreeSet<JobId>) -> Result<Result<Duration, ControlError>, Deaf> {
    let request = request(&line.wants.borrow_and_update(), line.wait_s, line.offers.clone());
    let before = (line.clock)();
    let answer = match line.client.acquire(&request).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    let now = (line.clock)();
    let rtt = now.boot.since(before.boot);
    line.tell(ControlEvent::Contact { server_time: answer.server_time, rtt }).await?;
    // A job that comes again and again must not make the loop spin; what is remembered for that is
    // one answer's ids and no more.
    let fresh = answer.jobs.iter().any(|delivery| !seen.contains(&delivery.job_id));
    seen.clear();
    seen.extend(answer.jobs.iter().map(|delivery| delivery.job_id.clone()));
    for delivery in answer.jobs {
        line.hand_over(delivery).await?;
    }
    let asked = answer.poll_after_s.unwrap_or(0).max(*line.pace_s.borrow()).min(MAX_PACE_S);
    let quiet_wait = rtt >= Millis::from_secs(1);
    let floor = if fresh || quiet_wait { Duration::ZERO } else { FLOOR };
    Ok(Ok(Duration::from_secs(u64::from(asked)).max(floor)))
}

fn request(wants: &Wants, wait_s: u32, offers: Option<Offers>) -> AcquireRequest {
    AcquireRequest {
        capacity: wants.capacity,
        wait_s: wait_s.min(MAX_WAIT_S),
        integrations: wants.integrations.clone(),
        known: wants.in_hand.iter().map(|(id, _)| id.clone()).collect(),
        offers,
    }
}

impl Line {
    async fn tell(&self, event: ControlEvent) -> Result<(), Deaf> {
        self.events.send(event).await.map_err(|_| Deaf)
    }

    async fn hand_over(&self, delivery: Delivery) -> Result<(), Deaf> {
        let verifier = Arc::clone(&self.verifier.borrow());
        let event = match verifier.verify(&delivery.jws, (self.clock)().wall) {
            Ok(job) if job.claims.job_id == delivery.job_id => ControlEvent::Job(Box::new(job)),
            // The envelope is nobody's word; one that contradicts the signature is not acted on.
            Ok(job) => ControlEvent::Refused {
                delivered_as: delivery.job_id,
                refusal: Refusal {
                    job_id: None,
                    digest: Some(job.digest),
                    code: ResultCode::Rejected,
                    rule: Some(Rule::Malformed),
                },
            },
            Err(refusal) => ControlEvent::Refused { delivered_as: delivery.job_id, refusal },
        };
        self.tell(event).await
    }
}

async fn heartbeats(mut line: Line) {
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Wants { in_hand, revoke_only, .. } = line.wants.borrow_and_update().clone();
        told.retain(|id| in_hand.iter().any(|(held, _)| held == id));
        for (id, state) in in_hand {
            // Failures are the polls' to report; the next round tries again.
            let Ok(answer) = line.client.heartbeat(&id, &HeartbeatRequest { state, revoke_only }).await
            else {
                continue;
            };
            if answer.cancelled
                && told.insert(id.clone())
                && line.tell(ControlEvent::Cancelled(id)).await.is_err()
            {
                return;
            }
        }
    }
}
