//! The routes of JumpCloud that the simulation answers, as a pure function of state and request.
//!
//! Refuses like JumpCloud: no key 401, a key whose administrator may not 403, and bodies with
//! `message` and `error` in them. Knows nothing of faults, sockets or clocks.

use serde_json::{Value, json};

use super::{
    account::Account,
    log::{Change, Changed},
    reply::Reply,
    state::State,
    switches::Switches,
    write::{self, Fields},
};

/// JumpCloud's largest page.
const PAGE_MAX: usize = 100;
/// The page if nothing is said.
const PAGE_DEFAULT: usize = 10;

/// A request, as far as the simulated API looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// Upper-case HTTP method.
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    /// Decoded pairs of the query.
    pub(super) query: Vec<(String, String)>,
    /// `x-api-key`.
    pub(super) key: Option<String>,
    /// `x-org-id`.
    pub(super) org_id: Option<String>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// Answers `request` and does what it asks for.
pub(super) fn answer(state: &mut State, switches: &Switches, request: &Request, now_ms: i64) -> Reply {
    let Some(actor) = request.key.as_deref().and_then(|key| state.owner_of(key)).cloned() else {
        return Reply::unauthorized();
    };
    if let Some(refusal) = organization_refusal(state, switches, request) {
        return refusal;
    }
    let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let call = Call { state, switches, request, actor: &actor, now_ms };
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["api", "users", "getSelf"]) if switches.get_self => call.get_self(),
        (_, ["api", "users", "getSelf"]) => Reply::not_found(),
        ("GET", ["api", "users"]) => call.list(),
        ("POST", ["api", "users"]) => call.create(),
        ("GET", ["api", "users", id]) => call.get(id),
        ("PUT", ["api", "users", id]) => call.update(id),
        ("DELETE", ["api", "users", id]) => call.delete(id),
        ("GET", ["api", "organizations"]) => call.organizations(),
        ("GET", ["api", "v2", "roles"]) if switches.roles_route => call.roles(),
        ("GET", ["api", "v2", "roles", id]) if switches.roles_route => call.role(id),
        _ => Reply::not_found(),
    }
}

fn organization_refusal(state: &State, switches: &Switches, request: &Request) -> Option<Reply> {
    let given = request.org_id.as_deref()?;
    let path = request.path.as_str();
    if path.starts_with("/api/organizations")
        || (switches.users_refuse_org_id && path.starts_with("/api/users"))
    {
        return Some(Reply::error(403, "Forbidden: organization selection not allowed via header"));
    }
    if !write::is_id(given) {
        return Some(Reply::error(400, "Bad Request: malformed organization id"));
    }
    (given != state.organization).then(|| Reply::error(404, "Not Found: organization not found"))
}

struct Call<'a> {
    state: &'a mut State,
    switches: &'a Switches,
    request: &'a Request,
    actor: &'a Account,
    now_ms: i64,
}

