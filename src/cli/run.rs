//! `run`: the daemon itself.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Exit, Failure};
use crate::{
    agent::{self, AgentError, confines},
    config::Config,
    hardening,
    ledger::LedgerError,
    telemetry,
};

/// Sets up the log, takes from the process what it does not need, and runs the agent until SIGTERM or SIGINT; a
/// second signal ends it at once.
pub(super) async fn run(config: Config) -> Result<Exit, Failure> {
    telemetry::init(&config.log).map_err(|error| Failure::new(Exit::Config, error))?;
    // Before anything is started: only threads that come later are covered, and so far this is the only one.
    hardening::apply(&confines::plan(&config)).log();
    let (stopper, stop) = watch::channel(false);
    let signals = tokio::spawn(signals(stopper));
    tokio::select! {
        ended = agent::run(config, stop) => ended.map(|()| Exit::Done).map_err(failure),
        _ = signals => Ok(Exit::Failed),
    }
}

/// The first signal asks; the second one does not.
async fn signals(stopper: watch::Sender<bool>) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!(
            "signals cannot be handled: stop the agent with SIGKILL; live grants are taken over at the next start"
        );
        return std::future::pending().await;
    };
    for last in [false, true] {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        if last {
            tracing::warn!("second signal: ended at once; what was in flight is looked at at the next start");
            return;
        }
        tracing::info!("stopping: no new jobs; what is in flight is recorded first");
        stopper.send_replace(true);
    }
}

fn failure(error: AgentError) -> Failure {
    let exit = match &error {
        AgentError::Ledger(LedgerError::Locked { .. }) => Exit::Locked,
        AgentError::Socket(crate::admin::server::ServeError::InUse(_)) => Exit::Locked,
        AgentError::Ledger(_) | AgentError::Socket(_) => Exit::Config,
        AgentError::Signals(_) | AgentError::Entropy => Exit::Failed,
    };
    Failure::new(exit, error)
}
