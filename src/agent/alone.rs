//! The agent for as long as one piece of work takes, when no daemon runs: the same ledger, engine and
//! JumpCloud clients, without a control plane.
//!
//! Refuses to raise: there is no policy, no job can come, and a raise is not handed to the executor. What
//! falls due meanwhile is ended too. Its reports lie in the outbox until a daemon runs again.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{
    assemble::{AgentError, Parts, entropy, parts, tag_key},
    connect::connect,
    opening::{self, Book},
    state_key,
    talk::{self, LoopEnds},
    turn::{Ears, Turn},
};
use crate::{
    admin::client::Line,
    clock,
    config::Config,
    engine::Engine,
    ledger::{FILE_NAME, LedgerError},
};

/// Takes the ledger, does `work` with an agent that can only take away, and gives the ledger back.
///
/// # Errors
/// [`AgentError`]: the ledger is another process's, or cannot be used, or there is none.
pub async fn alone<T>(config: &Config, work: impl AsyncFnOnce(Line) -> T) -> Result<T, AgentError> {
    let file = config.agent.state_dir.join(FILE_NAME);
    if !file.exists() {
        let problem = "there is no ledger here, so there is nothing to revoke; is --config or --state-dir the right one?";
        return Err(LedgerError::Unreadable { path: file, problem: problem.to_owned() }.into());
    }
    // Nothing is begun anew here: a ledger that is lost is the daemon's to say.
    let rest = state_key::read(config);
    let Book { ledger, events: ledger_seen, restored, .. } =
        opening::open(&config.agent.state_dir, false, &state_key::keying(&rest)).await?;
    let (reports, executor_events) = mpsc::unbounded_channel();
    // The wires' other ends are held, so that the loop waits for them and not for nobody.
    let (LoopEnds { control, delivered: inventories, senders }, _wires) = talk::wires();
    let (stopper, stop) = watch::channel(false);
    let (queries, admin) = mpsc::channel(16);
    let (_hinting, hints) = mpsc::channel(1);
    let (_reloading, reload) = mpsc::channel(1);
    let (_changing, keys) = mpsc::channel(1);
    // Read and never made: what this process makes may be another user's.
    let dir = &config.agent.state_dir;
    let tag_key = dir.join(state_key::TAG_KEY).exists().then(|| tag_key(dir, &rest)).flatten();
    let channels = (Arc::clone(&ledger), reports);
    let all = parts(config, connect(config), channels, senders, None, (tag_key, rest));
    let parts = Parts { raises: false, ..all };
    let seed = entropy()?;
    let (engine, first) = Engine::new(parts.settings.clone(), restored, seed, clock::now());
    let ears = Ears {
        ledger: ledger_seen,
        executor: executor_events,
        control,
        hints,
        admin,
        reload,
        inventories,
        keys,
        stop,
    };
    let turn = Turn::new(engine, parts, seed).run(first, ears);
    let work = async {
        let done = work(Line::Own(queries)).await;
        stopper.send_replace(true);
        done
    };
    let (done, ()) = tokio::join!(work, turn);
    ledger.close().await;
    Ok(done)
}
