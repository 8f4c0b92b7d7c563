//! Keeps the key of an integration fresh, one task for each: the source is read again when its file changes, when
//! somebody asks (SIGHUP, `connection rotate`), now and then where a program prints it, and soon again while
//! JumpCloud does not accept the key in use.
//!
//! A new key is asked who it is before it is used. It is taken if JumpCloud accepts it and names the pinned
//! organization; the key before stays beside it until the next change, for endings. Refuses a key that JumpCloud
//! does not confirm: then the one in use stays in use. While that one is refused and the newest is, too, the one
//! before is asked. Keys are named by a part of their digest, never shown.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::Digest;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    connect::{Prepared, open, prepare},
    policy::{Stamp, stamp},
    status::Snapshot,
};
use crate::{
    admin::view::{KeyOutcome, KeyView},
    clock,
    config::Config,
    control::wire::Utc,
    engine::{
        ids::{IntegrationId, OrgId},
        observed::{Fault, FaultClass},
        settings::IntegrationSettings,
        time::{BootTime, Millis},
    },
    executor::{Clients, Keyed},
    jumpcloud::Me,
    secrets::Source,
};

/// How often a file is looked at. Two looks that agree make a change.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a source is read again: while the key in use is refused, and while one could not be taken.
const REFUSED: Millis = Millis(15_000);
const PENDING: Millis = Millis(60_000);
/// How often a program is run, and how often a key is asked when it ends.
const PROGRAM: Millis = Millis(5 * 60_000);
const ASKED: Millis = Millis(60 * 60_000);

/// What a task is told.
pub(super) enum Order {
    /// Read the source.
    Reload,
    /// JumpCloud did not accept the key in use.
    Refused,
    /// Read the source, ask whose key it is, and say what came of it.
    Rotate(oneshot::Sender<KeyView>),
}

/// The ways to the tasks.
#[derive(Clone, Default)]
pub(super) struct Keepers(Vec<(IntegrationId, mpsc::Sender<Order>)>);

/// One integration's task.
struct Keeper {
    integration: IntegrationId,
    number: usize,
    config: Arc<Config>,
    clients: Arc<Clients>,
    /// What the engine goes by; only a start changes it.
    settings: IntegrationSettings,
    snapshot: watch::Receiver<Snapshot>,
    /// Where the loop hears that another key is in use.
    changed: mpsc::Sender<IntegrationId>,
    /// The connection whose key is in use.
    used: Option<Digest>,
    known: Option<Stamp>,
    seen: Option<Stamp>,
    refused: bool,
    /// The newest key could not be taken.
    pending: bool,
    read_at: BootTime,
    asked_at: BootTime,
    /// What was said last, so that it is said once.
    told: Option<String>,
}

/// What the tasks work with.
pub(super) struct Ground<'a> {
    pub(super) config: &'a Config,
    pub(super) clients: &'a Arc<Clients>,
    pub(super) settings: &'a [IntegrationSettings],
    pub(super) prints: Vec<Option<Digest>>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
    pub(super) changed: mpsc::Sender<IntegrationId>,
    pub(super) stop: &'a watch::Receiver<bool>,
}

impl Keepers {
    /// Starts them all.
    pub(super) fn start(ground: Ground<'_>) -> (Self, Vec<JoinHandle<()>>) {
        let config = Arc::new(ground.config.clone());
        let now = clock::now().boot;
        let one = |(number, used): (usize, Option<Digest>)| {
            let integration = config.integrations[number].settings.id.clone();
            let (sender, orders) = mpsc::channel(4);
            let keeper = Keeper {
                integration: integration.clone(),
                number,
                config: Arc::clone(&config),
                clients: Arc::clone(ground.clients),
                settings: ground.settings[number].clone(),
                snapshot: ground.snapshot.clone(),
                changed: ground.changed.clone(),
                pending: used.is_none(),
                used,
                known: None,
                seen: None,
                refused: false,
                read_at: now,
                asked_at: now,
                told: None,
            };
            ((integration, sender), tokio::spawn(keeper.run(orders, ground.stop.clone())))
        };
        let (senders, tasks): (Vec<_>, Vec<_>) = ground.prints.into_iter().enumerate().map(one).unzip();
        (Self(senders), tasks)
    }

    /// Somebody asks for all sources to be read.
    pub(super) fn reload(&self) {
        for (_, keeper) in &self.0 {
            let _ = keeper.try_send(Order::Reload); // a full channel holds orders enough
        }
    }

    /// JumpCloud did not accept the key in use.
    pub(super) fn refused(&self, integration: &IntegrationId) {
        for (_, keeper) in self.0.iter().filter(|(id, _)| id == integration) {
            let _ = keeper.try_send(Order::Refused);
        }
    }

