//! The agent's key is changed: a new key is made and durable, announced, tried, and only then put
//! into force.
//!
//! ```text
//! make next ─▶ announce (proven by both) ─▶ try one status with next ─▶ in force ─▶ old one erased
//!    durable      lost? said again             lost? tried again
//! ```
//! Refuses to throw a key away while nobody has said which of the two is good: whatever is lost, and
//! whenever the process dies, the next attempt finds both and goes on. Of keys only thumbprints are
//! told.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{
    admin::view::{RotationOutcome, RotationView},
    control::{
        client::{Client, ControlError},
        identity::{Identity, IdentityError},
        key_file,
        keys::KeyPair,
        wire::StatusRequest,
    },
    secrets::AtRest,
};

/// Somebody at the machine asks for a new key, and waits for what came of it.
pub(super) type Ask = oneshot::Sender<RotationView>;

/// The change of one agent's key.
pub(super) struct Rotation {
    client: Arc<Client>,
    dir: PathBuf,
    rest: AtRest,
    /// A new key is on disk and has not come to its end.
    pending: bool,
    /// The key in force is not yet the one on disk.
    unwritten: bool,
    /// The key in force could not be changed; the wish to change it is not heard again.
    stays: Option<String>,
}

/// What an attempt came to.
enum Outcome {
    Done,
    Refused(String),
    Failed(String),
    Pending(String),
}

impl Rotation {
    /// Takes up what an earlier process left.
    pub(super) fn resume(
        client: Arc<Client>,
        (dir, rest): (PathBuf, AtRest),
        identity: &mut Identity,
    ) -> Self {
        if let Err(error) = key_file::tidy(&dir) {
            tracing::error!(error = %error, "agent key: the old key cannot be erased");
        }
        let pending = match key_file::load_next(&dir, &rest) {
            Ok(next) => next.is_some(),
            Err(error) => {
                tracing::error!(error = %error, "agent key: the new key of an unfinished change cannot be read; the old one stays in force");
                false
            }
        };
        let mut rotation = Self { client, dir, rest, pending, unwritten: false, stays: None };
        rotation.note_key(identity);
        rotation
    }

    /// Whether there is something to finish, given what the last call came to. The control plane must
    /// have answered: also a refused proof may mean that it has taken the new key already.
    pub(super) fn is_due<T>(&self, last: &Result<T, ControlError>) -> bool {
        self.pending && matches!(last, Ok(_) | Err(ControlError::NotAccepted { .. }))
    }

    /// Whether the control plane's wish to replace the key of that thumbprint is about the key in force.
    pub(super) fn is_wished(&self, thumbprint: Option<&str>) -> bool {
        thumbprint.is_some_and(|wished| {
            wished == self.client.key().public().thumbprint() && self.stays.as_deref() != thumbprint
        })
    }

    /// Changes the key, or goes on with a change. `status` is what the new key is tried with.
    pub(super) async fn attempt(
        &mut self,
        why: &str,
        identity: &mut Identity,
        status: &StatusRequest,
    ) -> RotationView {
        let old = self.client.key().public().thumbprint();
        let outcome = match self.make() {
            Ok(next) => {
                let new = next.public().thumbprint();
                tracing::info!(why, key.old = old, key.new = new, "agent key: to be changed");
                self.exchange(next, status).await
            }
            Err(error) => Outcome::Failed(error.to_string()),
        };
        self.conclude(&outcome, identity);
        let key = self.client.key().public().thumbprint();
        let (outcome, problem) = match outcome {
            Outcome::Done => (RotationOutcome::Done, None),
            Outcome::Refused(problem) | Outcome::Failed(problem) => (RotationOutcome::Refused, Some(problem)),
            Outcome::Pending(problem) => (RotationOutcome::Pending, Some(problem)),
        };
        let previous = (key != old).then_some(old);
        RotationView { outcome, key: Some(key), previous, problem }
    }

    /// Writes what could not be written before.
    pub(super) fn tidy(&mut self, identity: &mut Identity) {
        if self.unwritten {
            self.promote(identity);
        }
    }

    fn make(&self) -> Result<KeyPair, IdentityError> {
        let mut entropy = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *entropy).expect("the system's random source does not fail after start");
        key_file::prepare_next(&self.dir, &entropy, &self.rest)
    }

    async fn exchange(&mut self, next: KeyPair, status: &StatusRequest) -> Outcome {
        self.pending = true;
        let announced = self.client.rotate_key(&next).await;
        if let Err(error) = &announced
            && !matches!(error, ControlError::NotAccepted { .. } | ControlError::Refused { .. })
        {
            return Outcome::Pending(error.to_string());
        }
        // Also after a refusal: an earlier announcement, whose answer was lost, may have been taken.
        match (self.client.try_key(next, status).await, announced) {
            (Ok(_), _) => Outcome::Done,
            // It said no to the change and does not know the new key: that is final.
            (Err(ControlError::NotAccepted { status: 401, .. }), Err(error)) if is_final(&error) => {
                Outcome::Refused(error.to_string())
            }
            (Err(error), Ok(_)) => Outcome::Pending(error.to_string()),
            (Err(error), Err(first)) => Outcome::Pending(format!("{first}; with the new key: {error}")),
        }
    }

    fn conclude(&mut self, outcome: &Outcome, identity: &mut Identity) {
        match outcome {
            Outcome::Done => {
                self.pending = false;
                let key = self.client.key().public().thumbprint();
                tracing::info!(key.new = key, "agent key: changed; the new key has worked");
                self.promote(identity);
            }
            Outcome::Refused(error) => {
                self.pending = false;
                self.stays = Some(self.client.key().public().thumbprint());
                tracing::error!(error, "agent key: not changed; the old key stays in force");
                if let Err(error) = key_file::forget_next(&self.dir) {
                    tracing::error!(error = %error, "agent key: the refused key cannot be erased");
                }
            }
            Outcome::Failed(error) => {
                tracing::error!(error, "agent key: a new key cannot be made; the old key stays in force");
            }
            Outcome::Pending(error) => {
                tracing::warn!(
                    error,
                    "agent key: the change is not finished; both keys are kept and it is tried again"
                );
            }
        }
    }

    fn promote(&mut self, identity: &mut Identity) {
        match key_file::promote_next(&self.dir) {
            Ok(()) => {
                self.unwritten = false;
                tracing::info!("agent key: the old key is erased");
                self.note_key(identity);
            }
            Err(error) => {
                self.unwritten = true;
                tracing::error!(error = %error, "agent key: the new key is in force and cannot be put in its place on disk yet; a restart finds both");
            }
        }
    }

    /// `identity.json` names the key in force, for people.
    fn note_key(&mut self, identity: &mut Identity) {
        let key = self.client.key().public().thumbprint();
        if identity.key == key {
            return;
        }
        identity.key = key;
        if let Err(error) = identity.store(&self.dir, &self.rest) {
            tracing::error!(error = %error, "agent key: identity.json still names the old key");
        }
    }
}

const fn is_final(error: &ControlError) -> bool {
    matches!(error, ControlError::Refused { .. } | ControlError::NotAccepted { status: 403, .. })
}
