//! Decisions about a doubted ledger. A daemon that runs is told, and writes them; where none runs, the command
//! takes the ledger's lock, writes the records, and leaves: the daemon finds them at its next start.
//!
//! Refuses what [`State::deed`] refuses, and findings that no daemon has recorded yet.

use std::{fmt::Write as _, path::Path};

use rustix::process::{geteuid, getuid};
use serde_json::json;

use super::{Command, failure, look, must_exist};
use crate::{
    admin::{
        client::{self, AskError},
        command::{Decision, DecisionView},
    },
    agent::keying,
    cli::{Exit, Failure, Output, output, reach::Hand},
    clock,
    config::Config,
    engine::{
        action::Entry,
        ids::{GrantId, IntegrationId, Remark},
        record::{Record, Seq},
        recovery::{Claim, Deed},
        state::State,
        time::Timestamp,
    },
    ledger::{self, Batch, Event, Keying, Ledger, LedgerError, OnLoss, Options, codec},
    secrets::AtRest,
};

/// Lists the open claims.
pub(super) fn claims(config: &Config, form: Output) -> Result<Exit, Failure> {
    must_exist(&config.agent.state_dir)?;
    let (report, _) = look(config).map_err(failure)?;
    let (restored, _) = codec::restore(&report.loaded, &report.opened);
    let claims: Vec<&Claim> = restored.state.recovery.claims.values().collect();
    match form {
        Output::Json => output::json(&claims)?,
        Output::Human if claims.is_empty() => output::folded("no claim is open\n")?,
        Output::Human => {
            output::folded(&claims.iter().fold(String::new(), |text, claim| text + &line(claim)))?
        }
    }
    Ok(Exit::Done)
}

fn line(claim: &Claim) -> String {
    let email = claim.email.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let id = claim.account.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let role = claim.role.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let end = claim.ends_at.map_or_else(|| "no end".to_owned(), |at| format!("to {}", time(at)));
    let mut text = String::new();
    let _ = writeln!(text, "{}", output::cell(claim.grant.as_str(), 80));
    let about = format!("{}: {email} ({id}), {role}, {end}", claim.integration);
    let _ = writeln!(text, "    {}", output::cell(&about, 76));
    let _ = writeln!(text, "    not believed: {}", claim.problem.as_str());
    text
}

/// Does what an operator has decided.
pub(super) async fn decide(config: &Config, command: Command, form: Output) -> Result<Exit, Failure> {
    let dir = &config.agent.state_dir;
    let (deed, why) = deed(command)?;
    let problem = |error| Failure::new(Exit::Usage, format!("--why: {error}"));
    let why = Remark::new(why.trim()).map_err(problem)?;
    if !geteuid().is_root() {
        let problem = "only root may decide what is in doubt: run this with sudo";
        return Err(Failure::new(Exit::Refused, problem));
    }
    must_exist(dir)?;
    let decision = Decision { deed, why };
    let (hand, recorded) = match client::decide(&config.agent.control_socket, &decision).await {
        Err(AskError::NotRunning(_)) => (Hand::Own, alone(config, &decision).await?),
        Err(error) => return Err(error.into()),
        Ok(DecisionView { refused: Some(why), .. }) => return Err(Failure::new(Exit::Refused, why)),
        Ok(view) => (Hand::Daemon, view.recorded),
    };
    match form {
        Output::Json => output::json(&json!({ "recorded": recorded, "by": hand.name() }))?,
        Output::Human => output::folded(&told(&decision.deed, hand))?,
    }
    Ok(Exit::Done)
}

/// Without a daemon; gives the kinds of the records.
async fn alone(config: &Config, decision: &Decision) -> Result<Vec<String>, Failure> {
    let dir = &config.agent.state_dir;
    let key = match keying(&AtRest::read(config.agent.state_key.as_ref())) {
        Keying::Unreadable(why) => {
            let problem = format!(
                "the state key cannot be read here ({why}), and what is written without it is not believed: start the daemon and run this again"
            );
            return Err(Failure::new(Exit::Config, problem));
        }
        key => key,
    };
    let written = write(dir, key, &decision.deed, (&by(), decision.why.as_str())).await;
    let handed = ledger::hand_over(dir);
    let records = written?;
    handed.map_err(failure)?;
    Ok(records.iter().map(|record| record.kind().to_owned()).collect())
}

