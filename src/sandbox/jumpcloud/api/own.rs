//! What concerns the key itself: whose it is, and making a new one.
//!
//! Refuses by switch: neither route is described in a public document.

use serde_json::{Value, json};

use super::{
    super::{
        caller::Who,
        reply::Reply,
        shown,
        state::random_key,
        switches::{KeyTtl, ServiceSelf},
        tenancy::ServiceAccount,
    },
    Call, forbidden,
};

impl Call<'_> {
    pub(super) fn get_self(&self) -> Reply {
        if !self.switches.get_self {
            return Reply::status(self.switches.get_self_missing_status);
        }
        let mut shown = match &self.caller.who {
            Who::Admin(account) => self.shown(account),
            Who::Service(service) => match self.switches.get_self_for_services {
                ServiceSelf::Object => self.shown_service(service),
                ServiceSelf::NotFound => return Reply::status(404),
                ServiceSelf::Forbidden => return forbidden(),
            },
        };
        let Some(fields) = shown.as_object_mut() else { return Reply::json(200, shown) };
        if !self.switches.get_self_organization {
            fields.remove("organization");
        }
        if !self.switches.get_self_role {
            for key in ["role", "roleName", "roles", "roleNames"] {
                fields.remove(key);
            }
        }
        Reply::json(200, self.projected(shown))
    }

    fn shown_service(&self, service: &ServiceAccount) -> Value {
        let mut shown = json!({"organization": self.caller.sees.first()});
        shown::put_id(&mut shown, self.switches.id_key, &service.id);
        if let Some(name) = service.roles.first() {
            shown["roleName"] = json!(name);
        }
        shown
    }

    pub(super) fn generate_api_key(self) -> Reply {
        let unit_ms: i64 = match self.switches.generate_api_key {
            KeyTtl::NoRoute => return self.no_such_route(),
            KeyTtl::Days => 86_400_000,
            KeyTtl::Hours => 3_600_000,
            KeyTtl::Seconds => 1000,
        };
        let Who::Admin(account) = &self.caller.who else { return forbidden() };
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        let ttl = match &body["ttl"] {
            Value::Null => None,
            ttl => match ttl.as_i64().filter(|ttl| *ttl > 0) {
                Some(ttl) => Some(ttl.saturating_mul(unit_ms)),
                None => return Reply::error(400, "Bad Request: ttl must be a positive integer"),
            },
        };
        let Ok(key) = random_key() else { return Reply::status(500) };
        let mut account = (**account).clone();
        account.api_key = Some(key.clone());
        account.api_key_expires_ms = ttl.map(|ttl| self.now_ms.saturating_add(ttl));
        let mut shown = self.shown(&account);
        shown["apiKey"] = json!(key);
        self.state.put(account, &self.caller.author, self.now_ms);
        Reply::json(200, shown)
    }
}
