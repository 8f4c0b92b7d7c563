//! Finds somebody who can do what an operator wants: the daemon over its socket or, when none runs, an agent
//! inside this process that takes the ledger's lock and can only take access away.
//!
//! Refuses to do anything beside a daemon that lives: its lock is respected, its answer waited for.

use std::time::Duration;

use super::{Exit, Failure};
use crate::{
    admin::client::{self, AskError, Line},
    agent::{self, AgentError},
    config::Config,
    ledger::LedgerError,
    telemetry,
};

/// How often a lock is tried that is held although nobody listens: a daemon that is just starting or
/// stopping, or another command.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(300);

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    /// The daemon, which goes on with what is not finished.
    Daemon,
    /// This process; nobody goes on after it.
    Own,
}

impl Hand {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Own => "alone",
        }
    }
}

/// Does `work` with whoever can do it.
pub(super) async fn reach<T>(
    config: &Config,
    work: impl AsyncFn(Line) -> Result<T, AskError>,
) -> Result<(Hand, T), Failure> {
    let socket = &config.agent.control_socket;
    for tried in 0.. {
        if !matches!(client::health(socket).await, Err(AskError::NotRunning(_))) {
            return Ok((Hand::Daemon, work(Line::Socket(socket.clone())).await?));
        }
        if tried == 0 {
            super::output::hint("no daemon runs: taking the ledger for this command");
            // Twice is no harm: the first one stands.
            let _ = telemetry::init_for_a_command();
        }
        match agent::alone(config, &work).await {
            Ok(done) => return Ok((Hand::Own, done?)),
            Err(AgentError::Ledger(LedgerError::Locked { .. })) if tried < TRIES => {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            Err(error) => return Err(failure(error)),
        }
    }
    unreachable!("the loop returns at its last try")
}

fn failure(error: AgentError) -> Failure {
    let exit = match &error {
        AgentError::Ledger(LedgerError::Locked { .. }) => Exit::Locked,
        AgentError::Ledger(_) => Exit::Config,
        _ => Exit::Failed,
    };
    Failure::new(exit, error)
}
