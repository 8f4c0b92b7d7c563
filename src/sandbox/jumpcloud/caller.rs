//! Whose credential a request carries, and what it may do and see.
//!
//! Refuses an unknown, expired or revoked credential, and one whose owner is suspended, deleted or
//! not allowed to have it; how soon a key feels what happens to its owner is a switch.

use super::{
    account::Account, api::Request, author::Author, roles::Role, state::State, switches::Switches,
    tenancy::ServiceAccount,
};

/// Who asks.
pub(super) struct Caller {
    pub(super) author: Author,
    pub(super) who: Who,
    /// The organizations that the credential sees.
    pub(super) sees: Vec<String>,
    roles: Vec<String>,
}

/// The owner of a credential.
pub(super) enum Who {
    Admin(Box<Account>),
    Service(Box<ServiceAccount>),
}

impl Caller {
    /// Whoever `request` comes from, if its credential is good.
    pub(super) fn of(state: &State, switches: &Switches, request: &Request, now_ms: i64) -> Option<Self> {
        if let Some(token) = request.bearer() {
            let token = state.tokens.iter().find(|known| known.text == token && known.expires_ms > now_ms)?;
            let service = state.service_accounts.iter().find(|service| service.id == token.service)?;
            return service.is_live(now_ms).then(|| Self::service(state, service, "oauth"));
        }
        let key = request.key.as_deref()?;
        if let Some(owner) = owner_of(state, switches, key, now_ms) {
            return Some(Self::admin(state, owner));
        }
        let service = state.service_accounts.iter().find(|one| one.api_key.as_deref() == Some(key))?;
        service.is_live(now_ms).then(|| Self::service(state, service, "api-key"))
    }

    fn admin(state: &State, account: Account) -> Self {
        let sees =
            if account.provider { account.links.clone() } else { vec![state.home_of(&account).to_owned()] };
        let author = Author {
            name: account.email.clone(),
            id: account.id.clone(),
            email: Some(account.email.clone()),
            auth: "api-key",
            organization: None,
        };
        Self { author, sees, roles: account.roles.clone(), who: Who::Admin(Box::new(account)) }
    }

    fn service(state: &State, service: &ServiceAccount, auth: &'static str) -> Self {
        let home = service.organization.clone().unwrap_or_else(|| state.organization.clone());
        let author = Author {
            name: service.name.clone(),
            id: service.id.clone(),
            email: None,
            auth,
            organization: Some(home.clone()),
        };
        let who = Who::Service(Box::new(service.clone()));
        Self { author, sees: vec![home], roles: service.roles.clone(), who }
    }

    /// Whether the credential is one of a multi-tenant administrator.
    pub(super) fn is_multi_tenant(&self) -> bool {
        matches!(&self.who, Who::Admin(account) if account.provider)
    }

    /// Whether a role held has `scope`.
    pub(super) fn may(&self, state: &State, scope: &str) -> bool {
        self.held(state).any(|role| role.scopes.iter().any(|held| held == scope))
    }

    /// Whether the credential may create, change and delete administrators.
    pub(super) fn may_write_admins(&self, state: &State, switches: &Switches) -> bool {
        let service_may = switches.services_write_admins || !self.author.is_service();
        service_may && self.held(state).any(Role::may_write_admins)
    }

    /// Whether `role` has a scope that no role of the caller has.
    pub(super) fn is_below(&self, role: &Role, state: &State) -> bool {
        role.scopes.iter().any(|scope| !self.may(state, scope))
    }

    fn held<'a>(&'a self, state: &'a State) -> impl Iterator<Item = &'a Role> {
        state.roles.iter().filter(|role| self.roles.contains(&role.name))
    }
}

/// The owner of an API key, with the roles that the key gives.
fn owner_of(state: &State, switches: &Switches, key: &str, now_ms: i64) -> Option<Account> {
    let has_key = |account: &&Account| account.api_key.as_deref() == Some(key);
    let current = state.accounts.iter().find(has_key);
    if let Some(owner) = current.filter(|owner| owner.may_use_its_key(now_ms)) {
        let mut owner = owner.clone();
        let mut before = state.past.replaced(now_ms, switches.key_keeps_role_ms).filter(has_key);
        if let Some(before) = before.find(|account| account.id == owner.id) {
            owner.roles.clone_from(&before.roles);
        }
        return Some(owner);
    }
    let before = state.past.replaced(now_ms, switches.key_survives_owner_ms);
    let owner = before.filter(has_key).filter(|owner| owner.may_use_its_key(now_ms)).last()?;
    // A key that was replaced is dead at once.
    let replaced = state.account(&owner.id).is_some_and(|now| now.api_key != owner.api_key);
    (!replaced).then(|| owner.clone())
}
