//! Routes that have nothing to do with administrators, and that clients of JumpCloud ask all the same
//! to see whether a key is good, or whether an administrator is a user too. They are lists of nothing.
//!
//! Refuses to simulate users, groups and directories.

use serde_json::{Value, json};

use super::{super::reply::Reply, Call, either};

impl Call<'_> {
    /// `/api/systemusers`
    pub(super) fn system_users(self) -> Reply {
        let list = || self.may("users.readonly").map(|()| self.page::<Value>(&[], Value::clone));
        if self.method() == "GET" { either(list()) } else { self.no_such_route() }
    }

    /// `/api/v2/usergroups` and `/api/v2/directories`
    pub(super) fn groups_and_directories(self) -> Reply {
        let list = || self.may("groups.readonly").map(|()| Reply::json(200, json!([])));
        if self.method() == "GET" { either(list()) } else { self.no_such_route() }
    }
}
