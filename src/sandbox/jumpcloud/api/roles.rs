//! `/api/v2/roles`: the roles there are; custom ones can be made, replaced and deleted.
//!
//! Refuses to touch a built-in role, and more than 20 custom ones.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        reply::Reply,
        roles::Role,
        state::State,
        switches::{RoleDeletion, RolesListed},
    },
    Call, either,
};

/// As many custom roles as JumpCloud allows.
const CUSTOM_MAX: usize = 20;

/// What is written of a custom role: all of it, each time.
#[derive(Deserialize)]
struct Written {
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    description: String,
}

impl Call<'_> {
    pub(super) fn roles(self, rest: &[&str]) -> Reply {
        if !self.switches.roles_route {
            return Reply::status(self.switches.roles_missing_status);
        }
        match (self.method(), rest) {
            ("GET", []) => either(self.list_roles()),
            ("POST", []) => either(self.create_role()),
            ("GET", [id]) => either(self.role(id)),
            ("PUT", [id]) => either(self.replace_role(id)),
            ("DELETE", [id]) => either(self.delete_role(id)),
            _ => self.no_such_route(),
        }
    }

    fn list_roles(&self) -> Result<Reply, Reply> {
        self.may("roles.readonly")?;
        let is_listed = |role: &&Role| match self.switches.roles_listed {
            RolesListed::All => true,
            RolesListed::BuiltIn => !role.is_custom(),
            RolesListed::Custom => role.is_custom(),
        };
        let listed: Vec<&Role> = self.state.roles.iter().filter(is_listed).collect();
        Ok(self.page(&listed, |role| self.shown_role(role)))
    }

    fn role(&self, id: &str) -> Result<Reply, Reply> {
        self.may("roles.readonly")?;
        let role = self.state.roles.iter().find(|role| role.id == id).ok_or_else(|| self.no_such_id())?;
        Ok(Reply::json(200, self.shown_role(role)))
    }

    fn shown_role(&self, role: &Role) -> Value {
        let mut shown = json!({"id": role.id, "name": role.name, "description": role.description});
        if self.switches.role_scopes_shown {
            shown["scopes"] = json!(role.scopes);
        }
        shown
    }

    fn create_role(self) -> Result<Reply, Reply> {
        self.may_write()?;
        let Written { name, scopes, description } = self.written_role(None)?;
        if self.state.roles.iter().filter(|role| role.is_custom()).count() >= CUSTOM_MAX {
            return Err(Reply::error(400, "Bad Request: no more than 20 custom roles"));
        }
        let role = Role { id: self.state.new_id(self.now_ms), name, description, scopes };
        self.state.note_thing(&self.caller.author, "role_create", &role.id, self.now_ms);
        let shown = self.shown_role(&role);
        self.state.roles.push(role);
        Ok(Reply::json(201, shown))
    }

    fn replace_role(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let at = self.custom_role(id)?;
        let Written { name, scopes, description } = self.written_role(Some(id))?;
        let role = Role { id: id.to_owned(), name, description, scopes };
        self.state.note_thing(&self.caller.author, "role_update", id, self.now_ms);
        let old = std::mem::replace(&mut self.state.roles[at], role.clone());
        // Holders keep the role, whatever it is called now.
        for account in &mut self.state.accounts {
            let names = account.roles.iter_mut().filter(|held| **held == old.name);
            names.for_each(|held| held.clone_from(&role.name));
        }
        Ok(Reply::json(200, self.shown_role(&role)))
    }

    fn delete_role(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let at = self.custom_role(id)?;
        let name = self.state.roles[at].name.clone();
        let holders: Vec<_> =
            self.state.accounts.iter().filter(|account| account.roles.contains(&name)).cloned().collect();
        if self.switches.role_deletion == RoleDeletion::Refused && !holders.is_empty() {
            return Err(Reply::error(400, "Bad Request: the role is in use"));
        }
        if self.switches.role_deletion == RoleDeletion::HoldersLoseIt {
            for mut holder in holders {
                holder.roles.retain(|held| *held != name);
                self.state.put(holder, &self.caller.author, self.now_ms);
            }
        }
        self.state.note_thing(&self.caller.author, "role_delete", id, self.now_ms);
        self.state.roles.remove(at);
        Ok(Reply { status: 204, body: None, headers: Vec::new() })
    }

    fn custom_role(&self, id: &str) -> Result<usize, Reply> {
        let at = self.state.roles.iter().position(|role| role.id == id).ok_or_else(|| self.no_such_id())?;
        if self.state.roles[at].is_custom() {
            return Ok(at);
        }
        Err(Reply::error(400, "Bad Request: a built-in role cannot be changed"))
    }

    fn written_role(&self, id: Option<&str>) -> Result<Written, Reply> {
        let wrong = |what: &str| Reply::error(400, &format!("Bad Request: {what}"));
        let written: Written =
            serde_json::from_slice(&self.request.body).map_err(|_| wrong("name and scopes are required"))?;
        if written.name.trim().is_empty() || is_taken(self.state, &written.name, id) {
            return Err(wrong("the name is empty or taken"));
        }
        Ok(written)
    }
}

fn is_taken(state: &State, name: &str, id: Option<&str>) -> bool {
    state.roles.iter().any(|role| role.name.eq_ignore_ascii_case(name) && Some(role.id.as_str()) != id)
}