impl Call<'_> {
    fn get_self(&self) -> Reply {
        Reply::json(200, self.shown(self.actor))
    }

    fn list(&self) -> Reply {
        if !self.may("users.readonly") {
            return forbidden();
        }
        let mut accounts: Vec<&Account> =
            self.seen().iter().filter(|account| self.is_asked_for(account)).collect();
        match self.query("sort") {
            Some("_id") => accounts.sort_by(|a, b| a.id.cmp(&b.id)),
            Some("-_id") => accounts.sort_by(|a, b| b.id.cmp(&a.id)),
            _ if self.switches.unstable_order && self.now_ms % 2 == 0 => accounts.reverse(),
            _ => {}
        }
        let limit = self.number("limit").unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let skip = self.number("skip").unwrap_or(0);
        let page: Vec<Value> =
            accounts.iter().skip(skip).take(limit).map(|account| self.shown(account)).collect();
        Reply::json(200, json!({"totalCount": accounts.len(), "results": page}))
    }

    fn get(&self, id: &str) -> Reply {
        if !self.may("users.readonly") {
            return forbidden();
        }
        if !write::is_id(id) {
            return malformed_id();
        }
        let found = self.seen().iter().find(|account| account.id == id);
        found.map_or_else(Reply::not_found, |account| Reply::json(200, self.shown(account)))
    }

    fn create(self) -> Reply {
        if !self.may_write() {
            return forbidden();
        }
        let fields = match Fields::parse(&self.request.body) {
            Ok(fields) => fields,
            Err(refusal) => return refusal.into(),
        };
        match write::created(self.state, self.switches, &fields, self.now_ms) {
            Ok(account) => {
                let status = self.switches.create_status;
                self.store(account, Change::Created, status)
            }
            Err(refusal) => refusal.into(),
        }
    }

    fn update(self, id: &str) -> Reply {
        if !self.may_write() {
            return forbidden();
        }
        if !write::is_id(id) {
            return malformed_id();
        }
        let fields = match Fields::parse(&self.request.body) {
            Ok(fields) => fields,
            Err(refusal) => return refusal.into(),
        };
        let Some(account) = self.state.account(id).cloned() else { return Reply::not_found() };
        match write::updated(self.state, self.switches, account, &fields) {
            Ok(account) => self.store(account, Change::Updated, 200),
            Err(refusal) => refusal.into(),
        }
    }

    fn delete(self, id: &str) -> Reply {
        if !self.may_write() {
            return forbidden();
        }
        if !write::is_id(id) {
            return malformed_id();
        }
        let protected = self.switches.protected_status;
        if id == self.actor.id {
            return Reply::error(protected, "Bad Request: you cannot delete your own account");
        }
        if self.state.is_last_billing_admin(id) {
            return Reply::error(
                protected,
                "Bad Request: an organization needs an Administrator With Billing",
            );
        }
        let Some(account) = self.state.remove(id, self.now_ms) else { return Reply::not_found() };
        let changed = Some(Changed::new(&self.actor.email, Change::Deleted, &account));
        if self.switches.delete_shows_account {
            return Reply { status: 200, body: Some(self.shown(&account)), changed };
        }
        Reply { status: 204, body: None, changed }
    }

    fn organizations(&self) -> Reply {
        if !self.may("organizations.readonly") {
            return forbidden();
        }
        let only = json!({"_id": self.state.organization, "id": self.state.organization,
            "displayName": self.state.organization_name});
        Reply::json(200, json!({"totalCount": 1, "results": [only]}))
    }

    fn roles(&self) -> Reply {
        if !self.may("roles.readonly") {
            return forbidden();
        }
        let limit = self.number("limit").unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let skip = self.number("skip").unwrap_or(0);
        let page: Vec<_> = self.state.roles.iter().skip(skip).take(limit).collect();
        Reply::json(200, json!({"totalCount": self.state.roles.len(), "results": page}))
    }

    fn role(&self, id: &str) -> Reply {
        if !self.may("roles.readonly") {
            return forbidden();
        }
        let found = self.state.roles.iter().find(|role| role.id == id);
        found.map_or_else(Reply::not_found, |role| Reply::json(200, json!(role)))
    }

    fn store(self, account: Account, change: Change, status: u16) -> Reply {
        let changed = Some(Changed::new(&self.actor.email, change, &account));
        let body = Some(self.shown(&account));
        self.state.put(account, self.now_ms);
        Reply { status, body, changed }
    }

    fn shown(&self, account: &Account) -> Value {
        account.shown(&self.state.roles, &self.state.organization, self.switches.plural_roles_shown)
    }

    fn seen(&self) -> &[Account] {
        self.state.seen_late(self.now_ms, self.switches.read_lag_ms)
    }

    fn may_write(&self) -> bool {
        let roles = self.state.roles.iter().filter(|role| self.actor.roles.contains(&role.name));
        roles.into_iter().any(super::roles::Role::may_write_admins)
    }

    fn may(&self, scope: &str) -> bool {
        let mut roles = self.state.roles.iter().filter(|role| self.actor.roles.contains(&role.name));
        roles.any(|role| role.scopes.iter().any(|held| held == scope))
    }

    fn is_asked_for(&self, account: &Account) -> bool {
        let Some((field, value)) = self.query("filter").and_then(|filter| filter.split_once(":$eq:")) else {
            return true;
        };
        match field {
            _ if !self.switches.filter => true,
            "email" => account.has_email(value),
            "roleName" => account.roles.first().is_some_and(|role| role == value),
            _ => true,
        }
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.query(name)?.parse().ok()
    }
}

fn forbidden() -> Reply {
    Reply::error(403, "Forbidden: insufficient permissions")
}

fn malformed_id() -> Reply {
    Reply::error(400, "Bad Request: malformed id")
}