fn deed(command: Command) -> Result<(Deed, String), Failure> {
    let usage = |error| Failure::new(Exit::Usage, error);
    Ok(match command {
        Command::Acknowledge { why, unheard } => (Deed::Acknowledge { unheard }, why),
        Command::Claim { grant, dismiss, why, .. } => {
            let grant = GrantId::new(&grant).map_err(usage)?;
            (if dismiss { Deed::Dismiss(grant) } else { Deed::Revoke(grant) }, why)
        }
        Command::Explain { integration, account, why, .. } => {
            (Deed::Explain(IntegrationId::new(&integration).map_err(usage)?, account), why)
        }
        Command::Check | Command::Backup { .. } | Command::Restore { .. } | Command::Claims => {
            return Err(Failure::new(Exit::Failed, "this command decides nothing"));
        }
    })
}

/// Who runs this, as far as the system knows.
fn by() -> String {
    let own = format!("uid {}", getuid().as_raw());
    let sudo = std::env::var("SUDO_UID").ok().filter(|uid| uid.parse::<u32>().is_ok());
    sudo.map_or_else(|| own.clone(), |uid| format!("{own}, by sudo from uid {uid}"))
}

/// Opens the ledger, writes the records and closes it.
async fn write(
    dir: &Path,
    key: Keying,
    deed: &Deed,
    (by, why): (&str, &str),
) -> Result<Vec<Record>, Failure> {
    let now = clock::now().wall;
    let options = Options { created_at: now.0, on_loss: OnLoss::Refuse, key };
    let (ledger, opened, mut events) = Ledger::<()>::open(dir, options).await.map_err(running)?;
    let loaded = ledger.load_open().await.map_err(failure)?;
    let (restored, _) = codec::restore(&loaded, &opened);
    let mut state = restored.state;
    let unseen = restored.findings.iter().filter(|found| !state.recovery.marks.contains(&found.mark)).count();
    let records = match state.deed(deed, by, why, now) {
        _ if unseen > 0 => Err(Failure::new(
            Exit::Refused,
            format!(
                "{unseen} findings are new: start the daemon once, so that it records them and asks the control plane"
            ),
        )),
        records => records.map_err(|cannot| Failure::new(Exit::Refused, cannot)),
    };
    let result = match records {
        Ok(records) => {
            append(&ledger, &mut state, opened.head.seq.0, now, &records, &mut events).await.map(|()| records)
        }
        Err(refused) => Err(refused),
    };
    ledger.close().await;
    result
}

async fn append(
    ledger: &Ledger<()>,
    state: &mut State,
    head: u64,
    now: Timestamp,
    records: &[Record],
    events: &mut tokio::sync::mpsc::Receiver<Event<()>>,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (seq, record) in (head + 1..).zip(records) {
        let entry = Entry { seq: Seq(seq), at: now, record: record.clone() };
        state.apply(entry.seq, entry.at, &entry.record);
        rows.push(codec::row(&entry, state));
    }
    ledger.submit(Batch { rows, raises: Vec::new() }).map_err(|full| Failure::new(Exit::Failed, full))?;
    match events.recv().await {
        Some(Event::Durable { .. }) => Ok(()),
        Some(Event::Failed { error, .. }) => Err(failure(error)),
        None => Err(failure(LedgerError::Closed)),
    }
}

/// Somebody holds the ledger who does not listen, and would not see what is written beside it.
fn running(error: LedgerError) -> Failure {
    match error {
        LedgerError::Locked { path } => Failure::new(
            Exit::Locked,
            format!(
                "{}: a daemon holds it and does not answer on its socket: it is just starting or stopping, or --config names another socket; try again",
                path.display()
            ),
        ),
        error => failure(error),
    }
}

fn told(deed: &Deed, hand: Hand) -> String {
    let when = if hand == Hand::Daemon { "from now on" } else { "from the next start on" };
    match deed {
        Deed::Acknowledge { .. } => format!(
            "The ledger is believed {when}.\n\n\
            What accounts show now may come from grants that it has forgotten: each is barred from\n\
            new grants until `ephemerald ledger explain` vouches for it.\n"
        ),
        Deed::Dismiss(grant) => format!("Dismissed: {grant}. Nothing is taken away.\n"),
        Deed::Revoke(grant) => format!("{grant} is taken away {when}.\n"),
        Deed::Explain(integration, Some(account)) => format!("Explained: {account} of {integration}.\n"),
        Deed::Explain(integration, None) => format!("Explained: all accounts of {integration}.\n"),
    }
}

/// RFC 3339 in UTC.
pub(super) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}