    /// All, or the one of this name; the answer comes when all are done.
    pub(super) fn rotate(&self, name: Option<&str>, to: oneshot::Sender<Vec<KeyView>>) {
        let asked = self.0.iter().filter(|(id, _)| name.is_none_or(|name| id.as_str() == name)).cloned();
        let asked: Vec<_> = asked.collect();
        tokio::spawn(async move {
            let mut views = Vec::new();
            let mut answers = Vec::new();
            for (integration, keeper) in asked {
                let (sender, answer) = oneshot::channel();
                let _ = keeper.send(Order::Rotate(sender)).await;
                answers.push((integration, answer));
            }
            for (integration, answer) in answers {
                views.push(answer.await.unwrap_or_else(|_| KeyView {
                    integration: integration.to_string(),
                    problem: Some("the agent is stopping".to_owned()),
                    ..KeyView::default()
                }));
            }
            let _ = to.send(views); // one who has gone away finds it in the log
        });
    }
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut stop: watch::Receiver<bool>) {
        loop {
            let order = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                Some(order) = orders.recv() => Some(order),
                () = tokio::time::sleep(LOOK) => None,
            };
            let work = async {
                match order {
                    None => {
                        if let Some(ask) = self.is_due().await {
                            self.renew(ask).await;
                        }
                    }
                    Some(Order::Reload) => drop(self.renew(false).await),
                    Some(Order::Refused) => {
                        self.refused = true;
                        drop(self.renew(true).await);
                    }
                    Some(Order::Rotate(to)) => drop(to.send(self.renew(true).await)),
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = work => {}
            }
        }
    }

    fn source(&self) -> &Source {
        &self.config.integrations[self.number].connection
    }

    /// Whether it is time to read the source, and to ask the key in use, too.
    async fn is_due(&mut self) -> Option<bool> {
        if self.clients.take_doubt(&self.integration) && !self.refused {
            // The engine was answered with the other key's help. It asks whose the key is, hears that it is
            // refused, raises the alarm and nothing else.
            self.refused = true;
            let _ = self.changed.send(self.integration.clone()).await;
            return Some(true);
        }
        if let Some(path) = self.source().path() {
            let now = stamp(&path).await;
            let changed = now != self.known && now == self.seen;
            self.seen = now;
            if changed {
                self.known = now;
                return Some(false);
            }
        }
        let now = clock::now().boot;
        let every = match self.source() {
            _ if self.refused => REFUSED,
            _ if self.pending => PENDING,
            Source::Command(_) => PROGRAM,
            Source::File(_) | Source::Credential(_) => ASKED,
        };
        let ask = self.refused || now.since(self.asked_at) >= ASKED;
        (ask && !self.refused || now.since(self.read_at) >= every).then_some(ask)
    }

    /// Reads the source; a new key is tried, and the one in use if `ask` says so.
    async fn renew(&mut self, ask: bool) -> KeyView {
        self.read_at = clock::now().boot;
        let (config, number) = (Arc::clone(&self.config), self.number);
        let read = move || prepare(&config, &config.integrations[number]);
        // On a thread of its own: neither a disk nor a program may hold up an ending.
        let read = tokio::task::spawn_blocking(read).await;
        let view = match read.unwrap_or_else(|_| Err("the thread that read it was lost".to_owned())) {
            Ok(prepared) if !self.is_used(&prepared) => self.attempt(prepared).await,
            Ok(_) if !ask => self.view(KeyOutcome::Kept),
            Ok(_) => self.ask().await,
            Err(problem) => {
                self.pending = true;
                self.tell(&problem, |integration| {
                    tracing::warn!(integration = %integration, error = problem, "connection: cannot be read anew; the key in use stays");
                });
                let (view, problem) = (self.view(KeyOutcome::Unreadable), Some(problem.clone()));
                KeyView { problem, ..view }
            }
        };
        if self.refused && matches!(view.outcome, KeyOutcome::Refused | KeyOutcome::Unreadable) {
            self.fall_back().await;
        }
        view
    }

    fn is_used(&self, prepared: &Prepared) -> bool {
        let is_same = |used: &Digest| used.as_ref() == prepared.connection.print.as_ref();
        self.used.as_ref().is_some_and(is_same) && self.clients.current(&self.integration).is_some()
    }

    /// Asks a new key who it is, and takes it if that is right.
    async fn attempt(&mut self, prepared: Prepared) -> KeyView {
        let key = prepared.connection.credential.digest();
        let old = self.clients.current(&self.integration);
        let tried = match open(&prepared) {
            Ok((client, insights)) => {
                let new = Keyed { client: Arc::new(client), insights: insights.map(Arc::new) };
                self.confirmed(&new).await.map(|me| (new, me))
            }
            Err(problem) => Err(problem),
        };
        let in_use = old.as_ref().map(|old| old.client.key().to_owned());
        match tried {
            Err(problem) => {
                self.pending = true;
                self.tell(&format!("{key}: {problem}"), |integration| {
                    tracing::warn!(integration = %integration, key, in_use, problem, "connection: the newest key is not taken; the one in use stays");
                });
                let refused = self.view(KeyOutcome::Refused);
                KeyView { key: Some(key), previous: in_use, problem: Some(problem), ..refused }
            }
            Ok((new, me)) => {
                let (used, pinned) = (prepared.connection.print, self.pinned());
                let keep =
                    old.is_some_and(|old| pinned.is_some() && old.client.seen_organization() == pinned);
                self.clients.put(&self.integration, new, keep);
                self.took(Some(used)).await;
                tracing::info!(integration = %self.integration, key, previous = in_use, "connection: a new key is in use");
                if prepared.settings != self.settings {
                    tracing::warn!(integration = %self.integration, "connection: more than its key has changed; the rest counts from the next start");
                }
                KeyView { previous: in_use, ..self.described(KeyOutcome::Taken, &me) }
            }
        }
    }

    /// Asks the key in use.
    async fn ask(&mut self) -> KeyView {
        let Some(current) = self.clients.current(&self.integration) else {
            return self.view(KeyOutcome::Kept);
        };
        match self.confirmed(&current).await {
            Ok(me) => {
                (self.refused, self.pending) = (false, false);
                self.described(KeyOutcome::Kept, &me)
            }
            Err(problem) => KeyView { problem: Some(problem), ..self.view(KeyOutcome::Refused) },
        }
    }

    /// The key in use is refused, and there is no newer one that is not: the one before, if that is accepted.
    async fn fall_back(&mut self) {
        let Some(previous) = self.clients.previous(&self.integration) else { return };
        if self.confirmed(&previous).await.is_ok() && self.clients.swap(&self.integration) {
            self.took(None).await;
            self.pending = true;
            tracing::warn!(integration = %self.integration, key = previous.client.key(), "connection: the key of before is in use again, because JumpCloud accepts it and not the newest one");
        }
    }

    async fn took(&mut self, used: Option<Digest>) {
        self.used = used;
        (self.refused, self.pending, self.told) = (false, false, None);
        let _ = self.changed.send(self.integration.clone()).await; // a loop that is gone needs no key
    }

    /// Whose key it is, if it is one of the pinned organization.
    async fn confirmed(&mut self, key: &Keyed) -> Result<Me, String> {
        self.asked_at = clock::now().boot;
        let me = key.client.me().await.map_err(|fault| problem(&fault))?;
        match (self.pinned(), &me.who.org) {
            (Some(pinned), Some(org)) if pinned != *org => {
                Err(format!("it belongs to the organization {org}, and {pinned} is the pinned one"))
            }
            (Some(pinned), None) => {
                Err(format!("JumpCloud does not say that it belongs to the pinned organization {pinned}"))
            }
            _ => Ok(me),
        }
    }

    fn pinned(&self) -> Option<OrgId> {
        self.snapshot.borrow().pinned.get(&self.integration).cloned()
    }

    fn tell(&mut self, what: &str, log: impl FnOnce(&IntegrationId)) {
        if self.told.as_deref() != Some(what) {
            log(&self.integration);
            self.told = Some(what.to_owned());
        }
    }

    fn view(&self, outcome: KeyOutcome) -> KeyView {
        let current = self.clients.current(&self.integration);
        KeyView {
            integration: self.integration.to_string(),
            outcome,
            source: self.source().to_string(),
            key: current.as_ref().map(|key| key.client.key().to_owned()),
            ends_at: current.and_then(|key| key.client.key_ends()).map(|at| Utc(at).to_string()),
            ..KeyView::default()
        }
    }

    fn described(&self, outcome: KeyOutcome, me: &Me) -> KeyView {
        KeyView {
            organization: me.who.org.as_ref().map(ToString::to_string),
            account: me.who.email.as_ref().map(ToString::to_string),
            role: me.who.role.as_ref().map(ToString::to_string),
            ..self.view(outcome)
        }
    }
}

fn problem(fault: &Fault) -> String {
    let status = fault.status.map_or_else(String::new, |status| format!(" ({status})"));
    match fault.class {
        FaultClass::Credential => format!("JumpCloud does not accept it{status}"),
        FaultClass::Forbidden => format!("JumpCloud does not let it ask who it is{status}"),
        FaultClass::WrongOrganization => "it does not belong to org_id".to_owned(),
        FaultClass::NotSent | FaultClass::Ambiguous | FaultClass::Throttled => {
            format!("JumpCloud did not say whose it is{status}; it is tried again")
        }
        _ => format!("JumpCloud gave no answer of the expected kind{status}"),
    }
}
