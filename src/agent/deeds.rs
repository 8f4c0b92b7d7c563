//! An operator's orders: done at once, and answered once the journal holds them.
//!
//! Refuses to call an order recorded that is not on disk. Who may give which order is the socket's to say.

use tokio::sync::oneshot;

use super::{turn::Turn, views};
use crate::{
    admin::{
        command::{Command, DeedView},
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

/// An order that is in force and not on disk yet.
pub(super) struct Unrecorded {
    /// The newest record when it was done.
    newest: Seq,
    view: DeedView,
    to: oneshot::Sender<DeedView>,
}

impl Turn {
    /// A question or an order of an operator.
    pub(super) async fn asked(&mut self, query: Query) {
        match query {
            Query::Deed(command, peer, to) => self.deed(command, peer, to),
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
            self.unrecorded.push(Unrecorded { newest, view, to });
        }
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
            drop(done.to.send(done.view));
        }
    }

    /// The journal cannot be written: the orders are in force all the same.
    pub(super) fn told_unrecorded(&mut self) {
        for waiting in self.unrecorded.drain(..) {
            drop(waiting.to.send(DeedView { recorded: false, ..waiting.view }));
        }
    }
}
