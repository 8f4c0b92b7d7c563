//! `grants`: what is granted at the moment.

use std::fmt::Write as _;

use super::{
    Exit, Failure, Output,
    output::{self, cell, span},
};
use crate::{
    admin::{client, view::GrantView},
    config::Config,
};

/// Which grants to list.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only grants of this integration
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
}

/// Lists the grants that are not closed, the next to end first.
pub(super) async fn run(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    let mut grants = client::grants(&config.agent.control_socket).await?;
    grants.retain(|grant| args.integration.as_ref().is_none_or(|name| *name == grant.integration));
    grants.sort_by(|a, b| (a.seconds_left, &a.grant_id).cmp(&(b.seconds_left, &b.grant_id)));
    match form {
        Output::Json => output::json(&grants)?,
        Output::Human => output::text(&render(&grants))?,
    }
    Ok(Exit::Done)
}

fn render(grants: &[GrantView]) -> String {
    if grants.is_empty() {
        return "no grants\n".to_owned();
    }
    let mut table = row(["GRANT", "ACCOUNT", "ROLE", "STATE", "LEFT"]);
    for grant in grants {
        let left = span(grant.seconds_left);
        table += &row([&grant.grant_id, &grant.account_email, &grant.role, &grant.state, &left]);
        if let Some(fault) = &grant.last_fault {
            let _ = writeln!(table, "  last fault: {}", cell(fault, 66));
        }
    }
    table
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
        let table = render(&[grant]);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(!table.contains('\u{1b}') && table.contains("23h 59m"));
    }
}
