//! The values of those switches that are neither yes-or-no nor a number.
//!
//! Refuses unknown names, as all switches do.

use serde::{Deserialize, Serialize};

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
