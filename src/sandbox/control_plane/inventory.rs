//! The inventory as the agent sent it: the newest page of each kind and place.
//!
//! Refuses nothing: a page announced without items is asked for unless the same content is here.

use rusqlite::{Transaction, params};

use super::store::StoreError;
use crate::{
    control::wire::{InventoryPage, InventoryRequest},
    engine::ids::AgentId,
};

/// Stores the pages that came with items; returns the hashes of those that are missing.
pub(super) fn receive(
    tx: &Transaction<'_>,
    agent: &AgentId,
    request: &InventoryRequest,
    now: i64,
) -> Result<Vec<String>, StoreError> {
    let integration = request.integration.as_str();
    let mut missing = Vec::new();
    for page in &request.pages {
        if let Some(items) = &page.items {
            tx.execute(
                "insert or replace into inventory (agent, integration, kind, page, hash, items, received_at)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    agent.as_str(),
                    integration,
                    text(&page.kind),
                    page.index,
                    page.hash,
                    text(items),
                    now
                ],
            )?;
        } else if !stored(tx, agent, integration, page)? {
            missing.push(page.hash.clone());
        }
    }
    Ok(missing)
}

fn stored(
    tx: &Transaction<'_>,
    agent: &AgentId,
    integration: &str,
    page: &InventoryPage,
) -> Result<bool, StoreError> {
    Ok(tx.query_row(
        "select count(*) > 0 from inventory
         where agent = ?1 and integration = ?2 and kind = ?3 and page = ?4 and hash = ?5",
        params![agent.as_str(), integration, text(&page.kind), page.index, page.hash],
        |row| row.get(0),
    )?)
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("checked names and booleans serialise")
}
