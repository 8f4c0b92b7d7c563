//! What a human in the console does beside administrators: organizations, custom roles, service
//! accounts, and taking all access tokens back.
//!
//! Refuses a role that exists, and a service account with roles that do not.

use serde::{Deserialize, Serialize};

use super::{
    author::Author,
    console::{Console, Refused},
    roles::Role,
    routes::now_ms,
    state::{State, random_hex},
    tenancy::{Organization, ServiceAccount},
};

/// A custom role to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Its name.
    pub name: String,
    /// What a holder may do; `administrators` is the scope to write administrators.
    pub scopes: Vec<String>,
}

/// A service account to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewService {
    /// Its name; `service` if it is empty.
    pub name: String,
    /// The roles to hold; Administrator With Billing if there are none.
    pub roles: Vec<String>,
    /// The organization to belong to; the first one if there is none.
    pub organization: Option<String>,
    /// How long its credentials last, in milliseconds; for ever without it.
    pub ttl_ms: Option<u64>,
}

impl Console {
    /// Adds an organization without anybody in it, and answers its identifier.
    pub fn add_organization(&self, name: &str) -> String {
        let mut world = self.0.lock();
        let now = now_ms();
        let id = world.state.new_id(now);
        world.state.organizations.push(Organization { id: id.clone(), name: name.to_owned() });
        world.console_done(now);
        id
    }

    /// Adds a custom role to every organization.
    ///
    /// # Errors
    /// [`Refused::Invalid`] if there is one of that name.
    pub fn add_role(&self, new: NewRole) -> Result<Role, Refused> {
        let mut world = self.0.lock();
        if world.state.role(&new.name).is_some() {
            return Err(Refused::Invalid(format!("there is a role {:?} already", new.name)));
        }
        let now = now_ms();
        let id = world.state.new_id(now);
        let description = format!("{} of the simulated organization", new.name);
        let role = Role { id, name: new.name, description, scopes: new.scopes };
        world.state.note_thing(&Author::in_the_console(None), "role_create", &role.id, now);
        world.state.roles.push(role.clone());
        world.console_done(now);
        Ok(role)
    }

    /// Adds a service account with client credentials, which it has from then on.
    ///
    /// # Errors
    /// [`Refused::Invalid`] names the role or organization that does not exist.
    pub fn add_service_account(&self, new: &NewService) -> Result<ServiceAccount, Refused> {
        let mut world = self.0.lock();
        let now = now_ms();
        let service = service(&mut world.state, new, now)?;
        world.state.note_thing(&Author::in_the_console(None), "service_account_create", &service.id, now);
        world.state.service_accounts.push(service.clone());
        world.console_done(now);
        Ok(service)
    }

    /// Deletes a service account, named by id or name, and its tokens.
    ///
    /// # Errors
    /// [`Refused::Invalid`] if there is none.
    pub fn delete_service_account(&self, who: &str) -> Result<(), Refused> {
        let mut world = self.0.lock();
        let at = world.state.service_accounts.iter().position(|one| one.id == who || one.name == who);
        let at = at.ok_or_else(|| Refused::Invalid(format!("there is no service account {who:?}")))?;
        let gone = world.state.service_accounts.remove(at);
        world.state.tokens.retain(|token| token.service != gone.id);
        let now = now_ms();
        world.state.note_thing(&Author::in_the_console(None), "service_account_delete", &gone.id, now);
        world.console_done(now);
        Ok(())
    }

    /// Every access token that was given out and is kept.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.0.lock().state.tokens.iter().map(|token| token.text.clone()).collect()
    }

    /// Every access token given out so far is dead from now on.
    pub fn revoke_tokens(&self) {
        self.0.lock().state.tokens.clear();
    }
}

/// A service account that is not part of the state yet.
pub(super) fn service(state: &mut State, new: &NewService, now_ms: i64) -> Result<ServiceAccount, Refused> {
    let invalid = |what: String| Refused::Invalid(what);
    if let Some(role) = new.roles.iter().find(|role| state.role(role).is_none()) {
        return Err(invalid(format!("there is no role {role:?}")));
    }
    if let Some(id) = new.organization.as_ref().filter(|id| !state.has_organization(id)) {
        return Err(invalid(format!("there is no organization {id:?}")));
    }
    let no_chance = |_| invalid("the system gives no random numbers".to_owned());
    let (client_id, secret) = (random_hex().map_err(no_chance)?, random_hex().map_err(no_chance)?);
    let roles = if new.roles.is_empty() { vec![super::BILLING_ADMIN.to_owned()] } else { new.roles.clone() };
    let end = new.ttl_ms.map(|ttl| now_ms.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)));
    Ok(ServiceAccount {
        id: state.new_id(now_ms),
        name: if new.name.is_empty() { "service".to_owned() } else { new.name.clone() },
        roles,
        organization: new.organization.clone(),
        client_id: Some(client_id),
        client_secret: Some(secret),
        api_key: None,
        expires_ms: end,
    })
}
