//! A provider's administrators, its organizations, and the links between the two, as the published V2
//! document describes them.
//!
//! Refuses everybody who is not an administrator of that provider.

use serde_json::{Value, json};

use super::{
    super::{
        account::Account,
        reply::Reply,
        shown,
        write::{self, Fields},
    },
    Call, either, forbidden, users,
};

impl Call<'_> {
    /// `/api/v2/providers/{id}/…`
    pub(super) fn providers(self, rest: &[&str]) -> Reply {
        let [id, rest @ ..] = rest else { return self.no_such_route() };
        let known = self.state.provider.as_ref().is_some_and(|provider| provider.id == *id);
        if !known || !self.caller.is_multi_tenant() {
            return Reply::unauthorized();
        }
        match (self.method(), rest) {
            ("GET", ["administrators"]) => either(self.list_provider_admins()),
            ("POST", ["administrators"]) => either(self.create_provider_admin()),
            ("DELETE", ["administrators", id]) => either(self.delete_provider_admin(id)),
            ("GET", ["organizations"]) => either(self.list_provider_organizations()),
            _ => self.no_such_route(),
        }
    }

    fn list_provider_admins(&self) -> Result<Reply, Reply> {
        self.may("users.readonly")?;
        let wanted = |account: &&Account| account.provider && self.is_asked_for(account);
        let mut accounts: Vec<&Account> = self.state.accounts.iter().filter(wanted).collect();
        self.order(&mut accounts);
        Ok(self.page(&accounts, |account| shown::provider_admin(account, self.state, self.switches)))
    }

    fn list_provider_organizations(&self) -> Result<Reply, Reply> {
        self.may("organizations.readonly")?;
        let all: Vec<(&str, &str)> = self.state.all_organizations().collect();
        Ok(self.page(&all, |(id, name)| json!({"id": id, "name": name})))
    }

    fn create_provider_admin(self) -> Result<Reply, Reply> {
        self.may_write()?;
        let (fields, bind_none) = self.provider_fields()?;
        let mut blank = self.state.blank("", self.now_ms);
        blank.provider = true;
        let mut account = write::created(self.state, self.switches, &self.writer(), blank, &fields)?;
        if !bind_none {
            account.links = self.state.all_organizations().map(|(id, _)| id.to_owned()).collect();
        }
        let shown = shown::provider_admin(&account, self.state, self.switches);
        if self.switches.activation_mail {
            users::mail(self.state, "activation", &account);
        }
        self.state.put(account, &self.caller.author, self.now_ms);
        Ok(Reply::json(200, shown))
    }

    /// The body, with a name in `roleName`, and whether the account is linked to nothing.
    fn provider_fields(&self) -> Result<(Fields, bool), Reply> {
        let wrong = |what: &str| Reply::error(400, &format!("Bad Request: {what}"));
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        let Value::Object(mut body) = body else { return Err(wrong("the body must be a JSON object")) };
        let bind_none = body.remove("bindNoOrgs").and_then(|given| given.as_bool()).unwrap_or(false);
        let role = body.remove("role").and_then(|given| given.as_str().map(str::to_owned));
        let by_id = |id: &String| self.state.roles.iter().find(|role| role.id == *id);
        if let Some(role) = role
            && (!self.switches.provider_role_name_wins || !body.contains_key("roleName"))
        {
            let role = by_id(&role).ok_or_else(|| wrong("there is no such role"))?;
            body.insert("roleName".to_owned(), json!(role.name));
        }
        if !body.contains_key("roleName") {
            return Err(wrong("role or roleName is required"));
        }
        Ok((Fields::of(body), bind_none))
    }

    fn delete_provider_admin(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let id = self.provider_admin(id)?.id.clone();
        let own = id == self.caller.author.id && !self.switches.own_account_may_go;
        let last = self.state.is_last_billing_admin(&id) && !self.switches.last_admin_may_be_deleted;
        if own || last {
            return Err(Reply::status(self.switches.protected_status));
        }
        self.state.remove(&id, &self.caller.author, self.now_ms);
        Ok(Reply { status: 204, body: None, headers: Vec::new() })
    }

    /// `/api/v2/administrators/{id}/organizationlinks/…`
    pub(super) fn links(self, rest: &[&str]) -> Reply {
        let [admin, "organizationlinks", rest @ ..] = rest else { return self.no_such_route() };
        if !self.caller.is_multi_tenant() {
            return forbidden();
        }
        match (self.method(), rest) {
            ("GET", []) => either(self.list_links(admin)),
            ("POST", []) => either(self.link(admin)),
            ("DELETE", [organization]) => either(self.unlink(admin, organization)),
            _ => self.no_such_route(),
        }
    }

    fn list_links(&self, admin: &str) -> Result<Reply, Reply> {
        self.may("users.readonly")?;
        let account = self.provider_admin(admin)?;
        let links: Vec<Value> = account.links.iter().map(|id| link(&account.id, id)).collect();
        Ok(Reply::json(200, json!(self.slice(&links))))
    }

    fn link(self, admin: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let mut account = self.provider_admin(admin)?.clone();
        let body: Value = serde_json::from_slice(&self.request.body).unwrap_or_default();
        let Some(organization) = body["organization"].as_str() else {
            return Err(Reply::error(400, "Bad Request: organization is required"));
        };
        if !self.state.has_organization(self.checked(organization)?) {
            return Err(Reply::status(404));
        }
        if !account.links.iter().any(|id| id == organization) {
            account.links.push(organization.to_owned());
        }
        let shown = link(&account.id, organization);
        self.state.put(account, &self.caller.author, self.now_ms);
        Ok(Reply::json(201, shown))
    }

    fn unlink(self, admin: &str, organization: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let mut account = self.provider_admin(admin)?.clone();
        let organization = self.checked(organization)?;
        if !account.links.iter().any(|id| id == organization) {
            return Err(Reply::status(404));
        }
        account.links.retain(|id| id != organization);
        self.state.put(account, &self.caller.author, self.now_ms);
        Ok(Reply { status: 204, body: None, headers: Vec::new() })
    }

    /// `/api/v2/organizations/{id}/administratorlinks`
    pub(super) fn organization_links(self, rest: &[&str]) -> Reply {
        let ("GET", [organization, "administratorlinks"]) = (self.method(), rest) else {
            return self.no_such_route();
        };
        either(self.list_organization_links(organization))
    }

    fn list_organization_links(&self, organization: &str) -> Result<Reply, Reply> {
        self.may("users.readonly")?;
        let organization = self.checked(organization)?;
        if !self.caller.sees.iter().any(|seen| seen == organization) {
            return Err(Reply::status(404));
        }
        let linked = |account: &&Account| account.links.iter().any(|id| id == organization);
        let accounts = self.state.accounts.iter().filter(linked);
        let links: Vec<Value> = accounts.map(|account| link(&account.id, organization)).collect();
        Ok(Reply::json(200, json!(self.slice(&links))))
    }

    fn provider_admin(&self, id: &str) -> Result<&Account, Reply> {
        let found = self.state.account(self.checked(id)?).filter(|account| account.provider);
        found.ok_or_else(|| Reply::status(404))
    }
}

fn link(administrator: &str, organization: &str) -> Value {
    json!({"administrator": administrator, "organization": organization})
}
