//! Hands inventories to the control plane: all pages are announced by their hashes, then those that it
//! lacks are sent, in bodies of a bounded size. One inventory at a time, on a task of its own, so that
//! a large tenant delays nothing else.
//!
//! Refuses to call an inventory delivered before the control plane lacks none of its pages.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::pages;
use crate::{
    clock,
    control::{
        backoff::Waits,
        client::{Client, ControlError},
        wire::{InventoryPage, InventoryRequest, Utc},
    },
    engine::{
        ids::JobId,
        inventory::{Counts, Inventory},
        time::Millis,
    },
};

/// The largest body of items that is sent at once, in bytes; a single page may go beyond.
const BODY: usize = 512 * 1024;

/// Inventories that wait at most; each may hold a whole tenant.
const WAITING: usize = 8;

/// What came of an inventory, and for which jobs; `None`: it could not be handed over.
pub(super) type Delivered = (Vec<JobId>, Option<Counts>);

/// The task's ends of its channels.
pub(super) struct Orders {
    orders: mpsc::Receiver<Inventory>,
    done: mpsc::Sender<Delivered>,
}

/// The channels between the loop and the task; the first and the last are the loop's.
pub(super) fn channels() -> (mpsc::Sender<Inventory>, Orders, mpsc::Receiver<Delivered>) {
    let (sender, orders) = mpsc::channel(WAITING);
    let (done, delivered) = mpsc::channel(WAITING);
    (sender, Orders { orders, done }, delivered)
}

/// What the task runs on.
pub(super) struct Porter {
    client: Arc<Client>,
    orders: mpsc::Receiver<Inventory>,
    done: mpsc::Sender<Delivered>,
    stop: watch::Receiver<bool>,
}

impl Porter {
    pub(super) fn new(client: &Arc<Client>, orders: Orders, stop: watch::Receiver<bool>) -> Self {
        let Orders { orders, done } = orders;
        Self { client: Arc::clone(client), orders, done, stop }
    }

    /// Hands over what comes until told to stop.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        while let Some(inventory) = self.orders.recv().await {
            let counts = self.deliver(&inventory).await;
            if self.done.send((inventory.jobs, counts)).await.is_err() {
                return;
            }
        }
    }

    async fn deliver(&self, inventory: &Inventory) -> Option<Counts> {
        let (pages, [roles, accounts, permissions]) = pages::of(inventory);
        let all = pages.len();
        tracing::info!(integration = %inventory.integration, accounts, roles, permissions, pages = all, complete = inventory.complete, "inventory: read");
        let missing = self.announce(inventory, &pages).await?;
        let wanted: Vec<&InventoryPage> = pages.iter().filter(|p| missing.contains(&p.hash)).collect();
        tracing::info!(integration = %inventory.integration, pages = all, missing = wanted.len(), "inventory: announced");
        let mut sent = 0;
        for batch in batches(&wanted) {
            let batch: Vec<InventoryPage> = batch.iter().map(|page| (*page).clone()).collect();
            sent += batch.len();
            self.ask(inventory, batch).await?;
            tracing::info!(integration = %inventory.integration, sent, missing = wanted.len(), "inventory: pages sent");
        }
        if !wanted.is_empty() && !self.announce(inventory, &pages).await?.is_empty() {
            tracing::error!(integration = %inventory.integration, "inventory: the control plane does not keep the pages that it was sent");
            return None;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        tracing::info!(integration = %inventory.integration, sent, unchanged = all - wanted.len(), "inventory: handed over");
        Some(Counts {
            roles,
            accounts,
            permissions,
            pages_sent: count(wanted.len()),
            pages_unchanged: count(all - wanted.len()),
            complete: inventory.complete,
        })
    }

    /// Hashes of pages that the control plane lacks.
    async fn announce(&self, inventory: &Inventory, pages: &[InventoryPage]) -> Option<Vec<String>> {
        let bare = pages.iter().map(|page| InventoryPage { items: None, ..page.clone() });
        self.ask(inventory, bare.collect()).await
    }

    /// One request, repeated until it is answered or the time is over.
    async fn ask(&self, inventory: &Inventory, pages: Vec<InventoryPage>) -> Option<Vec<String>> {
        let request = InventoryRequest {
            integration: inventory.integration.clone(),
            snapshot: format!("{}-{}", inventory.jobs.first()?, inventory.taken_at.0),
            taken_at: Utc(inventory.taken_at),
            complete: inventory.complete,
            pages,
        };
        let mut waits = Waits::default();
        loop {
            let error = match self.client.inventory(&request).await {
                Ok(answer) => return Some(answer.missing),
                Err(error) => error,
            };
            let pause = waits.next(error.retry_after());
            let back = clock::now().boot + Millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            let hopeless = matches!(error, ControlError::Refused { .. });
            if hopeless || back >= inventory.until {
                tracing::error!(integration = %inventory.integration, error = %error, "inventory: cannot be handed over");
                return None;
            }
            tracing::warn!(integration = %inventory.integration, error = %error, "inventory: not taken yet; tried again");
            tokio::time::sleep(pause).await;
        }
    }
}

/// Pages, as many to a body as fit.
fn batches<'a>(pages: &[&'a InventoryPage]) -> Vec<Vec<&'a InventoryPage>> {
    let mut batches: Vec<Vec<&InventoryPage>> = Vec::new();
    let mut room = 0;
    for page in pages {
        let size = serde_json::to_vec(page).map_or(BODY, |text| text.len());
        match batches.last_mut().filter(|_| size <= room) {
            Some(batch) => batch.push(page),
            None => {
                batches.push(vec![page]);
                room = BODY;
            }
        }
        room = room.saturating_sub(size);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::wire::{InventoryItem, InventoryRole, PageKind},
        engine::ids::RoleName,
    };

    #[test]
    fn bodies_stay_below_their_size_and_hold_every_page_once() {
        let name = RoleName::new(&"r".repeat(250)).unwrap();
        let item = InventoryItem::Role(InventoryRole { name, grantable: true });
        let page = |index| InventoryPage {
            kind: PageKind::Roles,
            index,
            hash: String::new(),
            items: Some(vec![item.clone(); 200]),
        };
        let pages: Vec<InventoryPage> = (0..30).map(page).collect();
        let batches = batches(&pages.iter().collect::<Vec<_>>());
        let size = |batch: &Vec<&InventoryPage>| serde_json::to_vec(batch).unwrap().len();
        assert!(batches.len() > 2 && batches.iter().all(|batch| size(batch) <= BODY + 1024));
        let all: Vec<u32> = batches.iter().flatten().map(|page| page.index).collect();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    }
}
