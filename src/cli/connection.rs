//! `connection test`: reads each connection and asks JumpCloud whose key that is. `connection rotate`: has the
//! running daemon do so and take a new key into use.
//!
//! Refuses: to change anything (`test`); to show a key, which is named by the first 8 digits of its SHA-256.

use std::fmt::Write as _;

use super::{Exit, Failure, Output, check, output};
use crate::{
    admin::{
        client,
        view::{KeyOutcome, KeyView},
    },
    agent,
    config::{Config, Integration},
};

/// What is to be done with the connections.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read each connection and ask JumpCloud whose key it is; changes nothing
    Test(Args),
    /// Have the running daemon read its connections again and take a new key into use
    Rotate(Args),
}

/// Which connections.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// This integration only
    #[arg(value_name = "INTEGRATION")]
    name: Option<String>,
}

/// Does it, and prints what came of each connection.
pub(super) async fn run(config: &Config, command: &Command, form: Output) -> Result<Exit, Failure> {
    let (Command::Test(args) | Command::Rotate(args)) = command;
    let wanted = |integration: &&Integration| {
        args.name.as_deref().is_none_or(|name| integration.settings.id.as_str() == name)
    };
    let integrations: Vec<_> = config.integrations.iter().filter(wanted).collect();
    if let (Some(name), true) = (&args.name, integrations.is_empty()) {
        let problem = format!("there is no integration {name:?}: `ephemerald config show` lists them");
        return Err(Failure::new(Exit::Config, problem));
    }
    let mut exit = Exit::Done;
    let views = if let Command::Rotate(_) = command {
        let views = client::connections(&config.agent.control_socket, args.name.as_deref()).await?;
        for view in &views {
            exit = worse(exit, of(view.outcome));
        }
        views
    } else {
        let mut views = Vec::new();
        for integration in integrations {
            let (view, found) = tested(config, integration).await;
            exit = worse(exit, found);
            views.push(view);
        }
        views
    };
    match form {
        Output::Json => output::json(&views)?,
        Output::Human => output::folded(&views.iter().map(render).collect::<String>())?,
    }
    Ok(exit)
}

fn of(outcome: KeyOutcome) -> Exit {
    match outcome {
        KeyOutcome::Kept | KeyOutcome::Taken => Exit::Done,
        KeyOutcome::Refused => Exit::Refused,
        KeyOutcome::Unreadable => Exit::Config,
    }
}

fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Done { other } else { one }
}

/// Reads one and asks whose it is.
async fn tested(config: &Config, integration: &Integration) -> (KeyView, Exit) {
    let mut view = KeyView {
        integration: integration.settings.id.to_string(),
        source: integration.connection.to_string(),
        ..KeyView::default()
    };
    let made = agent::prepare(config, integration)
        .and_then(|prepared| agent::open(&prepared).map(|(client, _)| (prepared, client)));
    let (prepared, client) = match made {
        Ok(made) => made,
        Err(problem) => {
            view.problem = Some(problem);
            return (view, Exit::Config);
        }
    };
    view.key = Some(client.key().to_owned());
    view.outcome = KeyOutcome::Refused;
    let failed = match client.token().await {
        Some(Err(problem)) => {
            let (exit, advice) = check::token_advice(&problem);
            Some((exit, format!("{}: {advice}", problem.why)))
        }
        _ => match client.me().await {
            Ok(me) => {
                view.outcome = KeyOutcome::Kept;
                view.organization = me.who.org.map(|org| org.to_string());
                view.account = me.who.email.map(|email| email.to_string());
                view.role = me.who.role.map(|role| role.to_string());
                view.ends_at = me.key_ends.map(|at| crate::control::wire::Utc(at).to_string());
                None
            }
            Err(fault) => {
                let (exit, advice) = check::advice(&fault, &prepared.connection);
                let status = fault
                    .status
                    .map_or_else(|| "no answer".to_owned(), |status| format!("answered {status}"));
                Some((exit, format!("{status}: {advice}")))
            }
        },
    };
    let exit = failed.as_ref().map_or(Exit::Done, |(exit, _)| *exit);
    view.problem = failed.map(|(_, problem)| problem);
    (view, exit)
}

fn render(view: &KeyView) -> String {
    let mut text = format!("integration   {}\n", view.integration);
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(text, "  {name:<12}{value}");
        }
    };
    let outcome = match view.outcome {
        KeyOutcome::Kept => "accepted",
        KeyOutcome::Taken => "a new key is in use",
        KeyOutcome::Refused => "NOT taken",
        KeyOutcome::Unreadable => "cannot be read",
    };
    line("outcome", Some(outcome));
    line("source", Some(&view.source));
    line("key", view.key.as_deref());
    let before = if view.outcome == KeyOutcome::Taken { "before" } else { "in use" };
    line(before, view.previous.as_deref());
    line("belongs to", view.account.as_deref());
    line("role", view.role.as_deref());
    line("in", view.organization.as_deref());
    line("ends", view.ends_at.as_deref());
    line("problem", view.problem.as_deref());
    text
}
