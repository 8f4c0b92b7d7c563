//! The operator's view of agents and keys: processes, alarms, inventories; new signing keys, and the
//! wish for a new agent key.
//!
//! Refuses to drop the last signing key, and to wish anything of an agent that is not enrolled.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};

use super::{
    Shared,
    agents::{self, AgentView},
    alarms::{self, AlarmView},
    inventory::{self, InventoryView},
    keys::KeysView,
    problem::Problem,
};
use crate::engine::ids::AgentId;

type App = State<Arc<Shared>>;
type Answer<T> = Result<Json<T>, Problem>;

/// The routes, to be put behind the operator's gate.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/admin/agents", get(list_agents))
        .route("/v1/admin/agents/{id}/rotate-key", post(wish_new_key))
        .route("/v1/admin/alarms", get(list_alarms))
        .route("/v1/admin/inventory", get(list_inventory))
        .route("/v1/admin/keys", get(show_keys))
        .route("/v1/admin/keys/rotate", post(rotate_keys))
        .route("/v1/admin/keys/drop-old", post(drop_old_keys))
}

async fn list_agents(State(shared): App) -> Answer<Vec<AgentView>> {
    Ok(Json(shared.store.write(agents::list)?))
}

async fn wish_new_key(State(shared): App, Path(id): Path<String>) -> Answer<AgentView> {
    let unknown = || Problem::not_found(format!("no agent {id} is enrolled"));
    let agent = AgentId::new(&id).map_err(|_| unknown())?;
    let view = shared.store.write(|tx| {
        if !agents::wish_new_key(tx, &agent)? {
            return Err(unknown());
        }
        agents::list(tx)?.into_iter().find(|view| view.id == agent).ok_or_else(unknown)
    })?;
    Ok(Json(view))
}

async fn list_alarms(State(shared): App) -> Answer<Vec<AlarmView>> {
    Ok(Json(shared.store.write(alarms::list)?))
}

async fn list_inventory(State(shared): App) -> Answer<Vec<InventoryView>> {
    Ok(Json(shared.store.write(inventory::list)?))
}

async fn show_keys(State(shared): App) -> Answer<KeysView> {
    Ok(Json(shared.keys.view()))
}

async fn rotate_keys(State(shared): App) -> Answer<KeysView> {
    shared.store.write(|tx| shared.keys.add(tx))?;
    shared.keys.reload(&shared.store)?;
    Ok(Json(shared.keys.view()))
}

async fn drop_old_keys(State(shared): App) -> Answer<KeysView> {
    if !shared.store.write(|tx| shared.keys.drop_old(tx))? {
        return Err(Problem::conflict("the set holds the signing key only: rotate first".to_owned()));
    }
    shared.keys.reload(&shared.store)?;
    Ok(Json(shared.keys.view()))
}
