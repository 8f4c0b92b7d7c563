//! Waits until access is proven gone, and says what is not.
//!
//! Refuses to take anything but the agent's own word for it, which is a read of JumpCloud.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::{
    Exit, Failure, Output,
    output::{self, cell, span},
    reach::Hand,
};
use crate::{
    admin::{
        client::{AskError, Line},
        command::DeedView,
        view::GrantView,
    },
    clock,
    engine::time::Millis,
};

const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Grants that a summary names one by one.
const NAMED: usize = 15;

/// How much proof is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// One read that shows the access gone.
    Gone,
    /// A second one, after the settling time.
    Settled,
}

/// For how long, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) proof: Proof,
    pub(super) at_most: Duration,
}

/// What came of an order to end grants.
#[derive(Debug, Serialize)]
pub(super) struct Ended {
    /// Whether the journal holds the order.
    pub(super) recorded: bool,
    /// Undecided jobs that were answered instead of being granted.
    pub(super) answered: usize,
    /// Grants whose access was read back as gone.
    pub(super) proven: Vec<String>,
    /// Grants whose access may remain.
    pub(super) remaining: Vec<GrantView>,
}

impl Ended {
    pub(super) fn exit(&self) -> Exit {
        if self.remaining.is_empty() { Exit::Done } else { Exit::Remains }
    }
}

/// Looks until everything that `order` is about is gone, nothing more can be waited for, or time is over.
pub(super) async fn wait(line: &Line, order: DeedView, patience: Patience) -> Result<Ended, AskError> {
    let began = clock::now().boot;
    let at_most = Millis(u64::try_from(patience.at_most.as_millis()).unwrap_or(u64::MAX));
    let mut remaining = order.grants.clone();
    remaining.retain(|grant| !is_gone(grant, patience.proof));
    while remaining.iter().any(|grant| !grant.given_up) && clock::now().boot.since(began) < at_most {
        progress(&order, &remaining, clock::now().boot.since(began));
        tokio::time::sleep(BETWEEN_LOOKS).await;
        match line.grants().await {
            Ok(found) => remaining = left(&order.grants, found, patience.proof),
            // A daemon that restarts takes the endings up again.
            Err(AskError::NotRunning(_) | AskError::Slow(_) | AskError::Broken(..)) => {}
            Err(error) => return Err(error),
        }
    }
    output::progress_over();
    let stays = |id: &String| remaining.iter().any(|grant| grant.grant_id == *id);
    let proven = order.grants.into_iter().map(|grant| grant.grant_id).filter(|id| !stays(id)).collect();
    Ok(Ended { recorded: order.recorded, answered: order.answered, proven, remaining })
}

/// Those of `wanted` that are not gone. One that is not listed any more is closed, and so gone.
fn left(wanted: &[GrantView], mut found: Vec<GrantView>, proof: Proof) -> Vec<GrantView> {
    found.retain(|grant| wanted.iter().any(|w| w.grant_id == grant.grant_id) && !is_gone(grant, proof));
    found
}

fn is_gone(grant: &GrantView, proof: Proof) -> bool {
    match proof {
        Proof::Gone => matches!(&*grant.state, "settling" | "ended"),
        Proof::Settled => grant.state == "ended",
    }
}

fn progress(order: &DeedView, remaining: &[GrantView], since: Millis) {
    let all = order.grants.len();
    let seconds = span(since.0 / 1000);
    output::progress(&format!("{} of {all} proven gone, {seconds}", all - remaining.len()));
}

/// Prints what came of it; the exit code says whether all is gone.
pub(super) fn report(ended: &Ended, hand: Hand, form: Output) -> Result<Exit, Failure> {
    match form {
        Output::Json => {
            let mut value = serde_json::to_value(ended).map_err(|error| Failure::new(Exit::Failed, error))?;
            value["by"] = hand.name().into();
            output::json(&value)?;
        }
        Output::Human => output::folded(&render(ended, hand))?,
    }
    Ok(ended.exit())
}

fn render(ended: &Ended, hand: Hand) -> String {
    let (proven, remaining) = (ended.proven.len(), ended.remaining.len());
    let mut text = String::new();
    if !ended.recorded {
        text += "The journal cannot be written: this is in force, but in no record yet.\n";
    }
    if ended.answered > 0 {
        let _ = writeln!(text, "{} not decided yet: answered, nothing was given.", grants(ended.answered));
    }
    match (proven, remaining) {
        (0, 0) => text += "No grant was live: nothing was to be ended.\n",
        (_, 0) => {
            let _ = writeln!(text, "{} gone: JumpCloud was read and shows it.", grants(proven));
        }
        _ => {
            let _ = writeln!(text, "{proven} gone, {remaining} NOT PROVEN GONE:");
            for grant in ended.remaining.iter().take(NAMED) {
                let GrantView { grant_id, account_email, role, .. } = grant;
                let fault = grant.last_fault.as_deref().unwrap_or("none yet");
                let _ = writeln!(text, "  {} {}", cell(grant_id, 28), cell(account_email, 48));
                let _ = writeln!(text, "    {}, last fault: {}", cell(role, 30), cell(fault, 28));
            }
            if remaining > NAMED {
                let _ = writeln!(text, "  and {} more", remaining - NAMED);
            }
            text += match hand {
                Hand::Daemon => {
                    "The daemon tries on for ever: `ephemerald grants watch`. If it cannot succeed,\nset the role in JumpCloud's console.\n"
                }
                Hand::Own => {
                    "NOBODY TRIES ON: run this again, start the daemon, or set the role in\nJumpCloud's console.\n"
                }
            };
        }
    }
    text
}

fn grants(count: usize) -> String {
    if count == 1 { "1 grant is".to_owned() } else { format!("{count} grants are") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(id: &str, state: &str) -> GrantView {
        GrantView {
            grant_id: id.into(),
            account_email: "ä".repeat(90),
            role: "r".repeat(90),
            state: state.into(),
            ..GrantView::default()
        }
    }

    #[test]
    fn gone_is_what_was_read_back_or_is_closed_and_never_what_is_still_tried() {
        let wanted = ["a", "b", "c", "d"].map(|id| grant(id, "revoking"));
        let found =
            vec![grant("a", "revoking"), grant("b", "settling"), grant("c", "ended"), grant("x", "active")];
        let ids =
            |proof| left(&wanted, found.clone(), proof).into_iter().map(|g| g.grant_id).collect::<Vec<_>>();
        assert_eq!(ids(Proof::Gone), ["a"]);
        assert_eq!(ids(Proof::Settled), ["a", "b"]);
    }

    #[test]
    fn what_may_remain_is_named_within_eighty_columns_and_changes_the_exit_code() {
        let remaining: Vec<_> = (0..40).map(|n| grant(&format!("g{n}"), "revoking")).collect();
        let ended = Ended { recorded: true, answered: 1, proven: vec!["p".into()], remaining };
        for hand in [Hand::Daemon, Hand::Own] {
            let text = render(&ended, hand);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.contains("1 gone, 40 NOT PROVEN GONE") && text.contains("and 25 more"), "{text}");
            assert_eq!(text.contains("NOBODY TRIES ON"), hand == Hand::Own);
        }
        assert_eq!(ended.exit(), Exit::Remains);
        let ended = Ended { remaining: Vec::new(), ..ended };
        assert!(render(&ended, Hand::Daemon).contains("1 grant is gone"));
        assert_eq!(ended.exit(), Exit::Done);
    }
}
