//! The roles of the simulated organization.
//!
//! The names are JumpCloud's published ones. The scopes are made up (nobody publishes the real
//! sets), but their inclusions are believable: Administrator With Billing ⊇ Administrator ⊇ Manager
//! ⊇ Help Desk ⊇ Read Only; Command Runner is comparable to neither Help Desk nor Manager; Billing
//! Only is within Administrator With Billing alone. Refuses to know more about a role than this.

use serde::{Deserialize, Serialize};

/// The one role whose holders may write administrators.
pub const BILLING_ADMIN: &str = "Administrator With Billing";
/// The scope that stands for writing administrators.
const WRITE_ADMINS: &str = "administrators";

/// The scope that stands for reading Directory Insights.
pub(super) const READ_INSIGHTS: &str = "directory_insights.readonly";
/// The names of the roles that JumpCloud brings along.
const BUILT_IN: [&str; 8] = [
    BILLING_ADMIN,
    "Administrator",
    "Manager",
    "Command Runner With Billing",
    "Command Runner",
    "Help Desk",
    "Billing Only",
    "Read Only",
];

/// A role as `GET /api/v2/roles` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The exact spelling that administrators carry in `roleName`.
    pub name: String,
    /// For people.
    pub description: String,
    /// What a holder may do.
    pub scopes: Vec<String>,
}

impl Role {
    /// Whether the customer made it.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        !BUILT_IN.contains(&self.name.as_str())
    }

    /// Whether a holder may create, change and delete administrators.
    #[must_use]
    pub fn may_write_admins(&self) -> bool {
        self.scopes.iter().any(|scope| scope == WRITE_ADMINS)
    }
}

/// The built-in roles and one custom role, `Group Editor`.
#[must_use]
pub fn default_roles() -> Vec<Role> {
    let read = [
        "users.readonly",
        "roles.readonly",
        "organizations.readonly",
        "systems.readonly",
        "groups.readonly",
        "applications.readonly",
        READ_INSIGHTS,
    ];
    let help = ["users.unlock", "users.reset_password", "systems.lock"];
    let manage = ["users", "systems", "groups"];
    let administer = ["applications", "directories", "organizations", "policies", "commands", "commands.run"];
    let billing = ["billing"];
    let run = ["systems.readonly", "commands.readonly", "commands.run"];

    let roles: [(&str, &[&[&str]]); 9] = [
        (
            BILLING_ADMIN,
            &[&read, &help, &manage, &administer, &["commands.readonly"], &billing, &[WRITE_ADMINS]],
        ),
        ("Administrator", &[&read, &help, &manage, &administer, &["commands.readonly"]]),
        ("Manager", &[&read, &help, &manage]),
        ("Command Runner With Billing", &[&run, &billing]),
        ("Command Runner", &[&run]),
        ("Help Desk", &[&read, &help]),
        ("Billing Only", &[&billing]),
        ("Read Only", &[&read]),
        ("Group Editor", &[&["groups.readonly", "groups"]]),
    ];
    (1..).zip(roles).map(|(number, (name, parts))| role(number, name, &parts.concat())).collect()
}

fn role(number: u32, name: &str, scopes: &[&str]) -> Role {
    Role {
        id: format!("5f00c0de{number:016x}"),
        name: name.to_owned(),
        description: format!("{name} of the simulated organization"),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn scopes(name: &str) -> BTreeSet<String> {
        let roles = default_roles();
        roles.into_iter().find(|role| role.name == name).unwrap().scopes.into_iter().collect()
    }

    #[test]
    fn scopes_include_each_other_as_the_roles_are_said_to() {
        let chain = [BILLING_ADMIN, "Administrator", "Manager", "Help Desk", "Read Only"];
        for pair in chain.windows(2) {
            assert!(scopes(pair[0]).is_superset(&scopes(pair[1])), "{pair:?}");
        }
        assert!(!scopes("Help Desk").is_superset(&scopes("Command Runner")));
        assert!(!scopes("Command Runner").is_superset(&scopes("Help Desk")));
        assert!(scopes(BILLING_ADMIN).is_superset(&scopes("Billing Only")));
        assert!(!scopes("Administrator").is_superset(&scopes("Billing Only")));
    }

    #[test]
    fn only_administrator_with_billing_may_write_administrators() {
        let writers: Vec<Role> = default_roles().into_iter().filter(Role::may_write_admins).collect();
        assert_eq!(default_roles().iter().filter(|role| role.is_custom()).count(), 1);
        assert_eq!(writers.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), [BILLING_ADMIN]);
    }
}
