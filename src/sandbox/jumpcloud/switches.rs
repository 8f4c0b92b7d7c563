//! What is unknown about the real JumpCloud, each as a switch; the default is the reading that
//! clients of JumpCloud bear out or, where none does, the harmless one.
//!
//! A switch is a lasting property of the simulated service; what happens now and then is a fault.
//! Refuses unknown names, so that a misspelt switch does not pass for a tested behaviour.

use serde::{Deserialize, Serialize};

/// How the simulated service behaves where the real one's behaviour is not published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Whether answers carry `roles` and `roleNames`.
    pub plural_roles_shown: bool,
    /// What a written `roleNames` does.
    pub role_names: RoleNamesWrite,
    /// What a written `roleName` does without `roleNames` beside it.
    pub role_name: RoleNameWrite,
    /// Which of the two counts if both are written.
    pub both: BothWritten,
    /// Whether role names are matched without regard to case.
    pub role_case_ignored: bool,
    /// Whether `roleNames: []` takes every role away; otherwise it is refused with 400.
    pub empty_roles_accepted: bool,
    /// The role of a new administrator if none is written; without one, such a request is refused.
    pub default_role: Option<String>,
    /// The status of a successful `POST /api/users`.
    pub create_status: u16,
    /// Whether `DELETE` answers 200 with the deleted account; otherwise 204.
    pub delete_shows_account: bool,
    /// Whether `/api/users/getSelf` exists.
    pub get_self: bool,
    /// Whether `/api/v2/roles` exists.
    pub roles_route: bool,
    /// Whether `filter` is understood (`email:$eq:…`, `roleName:$eq:…`); otherwise it is ignored.
    pub filter: bool,
    /// Whether lists without `sort` come in another order each time.
    pub unstable_order: bool,
    /// Whether `x-org-id` is refused with 403 under `/api/users`.
    pub users_refuse_org_id: bool,
    /// The status for deleting oneself, or removing the last Administrator With Billing.
    pub protected_status: u16,
    /// Whether a role change by `PUT` may take the last Administrator With Billing away.
    pub last_admin_may_be_demoted: bool,
    /// The status for an e-mail address that is taken.
    pub duplicate_status: u16,
    /// What is in the body of an error.
    pub error_body: ErrorBody,
    /// How long reads go on showing the state before a change, in milliseconds.
    pub read_lag_ms: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            plural_roles_shown: true,
            role_names: RoleNamesWrite::Replaces,
            role_name: RoleNameWrite::ReplacesAll,
            both: BothWritten::RoleNamesWins,
            role_case_ignored: false,
            empty_roles_accepted: false,
            default_role: Some("Administrator".to_owned()),
            create_status: 200,
            delete_shows_account: true,
            get_self: true,
            roles_route: true,
            filter: false,
            unstable_order: false,
            users_refuse_org_id: false,
            protected_status: 400,
            last_admin_may_be_demoted: false,
            duplicate_status: 400,
            error_body: ErrorBody::Seen,
            read_lag_ms: 0,
        }
    }
}

/// What a written `roleNames` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleNamesWrite {
    /// The account holds exactly these roles.
    Replaces,
    /// The roles are added to those held.
    Adds,
    /// The field is not known and silently ignored.
    Ignored,
    /// The field is not known: 400.
    Refused,
}

/// What a written `roleName` does without `roleNames` beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleNameWrite {
    /// The account holds this role only.
    ReplacesAll,
    /// The role takes the place of the first one; further roles stay.
    ReplacesFirst,
    /// The role is added to those held.
    Adds,
    /// Silently ignored if the account holds several roles.
    IgnoredWithSeveral,
}

/// Which field counts if `roleName` and `roleNames` are both written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BothWritten {
    /// `roleNames`.
    RoleNamesWins,
    /// `roleName`.
    RoleNameWins,
}

/// What is in the body of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// `{"message", "error"}`, as seen in the wild.
    Seen,
    /// `{"code", "message", "status"}`, as JumpCloud's V1 document says.
    Documented,
    /// Plain text.
    Text,
    /// Nothing.
    Empty,
}
