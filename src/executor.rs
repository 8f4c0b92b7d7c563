//! Runs one action against JumpCloud and reports what came back.
//!
//! Refuses a raise in any form but [`Committed`]: what is not durable cannot be sent, because it does
//! not compile. Hands its send-by instant to the client, which refuses to send it later. A task that
//! is lost reports itself as lost: an ambiguous outcome, never a silence.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    engine::{
        action::{CallId, Look, Lower, LowerChange, Raise, RaiseChange, Read},
        ids::{IntegrationId, OrgId},
        input::Outcome,
        observed::Listing,
    },
    jumpcloud::{Client, NewAccount},
    ledger::Committed,
    secrets::TagKey,
};

/// What came back, and of which call.
pub type Report = (CallId, Outcome);

/// The hands of the agent.
#[derive(Clone)]
pub struct Executor {
    clients: BTreeMap<IntegrationId, Arc<Client>>,
    tags: Option<Arc<TagKey>>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Executor {
    /// An executor over the configured integrations. Reports are as many as calls, and calls are
    /// bounded by the engine's budget, so the channel needs no bound of its own.
    #[must_use]
    pub fn new(
        clients: BTreeMap<IntegrationId, Arc<Client>>,
        tags: Option<Arc<TagKey>>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        Self { clients, tags, reports }
    }

    /// Looks.
    pub fn read(&self, read: Read) {
        let Some(client) = self.client(&read.integration, read.call) else { return };
        let tags = self.tags.clone();
        self.run(read.call, async move {
            match read.what {
                Look::WhoAmI => Outcome::WhoAmI(client.who_am_i().await),
                Look::Roles => Outcome::Roles(client.roles().await),
                Look::List => {
                    let listing = client.list().await;
                    Outcome::List(listing.map(|listing| tagged(listing, tags.as_deref(), read.org.as_ref())))
                }
                Look::Get(id) => Outcome::Get(client.get(&id).await),
            }
        });
    }

    /// Takes access away.
    pub fn lower(&self, lower: Lower) {
        let Some(client) = self.client(&lower.at().integration, lower.call()) else { return };
        self.run(lower.call(), async move {
            Outcome::Written(match lower.change() {
                LowerChange::SetRoles { id, roles, field } => client.set_roles(id, roles, *field, None).await,
                LowerChange::Delete { id } => client.delete(id).await,
            })
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
        let client = self.clients.get(integration).cloned();
        if client.is_none() {
            // Its connection could not be read: said at the start, and nothing can be sent.
            let _ = self.reports.send((call, Outcome::Lost));
        }
        client
    }

    fn run(&self, call: CallId, work: impl Future<Output = Outcome> + Send + 'static) {
        let answer = Answer { call, reports: self.reports.clone(), outcome: Some(Outcome::Lost) };
        tokio::spawn(async move {
            let mut answer = answer; // the whole of it moves in, or it would report a loss at once
            answer.outcome = Some(work.await);
        });
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
