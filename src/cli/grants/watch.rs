//! `grants watch`: the grants as they come, count down and go.
//!
//! On a terminal one screen, drawn anew each second; elsewhere a line for each change, or an object of JSON.
//! Refuses to end by itself while there is a daemon to ask.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::json;

use super::{HEAD, Which, line, row};
use crate::{
    admin::{
        client::{self, AskError},
        view::GrantView,
    },
    cli::{
        Exit, Failure, Output,
        output::{self, cell, span},
    },
    clock,
    config::Config,
    control::wire::Utc,
};

const EACH: Duration = Duration::from_secs(1);
/// Back to the first place and away with everything behind it.
const REDRAW: &str = "\u{1b}[H\u{1b}[J";
const CLEAR: &str = "\u{1b}[2J";

/// Watches until it is stopped.
pub(super) async fn run(config: &Config, which: &Which, form: Output) -> Result<Exit, Failure> {
    let socket = &config.agent.control_socket;
    let lines = output::terminal_lines().filter(|_| form == Output::Human);
    // Nobody there at the beginning is an error; one who goes away later may come back.
    let mut answer = client::grants(socket).await.map(Some)?;
    let mut before = BTreeMap::new();
    if lines.is_some() {
        output::text(CLEAR)?;
    }
    loop {
        let at = Utc(clock::now().wall).to_string();
        let grants = answer.take().map(|grants| which.of(grants));
        match (lines, &grants) {
            (Some(_), _) => {
                let height = output::terminal_lines().unwrap_or(24);
                output::text(&(REDRAW.to_owned() + &frame(grants.as_deref(), &at, height)))?;
            }
            (None, Some(grants)) => {
                for changed in changes(&mut before, grants) {
                    output::text(&said(&changed, &at, form))?;
                }
            }
            (None, None) => {}
        }
        tokio::time::sleep(EACH).await;
        answer = match client::grants(socket).await {
            Ok(grants) => Some(grants),
            Err(AskError::NotRunning(_) | AskError::Slow(_) | AskError::Broken(..)) => None,
            Err(error) => return Err(error.into()),
        };
    }
}

/// The screen: at most `height` lines of 80 columns, without a line break behind the last.
fn frame(grants: Option<&[GrantView]>, at: &str, height: usize) -> String {
    let Some(grants) = grants else {
        return format!(
            "{at}  the daemon does not answer\nNothing is ended until it is back.\n\nCtrl-C: leave"
        );
    };
    let of = |states: &[&str]| grants.iter().filter(|grant| states.contains(&&*grant.state)).count();
    let mut text = format!(
        "{at}  {} live, {} ending, {} overdue\n",
        of(&["applying", "indeterminate", "active"]),
        of(&["revoking"]),
        grants.iter().filter(|grant| grant.overdue).count()
    );
    text += &row(HEAD);
    // Two lines above, two below.
    let room = height.saturating_sub(4).max(1);
    let shown = if grants.len() > room { room - 1 } else { grants.len() };
    for grant in &grants[..shown] {
        text += &line(grant);
    }
    if shown < grants.len() {
        let _ = writeln!(
            text,
            "and {} more: a higher terminal, or `ephemerald grants list`",
            grants.len() - shown
        );
    }
    if grants.is_empty() {
        text += "no grants\n";
    }
    text + "\nCtrl-C: leave; nothing changes"
}

/// One thing that is different.
struct Change {
    grant: GrantView,
    /// Its state before; `None` for one that is new.
    was: Option<String>,
    /// It is not held any more.
    closed: bool,
}

/// What is different from what was seen before; remembers what is seen now.
fn changes(before: &mut BTreeMap<String, GrantView>, now: &[GrantView]) -> Vec<Change> {
    let mut found = Vec::new();
    for grant in now {
        let old = before.insert(grant.grant_id.clone(), grant.clone());
        let same = old.as_ref().is_some_and(|old| {
            (&old.state, &old.ends_at, old.overdue, old.given_up)
                == (&grant.state, &grant.ends_at, grant.overdue, grant.given_up)
        });
        if !same {
            found.push(Change { grant: grant.clone(), was: old.map(|old| old.state), closed: false });
        }
    }
    before.retain(|id, old| {
        let there = now.iter().any(|grant| grant.grant_id == *id);
        if !there {
            found.push(Change { was: Some(old.state.clone()), grant: old.clone(), closed: true });
        }
        there
    });
    found
}

