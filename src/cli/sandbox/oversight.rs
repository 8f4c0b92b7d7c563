//! What the operator of a reference control plane looks at and changes: agents and their processes,
//! alarms, inventories, job-signing keys.
//!
//! Refuses: to show more than 80 columns; `--output json` has all of it.

use std::{fmt::Write as _, path::PathBuf};

use super::{
    super::{
        Exit, Failure, Output,
        output::{self, cell},
    },
    operator::failure,
};
use crate::{
    control::wire::PageKind,
    engine::ids::AgentId,
    sandbox::control_plane::{AgentView, AlarmView, InventoryView, KeysView, Operator},
};

/// Which control plane.
#[derive(Debug, clap::Args)]
pub(super) struct Look {
    /// The control plane's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// A change of keys.
#[derive(Debug, clap::Args)]
pub(super) struct Keys {
    #[command(flatten)]
    place: Look,
    /// What to change; without it the keys are shown
    #[arg(value_enum, value_name = "CHANGE")]
    what: Option<Change>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Change {
    /// Make a new job-signing key; the old ones stay trusted
    Rotate,
    /// Take all but the newest out of the set, once no job of theirs is open
    DropOld,
}

/// A wish to an agent.
#[derive(Debug, clap::Args)]
pub(super) struct NewKey {
    #[command(flatten)]
    place: Look,
    /// The agent's id
    #[arg(value_name = "AGENT", value_parser = AgentId::new)]
    agent: AgentId,
}

pub(super) async fn agents(args: &Look, form: Output) -> Result<Exit, Failure> {
    let agents = operator(args)?.agents().await.map_err(failure)?;
    print(&agents, form, |agents| agents.iter().map(agent).collect(), "no agents\n")
}

pub(super) async fn alarms(args: &Look, form: Output) -> Result<Exit, Failure> {
    let alarms = operator(args)?.alarms().await.map_err(failure)?;
    print(&alarms, form, |alarms| alarms.iter().map(alarm).collect(), "no alarms\n")
}

pub(super) async fn inventory(args: &Look, form: Output) -> Result<Exit, Failure> {
    let found = operator(args)?.inventory().await.map_err(failure)?;
    print(&found, form, |found| found.iter().map(reading).collect(), "no inventory has come\n")
}

pub(super) async fn keys(args: &Keys, form: Output) -> Result<Exit, Failure> {
    let operator = operator(&args.place)?;
    let keys = match args.what {
        None => operator.keys().await,
        Some(Change::Rotate) => operator.rotate_keys().await,
        Some(Change::DropOld) => operator.drop_old_keys().await,
    };
    print(&keys.map_err(failure)?, form, key_set, "")
}

pub(super) async fn new_key(args: &NewKey, form: Output) -> Result<Exit, Failure> {
    let view = operator(&args.place)?.wish_new_key(&args.agent).await.map_err(failure)?;
    print(&view, form, agent, "")
}

fn operator(place: &Look) -> Result<Operator, Failure> {
    Operator::of_data_dir(&place.data_dir).map_err(failure)
}

fn print<T: serde::Serialize>(
    what: &T,
    form: Output,
    text: impl Fn(&T) -> String,
    nothing: &str,
) -> Result<Exit, Failure> {
    match form {
        Output::Json => output::json(what)?,
        Output::Human => {
            let text = text(what);
            output::folded(if text.is_empty() { nothing } else { &text })?;
        }
    }
    Ok(Exit::Done)
}

fn agent(view: &AgentView) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12} {}", cell(value, 67)); // a String takes all
    };
    line("agent", view.id.as_str());
    let wished = if view.new_key_wished { ", asked to change it" } else { "" };
    line("key", &format!("{}{wished}", view.key));
    if let Some(next) = &view.next_key {
        line("next key", next);
    }
    if let Some(offers) = &view.offers {
        let versions: Vec<String> = offers.versions.iter().map(u32::to_string).collect();
        line("offers", &format!("version {}: {}", versions.join(", "), offers.job_types.join(", ")));
    }
    for process in view.instances.iter().take(5) {
        line("process", &format!("{} of epoch {}", process.instance, process.epoch));
    }
    text
}

fn alarm(view: &AlarmView) -> String {
    let agent = view.agent.as_ref().map_or("", AgentId::as_str);
    let kind = serde_json::to_value(view.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("?");
    format!(
        "{:<24} {:<18} {:>5} times\n  {}\n",
        cell(agent, 24),
        cell(kind, 18),
        view.count,
        cell(&view.text, 78)
    )
}

fn reading(view: &InventoryView) -> String {
    let count = |kind: PageKind| -> usize {
        view.pages.iter().filter(|page| page.kind == kind).map(|page| page.items.len()).sum()
    };
    let complete = if view.complete { "complete" } else { "INCOMPLETE" };
    let mut text =
        format!("{:<20} {complete}, read {}\n", cell(view.integration.as_str(), 20), view.taken_at);
    let _ = writeln!(
        text,
        "  {} roles, {} accounts, {} permissions in {} pages, {} missing",
        count(PageKind::Roles),
        count(PageKind::Accounts),
        count(PageKind::Permissions),
        view.pages.len(),
        view.missing
    );
    text
}

fn key_set(view: &KeysView) -> String {
    let mut text = format!("root         {}\nkey set      version {}\n", view.root, view.version);
    for key in &view.trusted {
        let signs = if *key == view.signing { ", signs jobs" } else { "" };
        let _ = writeln!(text, "key          {key}{signs}");
    }
    text
}
