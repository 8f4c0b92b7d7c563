//! `POST /oauth2/token`: an access token for client credentials (RFC 6749, section 4.4).
//!
//! Refuses in the form of that RFC: `invalid_client` 401, `invalid_request`, `unsupported_grant_type`
//! and `invalid_scope` 400. Whoever holds a token cannot check its signature: it is random.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    super::{
        reply::Reply,
        state::{State, random_hex},
        switches::Switches,
        tenancy::Token,
    },
    Request,
};

/// As many tokens may live at once as anybody needs in a test; the oldest go first.
const KEPT: usize = 1000;

/// Answers a request for a token.
pub(super) fn issue(state: &mut State, switches: &Switches, request: &Request, now_ms: i64) -> Reply {
    let form = request.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match (field("grant_type"), field("scope")) {
        (None, _) => return refusal(400, "invalid_request"),
        (Some("client_credentials"), Some("api") | None) => {}
        (Some("client_credentials"), _) => return refusal(400, "invalid_scope"),
        _ => return refusal(400, "unsupported_grant_type"),
    }
    let Some((id, secret)) = request.basic() else { return refusal(401, "invalid_client") };
    let holds = |service: &super::super::tenancy::ServiceAccount| {
        service.client_id.as_ref() == Some(&id) && service.client_secret.as_ref() == Some(&secret)
    };
    let live = state.service_accounts.iter().find(|service| holds(service) && service.is_live(now_ms));
    let Some(service) = live.map(|service| service.id.clone()) else { return refusal(401, "invalid_client") };
    let expires_ms = now_ms + i64::from(switches.token_lifetime_s) * 1000;
    let Ok(text) = token_text(switches, &id, now_ms, expires_ms) else { return Reply::status(500) };
    state.tokens.retain(|token| token.expires_ms > now_ms);
    if state.tokens.len() == KEPT {
        state.tokens.remove(0);
    }
    state.tokens.push(Token { text: text.clone(), service, expires_ms });
    let mut body = json!({"access_token": text, "token_type": "bearer", "scope": "api"});
    if switches.token_expires_in {
        body["expires_in"] = json!(switches.token_lifetime_s);
    }
    let mut reply = Reply::json(200, body);
    reply.headers.push(("cache-control", "no-store".to_owned()));
    reply
}

fn token_text(
    switches: &Switches,
    client: &str,
    now_ms: i64,
    expires_ms: i64,
) -> Result<String, aws_lc_rs::error::Unspecified> {
    let (id, signature) = (random_hex()?, random_hex()?);
    if switches.token_opaque {
        return Ok(format!("jco_{id}{signature}"));
    }
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": "simulated"}));
    let claims = part(json!({
        "iss": "https://simulated.example/", "sub": client, "client_id": client, "scp": ["api"],
        "iat": now_ms / 1000, "exp": expires_ms / 1000, "jti": id,
    }));
    Ok(format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn refusal(status: u16, error: &str) -> Reply {
    let said = "The simulated JumpCloud does not give a token for this.";
    Reply::json(status, json!({"error": error, "error_description": said}))
}