fn said(change: &Change, at: &str, form: Output) -> String {
    let grant = &change.grant;
    if form == Output::Json {
        return json!({"at": at, "was": change.was, "closed": change.closed, "grant": grant}).to_string()
            + "\n";
    }
    let state = match (change.closed, grant.overdue, grant.given_up) {
        (true, ..) => "closed",
        (_, _, true) => "given up",
        (_, true, _) => "OVERDUE",
        _ => &grant.state,
    };
    let was =
        change.was.as_ref().filter(|_| !change.closed).map_or_else(String::new, |was| format!("{was} -> "));
    let left = if grant.seconds_left > 0 { span(grant.seconds_left) + " left" } else { String::new() };
    let (id, account, role) =
        (cell(&grant.grant_id, 40), cell(&grant.account_email, 60), cell(&grant.role, 40));
    format!("{at} {id} {account} {role}: {was}{state} {left}").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-25T21:05:17.000Z";

    fn grant(id: &str, state: &str, seconds_left: u64) -> GrantView {
        GrantView {
            grant_id: id.into(),
            account_email: format!("{id}@example.com"),
            role: "Help Desk".into(),
            state: state.into(),
            seconds_left,
            ..GrantView::default()
        }
    }

    fn three() -> Vec<GrantView> {
        let named = |mut grant: GrantView, email: &str, role: &str| {
            (grant.account_email, grant.role) = (email.into(), role.into());
            grant
        };
        let late = GrantView { overdue: true, ..grant("grant-1007-9c", "revoking", 0) };
        vec![
            named(late, "chiara@example.com", "Manager"),
            named(grant("grant-1009-41", "active", 843), "dmitri@example.com", "Help Desk"),
            named(grant("grant-1012-e0", "applying", 25_920), "elif@example.com", "Administrator"),
        ]
    }

    #[test]
    fn the_screen_is_never_higher_or_wider_than_the_terminal() {
        let many: Vec<_> = (0..500).map(|n| grant(&"g".repeat(n), "active", 60)).collect();
        for (grants, height) in
            [(Some(&many[..]), 24), (Some(&many[..3]), 24), (Some(&many[..0]), 5), (None, 24)]
        {
            let frame = frame(grants, AT, height);
            assert!(frame.lines().count() <= height, "{frame}");
            assert!(frame.lines().all(|line| line.chars().count() <= 80), "{frame}");
        }
        assert!(frame(Some(&many), AT, 24).contains("and 481 more"));
        assert_eq!(frame(Some(&many[..20]), AT, 24).lines().count(), 24, "twenty fit, and are shown");
    }

    #[test]
    fn without_a_terminal_each_change_is_said_once() {
        let mut before = BTreeMap::new();
        let mut said = |grants: &[GrantView]| {
            let lines = changes(&mut before, grants);
            lines.iter().map(|change| said(change, AT, Output::Human)).collect::<String>()
        };
        assert_eq!(
            said(&[grant("a", "active", 61)]),
            format!("{AT} a a@example.com Help Desk: active 1m 1s left\n")
        );
        assert_eq!(said(&[grant("a", "active", 60)]), "", "the time that is left is no change");
        assert!(said(&[grant("a", "revoking", 0)]).ends_with(": active -> revoking\n"));
        assert!(said(&[]).ends_with(": closed\n"));
        assert_eq!(said(&[]), "");
    }

    #[test]
    fn the_operations_page_shows_this_very_screen() {
        let page = include_str!("../../../docs/operations.md");
        let frame = frame(Some(&three()), AT, 24);
        assert!(page.contains(&frame), "docs/operations.md lacks:\n{frame}");
    }
}
