//! Runs one action against JumpCloud and reports what came back.
//!
//! Refuses a raise in any form but [`Committed`]: what is not durable cannot be sent, because it does
//! not compile. Hands its send-by instant to the client, which refuses to send it later. A task that
//! is lost reports itself as lost: an ambiguous outcome, never a silence.
//!
//! A lower or a look at accounts that meets a 401 is tried once with the key that was in use before, if there is
//! one, which JumpCloud took for the pinned organization in its time: a 401 says that the sender was not known, so
//! nothing was carried out. A raise is not, and neither is the question whose key it is.

mod clients;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    engine::{
        action::{CallId, Look, Lower, LowerChange, Raise, RaiseChange, Read},
        ids::{IntegrationId, OrgId},
        input::Outcome,
        observed::{Fault, FaultClass, Listing, WriteOutcome},
    },
    jumpcloud::{Client, NewAccount},
    ledger::Committed,
    secrets::TagKey,
};

pub use clients::{Clients, Keyed};

/// What came back, and of which call.
pub type Report = (CallId, Outcome);

/// The hands of the agent.
#[derive(Clone)]
pub struct Executor {
    clients: Arc<Clients>,
    tags: Option<Arc<TagKey>>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Executor {
    /// An executor over the configured integrations. Reports are as many as calls, and calls are
    /// bounded by the engine's budget, so the channel needs no bound of its own.
    #[must_use]
    pub fn new(
        clients: Arc<Clients>,
        tags: Option<Arc<TagKey>>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self { clients, tags, reports }
    }

    /// Looks.
    pub fn read(&self, read: Read) {
        let Some(client) = self.client(&read.integration, read.call) else { return };
        let tags = self.tags.clone();
        let both = self.both(&read.integration, &client);
        self.run(read.call, async move {
            match read.what {
                Look::WhoAmI => Outcome::WhoAmI(client.who_am_i().await),
                Look::Roles => Outcome::Roles(client.roles().await),
                Look::List => {
                    let listing = both.call(|client| async move { client.list().await }).await;
                    Outcome::List(listing.map(|listing| tagged(listing, tags.as_deref(), read.org.as_ref())))
                }
                Look::Get(id) => {
                    let get = |client: Arc<Client>| {
                        let id = id.clone();
                        async move { client.get(&id).await }
                    };
                    Outcome::Get(both.call(get).await)
                }
            }
        });
    }

    /// Takes access away.
    pub fn lower(&self, lower: Lower) {
        let Some(client) = self.client(&lower.at().integration, lower.call()) else { return };
        let both = self.both(&lower.at().integration, &client);
        self.run(lower.call(), async move {
            let lower = Arc::new(lower);
            let write = |client: Arc<Client>| {
                let lower = Arc::clone(&lower);
                async move { lowered(&client, &lower).await }
            };
            Outcome::Written(both.call(write).await)
        });
    }

    /// Gives access, if it is still time.
    pub fn raise(&self, raise: Committed<Raise>) {
        let raise = raise.into_inner();
        let Some(client) = self.client(&raise.at.integration, raise.call) else { return };
        self.run(raise.call, async move {
            // The client looks at the clock again right before each sending: a token may have to be made.
            let send_by = Some(raise.send_by);
            match raise.change {
                RaiseChange::SetRoles { id, roles, field } => {
                    Outcome::Written(client.set_roles(&id, &roles, field, send_by).await)
                }
                RaiseChange::Create { email, role, firstname, lastname } => {
                    let account = NewAccount { email, role, firstname, lastname };
                    Outcome::Created(client.create(&account, send_by).await)
                }
            }
        });
    }

    fn client(&self, integration: &IntegrationId, call: CallId) -> Option<Arc<Client>> {
        let client = self.clients.current(integration).map(|key| key.client);
        if client.is_none() {
            // Its connection could not be read: said at the start, and nothing can be sent.
            let _ = self.reports.send((call, Outcome::Lost));
        }
        client
    }

    fn both(&self, integration: &IntegrationId, client: &Arc<Client>) -> Both {
        Both {
            client: Arc::clone(client),
            other: self.clients.previous(integration),
            clients: Arc::clone(&self.clients),
            integration: integration.clone(),
        }
    }

    fn run(&self, call: CallId, work: impl Future<Output = Outcome> + Send + 'static) {
        let answer = Answer { call, reports: self.reports.clone(), outcome: Some(Outcome::Lost) };
        tokio::spawn(async move {
            let mut answer = answer; // the whole of it moves in, or it would report a loss at once
            answer.outcome = Some(work.await);
        });
    }
}

/// The key in use, and the one before.
struct Both {
    client: Arc<Client>,
    other: Option<Keyed>,
    clients: Arc<Clients>,
    integration: IntegrationId,
}

impl Both {
    /// Calls with the key in use; if JumpCloud does not know that one, with the one before.
    async fn call<T, F: Future<Output = Result<T, Fault>>>(
        self,
        call: impl Fn(Arc<Client>) -> F,
    ) -> Result<T, Fault> {
        let unknown = |outcome: &Result<T, Fault>| matches!(outcome, Err(fault) if fault.class == FaultClass::Credential);
        let first = call(self.client).await;
        let Some(other) = self.other.filter(|_| unknown(&first)) else { return first };
        let second = call(other.client).await;
        if unknown(&second) {
            return first;
        }
        self.clients.doubt(&self.integration);
        second
    }
}

async fn lowered(client: &Client, lower: &Lower) -> WriteOutcome<()> {
    match lower.change() {
        LowerChange::SetRoles { id, roles, field } => client.set_roles(id, roles, *field, None).await,
        LowerChange::Delete { id } => client.delete(id).await,
    }
}

/// The listing with the accounts marked that carry a tag of our key: the engine does not have it.
fn tagged(mut listing: Listing, tags: Option<&TagKey>, org: Option<&OrgId>) -> Listing {
    if let (Some(tags), Some(org)) = (tags, org) {
        let ours = listing.accounts.iter().filter(|account| tags.verify(org, &account.email));
        listing.tagged = ours.map(|account| account.id.clone()).collect();
    }
    listing
}

/// Reports when dropped, also when the task that holds it panics or is cancelled.
struct Answer {
    call: CallId,
    reports: mpsc::UnboundedSender<Report>,
    outcome: Option<Outcome>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            let _ = self.reports.send((self.call, outcome));
        }
    }
}
