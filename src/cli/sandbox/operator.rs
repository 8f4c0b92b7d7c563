//! The person's side of the reference control plane: ask, agree, look.
//!
//! Refuses: to judge a request. The control plane and the agent's policy do that.

use std::{fmt::Write as _, path::PathBuf};

use super::super::{
    Exit, Failure, Output,
    output::{self, cell},
};
use crate::{
    control::wire,
    engine::ids::{Email, IntegrationId, RoleName},
    sandbox::control_plane::{
        ExtensionSpec, Operator, OperatorError, Queued, RequestSpec, RequestView, SyncSpec,
    },
};

/// Which control plane.
#[derive(Debug, clap::Args)]
struct Where {
    /// The control plane's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// An access request.
#[derive(Debug, clap::Args)]
pub(super) struct Request {
    #[command(flatten)]
    place: Where,
    /// Whose access; with --ephemeral, for whom the account is made
    #[arg(long, value_name = "EMAIL", value_parser = Email::new)]
    account: Email,
    /// The role, as JumpCloud spells it
    #[arg(long, value_name = "NAME", value_parser = RoleName::new)]
    role: RoleName,
    /// For how long
    #[arg(long, value_name = "TIME", default_value = "1m")]
    duration: humantime::Duration,
    /// Create an ephemeral account instead of raising an existing one
    #[arg(long)]
    ephemeral: bool,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "trying the sandbox")]
    justification: String,
    /// Who asks
    #[arg(long, value_name = "EMAIL", default_value = "visitor@example.com", value_parser = Email::new)]
    requester: Email,
    /// The agent's name for the JumpCloud organization
    #[arg(long, value_name = "NAME", default_value = "jumpcloud", value_parser = IntegrationId::new)]
    integration: IntegrationId,
}

/// An approval.
#[derive(Debug, clap::Args)]
pub(super) struct Approve {
    #[command(flatten)]
    place: Where,
    /// The number of the access request, such as AR-1001
    number: String,
    /// Who approves; may be given several times
    #[arg(long, value_name = "EMAIL", required = true, value_parser = Email::new)]
    by: Vec<Email>,
}

/// More time.
#[derive(Debug, clap::Args)]
pub(super) struct Extend {
    #[command(flatten)]
    place: Where,
    /// The number of the access request, such as AR-1001
    number: String,
    /// For how long from the agent's acceptance of the extension
    #[arg(long, value_name = "TIME")]
    duration: humantime::Duration,
    /// Who approves; may be given several times
    #[arg(long, value_name = "EMAIL", required = true, value_parser = Email::new)]
    by: Vec<Email>,
    /// Who asks; else the requester of the access
    #[arg(long, value_name = "EMAIL", value_parser = Email::new)]
    requester: Option<Email>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "trying the sandbox")]
    justification: String,
}

/// The inventory.
#[derive(Debug, clap::Args)]
pub(super) struct Sync {
    #[command(flatten)]
    place: Where,
    /// The agent's name for the JumpCloud organization
    #[arg(long, value_name = "NAME", default_value = "jumpcloud", value_parser = IntegrationId::new)]
    integration: IntegrationId,
}

/// A list.
#[derive(Debug, clap::Args)]
pub(super) struct Requests {
    #[command(flatten)]
    place: Where,
}

pub(super) async fn request(args: &Request, form: Output) -> Result<Exit, Failure> {
    let target = if args.ephemeral {
        let requester = args.account.clone();
        wire::Target::Ephemeral(wire::Ephemeral { requester, firstname: None, lastname: None })
    } else {
        wire::Target::Email(args.account.clone())
    };
    let spec = RequestSpec {
        requester: args.requester.clone(),
        integration: args.integration.clone(),
        target,
        role: args.role.clone(),
        duration_s: args.duration.as_secs(),
        justification: Some(args.justification.clone()),
        start_within_s: 300,
        agent: None,
    };
    let view = operator(&args.place)?.request(&spec).await.map_err(failure)?;
    let next = format!(
        "Next:\n  ephemerald sandbox approve --data-dir {} {} --by boss@example.com\n",
        args.place.data_dir.display(),
        view.number
    );
    show(&view, form, &next)
}

pub(super) async fn approve(args: &Approve, form: Output) -> Result<Exit, Failure> {
    let view = operator(&args.place)?.approve(&args.number, &args.by).await.map_err(failure)?;
    show(&view, form, "")
}

pub(super) async fn extend(args: &Extend, form: Output) -> Result<Exit, Failure> {
    let asked = ExtensionSpec {
        duration_s: args.duration.as_secs(),
        requester: args.requester.clone(),
        approvers: args.by.clone(),
        justification: Some(args.justification.clone()),
    };
    queued(&operator(&args.place)?.extend(&args.number, &asked).await.map_err(failure)?, form)
}

pub(super) async fn sync(args: &Sync, form: Output) -> Result<Exit, Failure> {
    let asked = SyncSpec { integration: args.integration.clone(), agent: None };
    queued(&operator(&args.place)?.sync(&asked).await.map_err(failure)?, form)
}

fn queued(queued: &Queued, form: Output) -> Result<Exit, Failure> {
    match form {
        Output::Json => output::json(queued)?,
        Output::Human => output::folded(&format!("{} is signed and waits for the agent\n", queued.job_id))?,
    }
    Ok(Exit::Done)
}

pub(super) async fn requests(args: &Requests, form: Output) -> Result<Exit, Failure> {
    let views = operator(&args.place)?.requests().await.map_err(failure)?;
    match form {
        Output::Json => output::json(&views)?,
        Output::Human if views.is_empty() => output::text("no access requests\n")?,
        Output::Human => output::folded(&views.iter().map(line).collect::<String>())?,
    }
    Ok(Exit::Done)
}

fn show(view: &RequestView, form: Output, next: &str) -> Result<Exit, Failure> {
    match form {
        Output::Json => output::json(view)?,
        Output::Human => output::text(&(line(view) + next))?,
    }
    Ok(Exit::Done)
}

/// `AR-1001  granted    help@example.com  Manager  ends …`, at most 80 columns.
fn line(view: &RequestView) -> String {
    let whose = match &view.spec.target {
        wire::Target::Email(email) => email.to_string(),
        wire::Target::AccountId(id) => id.to_string(),
        wire::Target::Ephemeral(person) => format!("new, for {}", person.requester),
    };
    let state = serde_json::to_value(view.state).ok();
    let state = state.as_ref().and_then(|state| state.as_str()).unwrap_or("?").to_owned();
    let detail = view.detail.as_deref().unwrap_or_default();
    let mut text = String::new();
    let cells = [(&*view.number, 8), (&state, 15), (&whose, 26), (view.spec.role.as_str(), 14), (detail, 13)];
    for (value, width) in cells {
        let _ = write!(text, "{:<width$} ", cell(value, width));
    }
    text.trim_end().to_owned() + "\n"
}

fn operator(place: &Where) -> Result<Operator, Failure> {
    Operator::of_data_dir(&place.data_dir).map_err(failure)
}

pub(super) fn failure(error: OperatorError) -> Failure {
    let exit = match error {
        OperatorError::Unreachable(..) => Exit::Transient,
        OperatorError::Refused { .. } => Exit::Refused,
        OperatorError::Address(_) | OperatorError::File(..) | OperatorError::CaFile(_) => Exit::Config,
        OperatorError::Tls(_) => Exit::Failed,
    };
    Failure::new(exit, error)
}
