//! Opening the ledger at a start: whatever state it is in, live grants that can be read are ended.
//!
//! Refuses to begin anew in silence: where an enrolled agent finds no ledger, or not its own, it says so and
//! nothing is raised. An agent that was never enrolled has nothing to lose, and begins as it did.

use std::{path::Path, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    clock,
    control::identity::Identity,
    engine::{Restored, action::Raise, recovery::Finding, time::Timestamp},
    ledger::{
        self, Event, Keying, Ledger, LedgerError, OnLoss, Opened, Options, Unproven, VerifyReport, codec,
        doubts,
    },
    secrets::AtRest,
};

/// An open ledger and the fold of it.
pub(super) struct Book {
    pub(super) ledger: Arc<Ledger<Raise>>,
    pub(super) opened: Opened,
    pub(super) events: mpsc::Receiver<Event<Raise>>,
    pub(super) restored: Restored,
}

/// Opens the ledger of a state directory. An enrolled agent goes on with a new one where its own is lost.
pub(super) async fn open(dir: &Path, enrolled: bool, key: &Keying) -> Result<Book, LedgerError> {
    let on_loss = if enrolled { OnLoss::BeginAnew } else { OnLoss::Refuse };
    match open_as(dir, on_loss, key).await {
        // It opens, and its content cannot be read: what is left of it is kept beside the new one.
        Err(LedgerError::Unreadable { .. }) if enrolled => open_as(dir, OnLoss::Abandon, key).await,
        opened => opened,
    }
}

async fn open_as(dir: &Path, on_loss: OnLoss, key: &Keying) -> Result<Book, LedgerError> {
    let options = Options { created_at: clock::now().wall.0, on_loss, key: key.clone() };
    let (ledger, opened, events) = Ledger::open(dir, options).await?;
    let ledger = Arc::new(ledger);
    match load(&ledger, &opened).await {
        Ok(restored) => Ok(Book { ledger, opened, events, restored }),
        Err(error) => {
            ledger.close().await;
            Err(error)
        }
    }
}

/// Follows the whole chain on a thread of its own: opening looked at its end only.
pub(super) fn verify_all(file: &Path, key: Keying, found: mpsc::Sender<Finding>) {
    let file = file.to_owned();
    let walk = move || match follow(&file, &key) {
        Ok((report, unproven)) => {
            tracing::debug!(rows = report.rows, "journal: the whole chain was followed");
            if let Some(bad) = report.bad {
                tracing::error!(
                    seq = bad.seq.0,
                    problem = bad.problem,
                    "journal: a row does not fit the chain"
                );
                // A loop that is stopping needs no finding.
                let _ = found.blocking_send(doubts::broken(&bad));
            }
            for row in unproven {
                let _ = found.blocking_send(doubts::unproven(&row));
            }
        }
        Err(error) => tracing::error!(error = %error, "journal: its chain cannot be followed to the end"),
    };
    if let Err(error) = std::thread::Builder::new().name("ledger-verify".to_owned()).spawn(walk) {
        tracing::error!(error = %error, "journal: its chain is not followed at this start");
    }
}

fn follow(file: &Path, key: &Keying) -> Result<(VerifyReport, Vec<Unproven>), LedgerError> {
    let unproven = key.known().map_or_else(|| Ok(Vec::new()), |key| ledger::authenticity(file, key))?;
    Ok((ledger::verify(file)?, unproven))
}

/// Holds the identity's ledger against the one that was opened; the identity as it is from now on.
pub(super) fn recognise(
    mut identity: Identity,
    opened: &Opened,
    restored: &mut Restored,
    (dir, rest): (&Path, &AtRest),
) -> Identity {
    if let Some(lost) = identity.ledger.as_ref().filter(|own| **own != opened.ledger_id) {
        let finding = doubts::lost_ledger(lost, opened);
        if !restored.state.recovery.marks.contains(&finding.mark) {
            // The identity follows only once the journal remembers that it was another one.
            restored.findings.push(finding);
            return identity;
        }
    } else if identity.ledger.is_some() {
        return identity;
    }
    identity.ledger = Some(opened.ledger_id.clone());
    if let Err(error) = identity.store(dir, rest) {
        tracing::error!(error = %error, "identity: the ledger's id cannot be noted in it");
    }
    identity
}

/// The fold of what the ledger holds; rows that cannot be read are named and left out.
pub(super) async fn load(ledger: &Ledger<Raise>, opened: &Opened) -> Result<Restored, LedgerError> {
    let (id, seq) = (&opened.ledger_id, opened.head.seq.0);
    tracing::info!(ledger.id = id, created = opened.created, seq, "journal: open");
    let loaded = ledger.load_open().await?;
    let (restored, unreadable) = codec::restore(&loaded, opened);
    let seen = restored.state.time_seen.map(|(_, seen)| seen.carried_to(clock::now()));
    clock::recorded(seen.max(Some(Timestamp(opened.newest_at))).unwrap_or_default());
    for bad in &loaded.quarantined {
        tracing::error!(
            seq = bad.seq.map(|s| s.0),
            stream = bad.stream,
            problem = bad.problem,
            "journal: a row is quarantined; its grant must be looked at by a person, all others go on"
        );
    }
    for seq in unreadable {
        tracing::error!(
            seq = seq.0,
            "journal: a row holds no record of this version; its grant must be looked at by a person, all others go on"
        );
    }
    for bad in &opened.unproven {
        tracing::error!(
            problem = bad.problem,
            "journal: the state key does not vouch for it; nothing is raised; see `ephemerald ledger check`"
        );
    }
    for bad in &opened.quarantined {
        tracing::error!(
            seq = bad.seq.0,
            problem = bad.problem,
            "journal: a row near its end does not fit the chain; it stays where it is"
        );
    }
    if !opened.ballast {
        tracing::error!("journal: the disk is nearly full; free some space");
    }
    tracing::info!(
        grants = restored.state.grants.len(),
        accounts = restored.state.accounts.len(),
        jobs = restored.state.jobs.len(),
        "journal: open streams folded"
    );
    Ok(restored)
}
