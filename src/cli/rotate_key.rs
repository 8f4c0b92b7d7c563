//! `rotate-key`: the running daemon makes itself a new key and has the control plane take it.
//!
//! Refuses nothing itself: who may ask is the socket's to say, whether the key changes the control
//! plane's.

use super::{Exit, Failure, Output, output};
use crate::{
    admin::{
        client,
        view::{RotationOutcome, RotationView},
    },
    config::Config,
};

/// Asks, waits, prints.
pub(super) async fn run(config: &Config, form: Output) -> Result<Exit, Failure> {
    let view = client::rotate_key(&config.agent.control_socket).await?;
    match form {
        Output::Json => output::json(&view)?,
        Output::Human => output::folded(&render(&view))?,
    }
    Ok(match view.outcome {
        RotationOutcome::Done => Exit::Done,
        RotationOutcome::Refused => Exit::Refused,
        RotationOutcome::Pending => Exit::Transient,
        RotationOutcome::Impossible => Exit::Failed,
    })
}

fn render(view: &RotationView) -> String {
    let key = view.key.as_deref().unwrap_or("unknown");
    let problem = view.problem.as_deref().unwrap_or("see the log");
    match view.outcome {
        RotationOutcome::Done => {
            let old = view.previous.as_deref().unwrap_or("unknown");
            format!("new key {key}\nold key {old}, erased\n\nBack up the state directory again.\n")
        }
        RotationOutcome::Refused => format!("The key was not changed: {problem}\nkey in force {key}\n"),
        RotationOutcome::Pending => {
            format!("The change goes on by itself; both keys are kept until it is done: {problem}\n")
        }
        RotationOutcome::Impossible => format!("The key was not changed: {problem}\n"),
    }
}
