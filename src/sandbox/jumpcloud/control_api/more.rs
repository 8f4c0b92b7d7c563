//! Organizations, roles, service accounts and scripts in the control API.
//!
//! Refuses to show a client secret again after the answer that made it.

use axum::{
    Json, Router,
    extract::{Path, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        console_tenancy::{NewRole, NewService},
        script::Script,
        tenancy::ServiceAccount,
    },
    Console, refusal,
};

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/_sandbox/organizations", post(add_organization))
        .route("/_sandbox/roles", post(add_role))
        .route("/_sandbox/service-accounts", post(add_service))
        .route("/_sandbox/service-accounts/{who}", delete(delete_service))
        .route("/_sandbox/tokens", delete(revoke_tokens))
        .route("/_sandbox/script", get(show_scripts).post(play).delete(stop_scripts))
}

/// A service account without its secrets.
pub(super) fn service(service: &ServiceAccount) -> Value {
    json!({
        "id": service.id,
        "name": service.name,
        "roles": service.roles,
        "organization": service.organization,
        "client_id": service.client_id,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    name: String,
}

async fn add_organization(
    Extract(console): Extract<Console>,
    Json(new): Json<NewOrganization>,
) -> Json<Value> {
    Json(json!({"id": console.add_organization(&new.name), "name": new.name}))
}

async fn add_role(Extract(console): Extract<Console>, Json(new): Json<NewRole>) -> Response {
    match console.add_role(new) {
        Ok(role) => Json(role).into_response(),
        Err(refused) => refusal(&refused),
    }
}

async fn add_service(Extract(console): Extract<Console>, Json(new): Json<NewService>) -> Response {
    match console.add_service_account(&new) {
        Ok(made) => {
            let mut shown = service(&made);
            shown["client_secret"] = json!(made.client_secret);
            Json(shown).into_response()
        }
        Err(refused) => refusal(&refused),
    }
}

async fn delete_service(Extract(console): Extract<Console>, Path(who): Path<String>) -> Response {
    match console.delete_service_account(&who) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refusal(&refused),
    }
}

async fn revoke_tokens(Extract(console): Extract<Console>) -> StatusCode {
    console.revoke_tokens();
    StatusCode::NO_CONTENT
}

async fn play(Extract(console): Extract<Console>, Json(script): Json<Script>) -> Json<Value> {
    Json(json!({"number": console.play(script)}))
}

async fn show_scripts(Extract(console): Extract<Console>) -> Json<Value> {
    Json(json!({"scripts": console.scripts()}))
}

async fn stop_scripts(Extract(console): Extract<Console>) -> StatusCode {
    console.stop_scripts();
    StatusCode::NO_CONTENT
}
