//! `/api/organizations`: the organizations that a credential sees.
//!
//! Refuses `x-org-id` (`scope.rs`), and everything by a switch: a limited credential is refused here
//! although it is good.

use serde_json::json;

use super::{super::reply::Reply, Call, either};

impl Call<'_> {
    pub(super) fn organizations(self, rest: &[&str]) -> Reply {
        if self.switches.organizations_status != 200 {
            return Reply::status(self.switches.organizations_status);
        }
        match (self.method(), rest) {
            ("GET", []) => either(self.list_organizations()),
            ("GET", [id]) => either(self.organization(id)),
            _ => self.no_such_route(),
        }
    }

    fn list_organizations(&self) -> Result<Reply, Reply> {
        self.may("organizations.readonly")?;
        let seen: Vec<(&str, &str)> = self.seen_organizations().collect();
        Ok(self.page(&seen, |(id, name)| json!({"_id": id, "displayName": name})))
    }

    fn organization(&self, id: &str) -> Result<Reply, Reply> {
        self.may("organizations.readonly")?;
        let id = self.checked(id)?;
        let (id, name) =
            self.seen_organizations().find(|(known, _)| *known == id).ok_or_else(|| self.no_such_id())?;
        let mut shown = json!({"_id": id, "displayName": name});
        if let Some(provider) = self.state.provider.as_ref().filter(|_| self.caller.is_multi_tenant()) {
            shown["provider"] = json!(provider.id);
        }
        Ok(Reply::json(200, self.projected(shown)))
    }

    fn seen_organizations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.state.all_organizations().filter(|(id, _)| self.caller.sees.iter().any(|seen| seen == id))
    }
}
