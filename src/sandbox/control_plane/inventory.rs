//! The inventory as the agent sent it: the newest page of each kind and place, and the newest reading
//! of each integration.
//!
//! Refuses items whose hash is not the announced one: they are asked for again. An incomplete reading
//! takes nothing away.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::store::{self, StoreError};
use crate::{
    control::wire::{InventoryPage, InventoryRequest, PageKind, Utc},
    engine::ids::{AgentId, IntegrationId},
};

/// What is known of one integration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InventoryView {
    /// Who read it.
    pub agent: AgentId,
    /// The integration.
    pub integration: IntegrationId,
    /// The newest reading.
    pub snapshot: String,
    /// When it was read.
    pub taken_at: Utc,
    /// Whether it was complete.
    pub complete: bool,
    /// Announced pages that have not come yet.
    pub missing: usize,
    /// How many items have come over all in all, repeats included.
    pub items_received: u64,
    /// The pages, by kind and index.
    pub pages: Vec<PageView>,
}

/// One page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageView {
    /// What it lists.
    pub kind: PageKind,
    /// Its place among the pages of its kind.
    pub index: u32,
    /// Its hash.
    pub hash: String,
    /// When it came, UTC milliseconds since 1970.
    pub received_at: i64,
    /// Its items, as they were sent.
    pub items: Vec<Value>,
}

/// Stores the pages that came with items; returns the hashes of those that are missing. `raw` is the
/// request as it came: hashes are over what was sent, not over what this version understands of it.
pub(super) fn receive(
    tx: &Transaction<'_>,
    agent: &AgentId,
    request: &InventoryRequest,
    raw: &Value,
    now: i64,
) -> Result<Vec<String>, StoreError> {
    if request.pages.iter().all(|page| page.items.is_none()) {
        announced(tx, agent, request)?;
    }
    let mut missing = Vec::new();
    for (page, raw) in request.pages.iter().zip(raw["pages"].as_array().into_iter().flatten()) {
        let came = page.items.is_some() && InventoryPage::hash_of_json(&raw["items"]) == page.hash;
        if came {
            put(tx, agent, &request.integration, page, &raw["items"], now)?;
        } else if !stored(tx, agent, &request.integration, page)? {
            missing.push(page.hash.clone());
        }
    }
    Ok(missing)
}

/// A new reading: the pages beyond it are gone, if it is complete.
fn announced(tx: &Transaction<'_>, agent: &AgentId, request: &InventoryRequest) -> Result<(), StoreError> {
    let integration = request.integration.as_str();
    tx.execute(
        "insert into snapshot (agent, integration, snapshot, taken_at, complete, pages)
         values (?1, ?2, ?3, ?4, ?5, ?6)
         on conflict (agent, integration) do update
         set snapshot = ?3, taken_at = ?4, complete = ?5, pages = ?6",
        params![
            agent.as_str(),
            integration,
            request.snapshot,
            text(&request.taken_at),
            request.complete,
            text(&request.pages)
        ],
    )?;
    if !request.complete {
        return Ok(());
    }
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for kind in [PageKind::Roles, PageKind::Accounts, PageKind::Permissions] {
        let of_kind = request.pages.iter().filter(|page| page.kind == kind);
        ends.insert(text(&kind), of_kind.map(|page| page.index + 1).max().unwrap_or(0));
    }
    for (kind, end) in ends {
        tx.execute(
            "delete from inventory where agent = ?1 and integration = ?2 and kind = ?3 and page >= ?4",
            params![agent.as_str(), integration, kind, end],
        )?;
    }
    Ok(())
}

fn put(
    tx: &Transaction<'_>,
    agent: &AgentId,
    integration: &IntegrationId,
    page: &InventoryPage,
    items: &Value,
    now: i64,
) -> Result<(), StoreError> {
    let count = items.as_array().map_or(0, Vec::len);
    tx.execute(
        "insert or replace into inventory (agent, integration, kind, page, hash, items, received_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            agent.as_str(),
            integration.as_str(),
            text(&page.kind),
            page.index,
            page.hash,
            items.to_string(),
            now
        ],
    )?;
    tx.execute(
        "update snapshot set items_received = items_received + ?3 where agent = ?1 and integration = ?2",
        params![agent.as_str(), integration.as_str(), i64::try_from(count).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

fn stored(
    tx: &Transaction<'_>,
    agent: &AgentId,
    integration: &IntegrationId,
    page: &InventoryPage,
) -> Result<bool, StoreError> {
    Ok(tx.query_row(
        "select count(*) > 0 from inventory
         where agent = ?1 and integration = ?2 and kind = ?3 and page = ?4 and hash = ?5",
        params![agent.as_str(), integration.as_str(), text(&page.kind), page.index, page.hash],
        |row| row.get(0),
    )?)
}

/// Everything that is known.
pub(super) fn list(tx: &Transaction<'_>) -> Result<Vec<InventoryView>, StoreError> {
    let mut select = tx.prepare_cached(
        "select agent, integration, snapshot, taken_at, complete, pages, items_received from snapshot
         order by agent, integration",
    )?;
    let rows = select.query_map([], |row| Ok((reading(row)?, store::json::<Vec<InventoryPage>>(row, 5)?)))?;
    let mut views = Vec::new();
    for row in rows {
        let (mut view, announced) = row?;
        view.pages = pages(tx, &view)?;
        let here = |page: &&InventoryPage| {
            let same =
                |held: &&PageView| (held.kind, held.index, &held.hash) == (page.kind, page.index, &page.hash);
            view.pages.iter().any(|held| same(&held))
        };
        let announced = announced.unwrap_or_default();
        view.missing = announced.iter().filter(|page| !here(page)).count();
        views.push(view);
    }
    Ok(views)
}

fn reading(row: &Row<'_>) -> rusqlite::Result<InventoryView> {
    let received: i64 = row.get(6)?;
    Ok(InventoryView {
        agent: store::id(row, 0, AgentId::new)?.ok_or(rusqlite::Error::InvalidQuery)?,
        integration: store::id(row, 1, IntegrationId::new)?.ok_or(rusqlite::Error::InvalidQuery)?,
        snapshot: row.get(2)?,
        taken_at: store::json(row, 3)?.ok_or(rusqlite::Error::InvalidQuery)?,
        complete: row.get(4)?,
        missing: 0,
        items_received: u64::try_from(received).unwrap_or(0),
        pages: Vec::new(),
    })
}

fn pages(tx: &Transaction<'_>, of: &InventoryView) -> Result<Vec<PageView>, StoreError> {
    let mut select = tx.prepare_cached(
        "select kind, page, hash, received_at, items from inventory where agent = ?1 and integration = ?2
         order by kind, page",
    )?;
    let rows = select.query_map([of.agent.as_str(), of.integration.as_str()], |row| {
        Ok(PageView {
            kind: store::json(row, 0)?.ok_or(rusqlite::Error::InvalidQuery)?,
            index: row.get(1)?,
            hash: row.get(2)?,
            received_at: row.get(3)?,
            items: store::json(row, 4)?.unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("checked names and booleans serialise")
}
