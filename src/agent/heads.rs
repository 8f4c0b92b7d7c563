//! The journal's head here and as the control plane knows it: whoever is behind has forgotten something.
//!
//! Refuses to let anything be reported before the comparison: a number that the control plane knows from a life
//! that this ledger has forgotten would be taken for a repeat.

use tokio::sync::{mpsc, watch};

use super::views;
use crate::{
    control::{poll::ControlEvent, wire::JournalHead},
    engine::{action::Raise, input::Input, recovery::Finding},
    ledger::{Head, Ledger, Seq, doubts},
};

/// Nobody listens any more.
pub(super) struct Deaf;

/// What is compared.
pub(super) struct Compared<'a> {
    /// The head as it was told.
    pub(super) ours: Option<&'a JournalHead>,
    /// The head as it is.
    pub(super) head: Option<Head>,
    /// What is added to numbers where they are told.
    pub(super) base: u64,
    /// Nothing is raised because the ledger is in doubt.
    pub(super) revoke_only: bool,
    /// A later process of this agent has been heard of, for the first time.
    pub(super) replaced: bool,
}

/// The comparison, from one status to the next.
pub(super) struct Heads {
    /// The process's epoch.
    pub(super) epoch: u64,
    /// Whether the last comparison found nothing against this journal.
    pub(super) compared: watch::Sender<bool>,
    /// The head that was noted last as acknowledged.
    pub(super) noted: Option<Head>,
    /// What was said last.
    pub(super) told: Option<String>,
}

enum Verdict {
    /// Its newest record is in our journal.
    Agree,
    /// It has said nothing that could be compared.
    Silent,
    /// It knows a record that is not here.
    Strange(Finding),
}

impl Heads {
    /// Whether the last comparison found nothing against this journal.
    pub(super) fn is_compared(&self) -> bool {
        *self.compared.borrow()
    }

    /// Compares, notes what is acknowledged, and tells the loop what it must know.
    pub(super) async fn compare(
        &mut self,
        compared: Compared<'_>,
        theirs: Option<&JournalHead>,
        ledger: &Ledger<Raise>,
        events: &mpsc::Sender<ControlEvent>,
    ) -> Result<(), Deaf> {
        let verdict = judge(&compared, theirs, ledger).await;
        let input = match verdict {
            Verdict::Strange(finding) => {
                self.compared.send_replace(false);
                if self.told.as_ref() != Some(&finding.mark) {
                    tracing::error!(
                        detail = finding.detail,
                        "control plane: it knows a record of this agent's journal that is not here: the ledger was put back from a copy, or a copy of this machine runs; grants of that time are not known here"
                    );
                    self.told = Some(finding.mark.clone());
                }
                Some(Input::LedgerFinding(finding))
            }
            verdict => {
                self.compared.send_replace(true);
                self.note(compared.head, compared.base, ledger).await;
                let agrees = matches!(verdict, Verdict::Agree) && compared.revoke_only;
                let copied = compared.replaced && !compared.revoke_only;
                let finding = copied.then(|| Input::LedgerFinding(doubts::copied(self.epoch)));
                finding.or_else(|| agrees.then_some(Input::HeadsAgree))
            }
        };
        match input {
            Some(input) => events.send(ControlEvent::Ledger(Box::new(input))).await.map_err(|_| Deaf),
            None => Ok(()),
        }
    }

    /// Keeps beside the ledger what the control plane has heard of.
    async fn note(&mut self, head: Option<Head>, base: u64, ledger: &Ledger<Raise>) {
        let Some(head) = head.filter(|head| self.noted != Some(*head)) else { return };
        match ledger.acknowledge_head(head, head.seq.0 + base).await {
            Ok(()) => self.noted = Some(head),
            Err(error) => {
                tracing::warn!(error = %error, "journal: what the control plane knows of it cannot be noted");
            }
        }
    }
}

async fn judge(compared: &Compared<'_>, theirs: Option<&JournalHead>, ledger: &Ledger<Raise>) -> Verdict {
    let (Some(ours), Some(theirs)) = (compared.ours, theirs) else { return Verdict::Silent };
    let strange = || Verdict::Strange(doubts::rolled_back(theirs.seq, &theirs.hash, ours.seq));
    if theirs.seq == ours.seq {
        return if theirs.hash == ours.hash { Verdict::Agree } else { strange() };
    }
    // Also beyond what was told: reports go on meanwhile, and what they told may be known before this is answered.
    // Below the base are numbers of a life that was doubted before.
    let Some(seq) = theirs.seq.checked_sub(compared.base).filter(|seq| *seq > 0) else {
        return Verdict::Silent;
    };
    match ledger.read_range(Seq(seq), 1).await.as_deref() {
        Ok([row, ..]) if row.seq == Seq(seq) && views::hex(&row.hash) == theirs.hash => Verdict::Agree,
        // A disk that cannot be read now is no proof.
        Err(_) => Verdict::Silent,
        Ok(_) => strange(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{action::Entry, record, record::Record, state::State, time::Timestamp},
        ledger::{Batch, Event, Keying, OnLoss, Options, codec},
    };

    /// A ledger of so many records, and the head as it is told.
    async fn ledger(dir: &std::path::Path, records: u64) -> (Ledger<Raise>, Vec<JournalHead>) {
        let options = Options { created_at: 1, on_loss: OnLoss::BeginAnew, key: Keying::None };
        let (ledger, _, mut events) = Ledger::open(dir, options).await.unwrap();
        let mut state = State::default();
        let rows = (1..=records).map(|seq| {
            let record = Record::AgentStarted { clock_was_dead: false };
            let entry = Entry { seq: record::Seq(seq), at: Timestamp(1), record };
            state.apply(entry.seq, entry.at, &entry.record);
            codec::row(&entry, &state)
        });
        ledger.submit(Batch { rows: rows.collect(), raises: vec![] }).unwrap();
        assert!(matches!(events.recv().await, Some(Event::Durable { .. })));
        let rows = ledger.read_range(Seq(1), 100).await.unwrap();
        let heads = rows.iter().map(|row| JournalHead { seq: row.seq.0, hash: views::hex(&row.hash) });
        let heads = heads.collect();
        (ledger, heads)
    }

    #[tokio::test]
    async fn what_reports_told_meanwhile_is_no_strange_record_and_one_that_is_not_here_is() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, heads) = ledger(dir.path(), 5).await;
        let other = |seq| JournalHead { seq, hash: "00".repeat(32) };
        for (told, theirs, agrees) in [
            (2, heads[1].clone(), true),
            (2, heads[4].clone(), true), // reported after the head was told, and before the answer
            (4, heads[1].clone(), true),
            (2, other(2), false),
            (2, other(4), false),
            (4, other(2), false),
            (2, other(6), false),
        ] {
            let ours = heads.get(told - 1);
            let compared = Compared { ours, head: None, base: 0, revoke_only: false, replaced: false };
            let verdict = judge(&compared, Some(&theirs), &ledger).await;
            assert_eq!(matches!(verdict, Verdict::Agree), agrees, "{told} {theirs:?}");
            assert_eq!(matches!(verdict, Verdict::Strange(_)), !agrees, "{told} {theirs:?}");
        }
        ledger.close().await;
    }
}
