//! `grants`: what is granted, what is on its way out, what is overdue.
//!
//! Refuses to change anything; `revoke` does.

mod watch;

use std::fmt::Write as _;

use super::{
    Exit, Failure, Output,
    output::{self, cell, span},
};
use crate::{
    admin::{client, view::GrantView},
    config::Config,
};

/// What to see.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    look: Option<Look>,
    #[command(flatten)]
    list: Which,
}

#[derive(Debug, clap::Subcommand)]
enum Look {
    /// List the grants that are not closed, the next to end first (the same without a word)
    List(Which),
    /// Show one grant in full
    Show {
        /// The grant
        #[arg(value_name = "GRANT")]
        grant: String,
    },
    /// Watch them: live on a terminal, a line a change elsewhere
    Watch(Which),
}

/// Which grants to list.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only grants of this integration
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
    /// Only those past their end and not proven gone; exits 9 if there is one
    #[arg(long)]
    overdue: bool,
}

impl Which {
    /// Those that fit, the next to end first.
    fn of(&self, mut grants: Vec<GrantView>) -> Vec<GrantView> {
        grants.retain(|grant| {
            self.integration.as_ref().is_none_or(|name| *name == grant.integration)
                && (!self.overdue || grant.overdue || grant.given_up)
        });
        grants.sort_by(|a, b| (a.seconds_left, &a.grant_id).cmp(&(b.seconds_left, &b.grant_id)));
        grants
    }
}

/// Looks.
pub(super) async fn run(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    match &args.look {
        None => list(config, &args.list, form).await,
        Some(Look::List(which)) => list(config, which, form).await,
        Some(Look::Show { grant }) => show(config, grant, form).await,
        Some(Look::Watch(which)) => watch::run(config, which, form).await,
    }
}

async fn list(config: &Config, which: &Which, form: Output) -> Result<Exit, Failure> {
    let grants = which.of(client::grants(&config.agent.control_socket).await?);
    match form {
        Output::Json => output::json(&grants)?,
        Output::Human => output::folded(&render(&grants))?,
    }
    Ok(if which.overdue && !grants.is_empty() { Exit::Remains } else { Exit::Done })
}

async fn show(config: &Config, grant: &str, form: Output) -> Result<Exit, Failure> {
    let grants = client::grants(&config.agent.control_socket).await?;
    let Some(found) = grants.into_iter().find(|found| found.grant_id == grant) else {
        let problem = format!(
            "{grant}: no such grant is held (any more): `ephemerald audit export --grant {grant}` has its history"
        );
        return Err(Failure::new(Exit::Refused, problem));
    };
    match form {
        Output::Json => output::json(&found)?,
        Output::Human => output::folded(&render_one(&found))?,
    }
    Ok(Exit::Done)
}

fn render_one(grant: &GrantView) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<14} {}", value.chars().map(printable).collect::<String>());
        }
    };
    let state = if grant.given_up { format!("{}, GIVEN UP", grant.state) } else { grant.state.clone() };
    let lateness = grant.lateness_ms.map(|ms| format!("{ms} ms after its end"));
    line("grant", Some(&grant.grant_id));
    line("state", Some(&state));
    line("account", Some(&grant.account_email));
    line("account id", grant.account_id.as_deref());
    line("role", Some(&grant.role));
    line("kind", Some(&grant.kind));
    line("integration", Some(&grant.integration));
    line("request", grant.request_number.as_deref());
    line("justification", grant.justification.as_deref());
    line("job", Some(&grant.job_id));
    line("accepted", Some(&grant.accepted_at));
    line("ends", Some(&grant.ends_at));
    line("left", Some(&span(grant.seconds_left)).filter(|_| grant.seconds_left > 0).map(String::as_str));
    line("ended because", grant.ended_reason.as_deref());
    line("ended", grant.ended_by.as_deref());
    line("noticed", lateness.as_deref());
    line("writes", Some(&grant.attempts.to_string()));
    line("last fault", grant.last_fault.as_deref());
    text
}

fn printable(c: char) -> char {
    if c.is_control() { '?' } else { c }
}

fn render(grants: &[GrantView]) -> String {
    if grants.is_empty() {
        return "no grants\n".to_owned();
    }
    let mut table = row(HEAD);
    for grant in grants {
        table += &line(grant);
        if let Some(fault) = &grant.last_fault {
            let _ = writeln!(table, "  last fault: {}", cell(fault, 66));
        }
    }
    table
}

const HEAD: [&str; 5] = ["GRANT", "ACCOUNT", "ROLE", "STATE", "LEFT"];

/// One grant in one line.
fn line(grant: &GrantView) -> String {
    let left = if grant.overdue { "OVERDUE".to_owned() } else { span(grant.seconds_left) };
    let state = if grant.given_up { "given up" } else { &grant.state };
    row([&grant.grant_id, &grant.account_email, &grant.role, state, &left])
}

fn row(cells: [&str; 5]) -> String {
    let [grant, account, role, state, left] = cells;
    let line = format!(
        "{:<14} {:<25} {:<18} {:<10} {}",
        cell(grant, 14),
        cell(account, 25),
        cell(role, 18),
        cell(state, 10),
        cell(left, 7)
    );
    line.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_eighty_columns_whatever_the_names_are() {
        let long = "ä".repeat(300) + "\u{1b}[31m";
        let grant = GrantView {
            grant_id: long.clone(),
            account_email: long.clone(),
            role: long.clone(),
            state: long.clone(),
            last_fault: Some(long),
            seconds_left: 86_399,
            ..GrantView::default()
        };
        let table = render(std::slice::from_ref(&grant));
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(!table.contains('\u{1b}') && table.contains("23h 59m"));
        assert!(!render_one(&grant).contains('\u{1b}'));
    }

    #[test]
    fn overdue_are_those_past_their_end_and_those_that_were_given_up() {
        let grant = |id: &str| GrantView { grant_id: id.into(), ..GrantView::default() };
        let late = GrantView { overdue: true, ..grant("late") };
        let given_up = GrantView { given_up: true, ..grant("up") };
        let which = Which { integration: None, overdue: true };
        let found = which.of(vec![grant("well"), late, given_up]);
        assert_eq!(found.iter().map(|g| &*g.grant_id).collect::<Vec<_>>(), ["late", "up"]);
        let table = render(&found);
        assert!(table.contains("OVERDUE") && table.contains("given up"), "{table}");
    }
}
