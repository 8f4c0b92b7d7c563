//! An operator's orders: done at once, and answered once the journal holds them.
//!
//! Refuses to call an order recorded that is not on disk. Who may give which order is the socket's to say.

use tokio::sync::oneshot;

use super::{turn::Turn, views};
use crate::{
    admin::{
        command::{Command, Decision, DecisionView, DeedView},
        server::Query,
    },
    clock,
    engine::{
        ids::GrantId,
        input::Input,
        order::{Deed, Order, Peer, Selection},
        record::Seq,
    },
};

/// An order that is in force, or a decision, that is not on disk yet.
pub(super) struct Unrecorded {
    /// The newest record when it was done.
    newest: Seq,
    told: Told,
}

/// What is to be told, and to whom.
enum Told {
    Deed(DeedView, oneshot::Sender<DeedView>),
    Decision(DecisionView, oneshot::Sender<DecisionView>),
}

impl Turn {
    /// A question or an order of an operator.
    pub(super) async fn asked(&mut self, query: Query) {
        match query {
            Query::Deed(command, peer, to) => self.deed(command, peer, to),
            Query::Decide(decision, peer, to) => self.decide(decision, peer, to),
            question => views::answer(self, question).await,
        }
    }

    fn deed(&mut self, command: Command, peer: Peer, to: oneshot::Sender<DeedView>) {
        let Command { deed, remark } = command;
        let which = match &deed {
            Deed::Freeze | Deed::Thaw => None,
            Deed::Drain => Some(Selection::default()),
            Deed::Revoke(which) => Some(which.clone()),
            Deed::Forget(grant) => Some(Selection::of(grant.clone())),
        };
        if let Deed::Forget(grant) = &deed
            && let Err(why) = self.engine.may_forget(grant)
        {
            let view = DeedView { refused: Some(why.to_owned()), ..DeedView::default() };
            return drop(to.send(view));
        }
        let all = Selection::default();
        let waiting = match &deed {
            Deed::Freeze => Some(&all),
            Deed::Thaw | Deed::Forget(_) => None,
            Deed::Drain | Deed::Revoke(_) => which.as_ref(),
        };
        let answered = waiting.map_or(0, |which| self.engine.waiting(which));
        let grants = which.as_ref().map(|which| self.engine.selected(which)).unwrap_or_default();
        self.feed(Input::Operator(deed, Order { by: peer, remark }));
        let view = DeedView { refused: None, recorded: true, grants: self.shown(&grants), answered };
        let newest = self.engine.newest();
        if !self.ledger_ok {
            drop(to.send(DeedView { recorded: false, ..view }));
        } else if self.engine.is_durable(newest) {
            drop(to.send(view));
        } else {
            self.unrecorded.push(Unrecorded { newest, told: Told::Deed(view, to) });
        }
    }

    /// A decision about the ledger is nothing without the ledger.
    fn decide(&mut self, decision: Decision, peer: Peer, to: oneshot::Sender<DecisionView>) {
        let refuse = |why: String| DecisionView { refused: Some(why), ..DecisionView::default() };
        if !self.ledger_ok {
            let why = "the journal cannot be written now: see the log, decide once it can";
            return drop(to.send(refuse(why.to_owned())));
        }
        let Decision { deed, why } = decision;
        let by = format!("uid {} at the agent", peer.uid);
        let recorded = match self.engine.would_decide(&deed) {
            Ok(kinds) => kinds.into_iter().map(str::to_owned).collect(),
            Err(cannot) => return drop(to.send(refuse(cannot.to_string()))),
        };
        self.feed(Input::LedgerDeed { deed, by, why: why.as_str().to_owned() });
        let told = Told::Decision(DecisionView { refused: None, recorded }, to);
        self.unrecorded.push(Unrecorded { newest: self.engine.newest(), told });
        self.told_when_recorded();
    }

    fn shown(&self, grants: &[GrantId]) -> Vec<crate::admin::view::GrantView> {
        let now = clock::now();
        let found = self.engine.grants().filter(|g| grants.contains(&g.terms.grant));
        found.map(|g| views::grant(&self.engine, g, now)).collect()
    }

    /// Tells those whose orders are on disk by now. One who has gone away finds it in the journal.
    pub(super) fn told_when_recorded(&mut self) {
        let engine = &self.engine;
        for done in self.unrecorded.extract_if(.., |waiting| engine.is_durable(waiting.newest)) {
            match done.told {
                Told::Deed(view, to) => drop(to.send(view)),
                Told::Decision(view, to) => drop(to.send(view)),
            }
        }
    }

    /// The journal cannot be written: the orders are in force all the same.
    pub(super) fn told_unrecorded(&mut self) {
        for waiting in self.unrecorded.drain(..) {
            match waiting.told {
                Told::Deed(view, to) => drop(to.send(DeedView { recorded: false, ..view })),
                Told::Decision(_, to) => drop(to.send(DecisionView {
                    refused: Some("the journal could not be written: decide again once it can".to_owned()),
                    ..DecisionView::default()
                })),
            }
        }
    }
}
