//! The story: the whole main job in under a minute, every step verified against the other side.
//!
//! The simulated JumpCloud and the reference control plane run in this process, over real TLS; the
//! agent is the shipped program, a process of its own, configured by files alone. A step is told
//! only when it was seen: in JumpCloud's own state, or in what the control plane received. Refuses to
//! call a story good with a step missing.

mod acts;
mod operator;
mod stage;
mod teller;

use std::time::Instant;

use self::{stage::Stage, teller::Teller};

/// Plays the story; with `once` it ends afterwards, else everything keeps running for trying out.
/// True if every step was seen.
///
/// # Errors
/// What failed, for the person who watches.
#[expect(clippy::disallowed_methods, reason = "the sandbox measures its own story")]
pub async fn run(once: bool, json: bool) -> Result<bool, String> {
    let mut teller = Teller::new(json, Instant::now());
    let mut stage = Stage::set(&mut teller).await?;
    let played = acts::play(&mut stage, &mut teller).await;
    let good = played.is_ok();
    if let Err(problem) = &played {
        teller.failed(problem, &stage.agent_log_tail());
    } else {
        teller.finished();
    }
    if !once && good {
        teller.what_next(&stage);
        told_to_stop().await;
    }
    stage.strike(once).await;
    Ok(good)
}

/// Ctrl-C, or SIGTERM: both must take the agent's process along.
async fn told_to_stop() {
    let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
