//! `/api/v2/service-accounts`: accounts for programs.
//!
//! Refuses to show a secret a second time. Making one is refused with 404 by default, as it was on
//! the one tenant where somebody tried.

use serde_json::{Value, json};

use super::{
    super::{
        reply::Reply,
        shown::rfc3339,
        state::{random_hex, random_key},
        tenancy::ServiceAccount,
    },
    Call, either,
};

/// The lifetimes that JumpCloud offers, in days.
const LIFETIMES: [(&str, i64); 4] = [("30 Days", 30), ("60 Days", 60), ("90 Days", 90), ("365 Days", 365)];
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

impl Call<'_> {
    pub(super) fn services(self, rest: &[&str]) -> Reply {
        if !self.switches.services_route {
            return self.no_such_route();
        }
        match (self.method(), rest) {
            ("GET", []) => either(self.list_services()),
            ("POST", []) if self.switches.services_created => either(self.create_service()),
            ("GET", [id]) => either(self.service(id)),
            ("DELETE", [id]) => either(self.delete_service(id)),
            ("POST", [id, "auth-config"]) => either(self.add_credentials(id)),
            ("DELETE", [id, "auth-config", _]) => either(self.drop_credentials(id)),
            _ => self.no_such_route(),
        }
    }

    fn list_services(&self) -> Result<Reply, Reply> {
        self.may("users.readonly")?;
        let seen: Vec<&ServiceAccount> =
            self.state.service_accounts.iter().filter(|service| self.sees(service)).collect();
        Ok(self.page(&seen, |service| self.shown_account(service)))
    }

    fn service(&self, id: &str) -> Result<Reply, Reply> {
        self.may("users.readonly")?;
        let service = &self.state.service_accounts[self.service_at(id)?];
        Ok(Reply::json(200, json!({"serviceAccount": self.shown_account(service)})))
    }

    fn create_service(self) -> Result<Reply, Reply> {
        self.may_write()?;
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        let wrong = |what: &str| Reply::error(400, &format!("Bad Request: {what}"));
        let name = body["name"].as_str().ok_or_else(|| wrong("name is required"))?;
        let role = self.state.roles.iter().find(|role| body["roleId"] == role.id.as_str());
        let role = role.ok_or_else(|| wrong("there is no such role"))?.name.clone();
        let home = self.organizations.first().cloned();
        let mut service = ServiceAccount {
            id: self.state.new_id(self.now_ms),
            name: name.to_owned(),
            roles: vec![role],
            organization: home.filter(|home| *home != self.state.organization),
            client_id: None,
            client_secret: None,
            api_key: None,
            expires_ms: None,
        };
        let secret = give_credentials(&mut service, &body["authConfig"], self.now_ms)?;
        let mut shown = self.shown_account(&service);
        shown["authConfigList"] = json!([secret]);
        self.state.note_thing(&self.caller.author, "service_account_create", &service.id, self.now_ms);
        self.state.service_accounts.push(service);
        Ok(Reply::json(201, json!({"serviceAccount": shown})))
    }

    fn delete_service(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let service = self.state.service_accounts.remove(self.service_at(id)?);
        self.state.tokens.retain(|token| token.service != service.id);
        self.state.note_thing(&self.caller.author, "service_account_delete", id, self.now_ms);
        Ok(Reply { status: 204, body: None, headers: Vec::new() })
    }

    fn add_credentials(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let at = self.service_at(id)?;
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        let secret = give_credentials(&mut self.state.service_accounts[at], &body, self.now_ms)?;
        self.state.note_thing(&self.caller.author, "service_account_update", id, self.now_ms);
        Ok(Reply::json(201, json!({"authConfig": secret})))
    }

    fn drop_credentials(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let at = self.service_at(id)?;
        let service = &mut self.state.service_accounts[at];
        (service.client_id, service.client_secret, service.api_key) = (None, None, None);
        self.state.tokens.retain(|token| token.service != id);
        self.state.note_thing(&self.caller.author, "service_account_update", id, self.now_ms);
        Ok(Reply { status: 204, body: None, headers: Vec::new() })
    }

    fn service_at(&self, id: &str) -> Result<usize, Reply> {
        let id = self.checked(id)?;
        let wanted = |service: &ServiceAccount| service.id == id && self.sees(service);
        self.state.service_accounts.iter().position(wanted).ok_or_else(|| self.no_such_id())
    }

    fn sees(&self, service: &ServiceAccount) -> bool {
        let home = service.organization.as_ref().unwrap_or(&self.state.organization);
        self.organizations.contains(home)
    }

    fn shown_account(&self, service: &ServiceAccount) -> Value {
        let live = service.is_live(self.now_ms);
        let mut shown = json!({
            "objectId": service.id,
            "name": service.name,
            "status": if live { "ACTIVE" } else { "EXPIRED" },
        });
        if let Some(role) = service.roles.first() {
            shown["roleName"] = json!(role);
        }
        if let Some(end) = service.expires_ms {
            shown["expiresAt"] = json!(rfc3339(end));
        }
        shown
    }
}

/// Gives a service account new credentials; the answer is the only place where they are seen.
fn give_credentials(service: &mut ServiceAccount, asked: &Value, now_ms: i64) -> Result<Value, Reply> {
    let wrong = || Reply::error(400, "Bad Request: authType or lifetime is not known");
    let no_chance = |_| Reply::status(500);
    let (config, is_key) = match asked["authType"].as_str() {
        Some("API_KEY") => (&asked["apiKeyConfig"], true),
        Some("CLIENT_SECRET") => (&asked["clientSecretConfig"], false),
        _ => return Err(wrong()),
    };
    let days = LIFETIMES.iter().find(|(name, _)| config["lifetime"] == *name).ok_or_else(wrong)?.1;
    service.expires_ms = Some(now_ms.saturating_add(days * DAY_MS));
    if is_key {
        let key = random_key().map_err(no_chance)?;
        service.api_key = Some(key.clone());
        return Ok(json!({"authType": "API_KEY", "apiKey": key}));
    }
    let (id, secret) = (random_hex().map_err(no_chance)?, random_hex().map_err(no_chance)?);
    service.client_id = Some(id.clone());
    service.client_secret = Some(secret.clone());
    Ok(json!({"authType": "CLIENT_SECRET", "clientId": id, "clientSecret": secret}))
}
