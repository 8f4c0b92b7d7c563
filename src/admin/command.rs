//! What may be ordered over the socket, and what comes back.
//!
//! Refuses, by having no word for it, anything that gives access.

use serde::{Deserialize, Serialize};

use super::view::GrantView;
use crate::engine::{ids::Remark, order::Deed, recovery};

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What.
    pub deed: Deed,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<Remark>,
}

impl Command {
    /// Whether root alone may order it: what lets raises go on, and what gives up on an ending.
    #[must_use]
    pub const fn is_for_root(&self) -> bool {
        matches!(self.deed, Deed::Thaw | Deed::Forget(_))
    }
}

/// A decision about a ledger that is in doubt. Root alone may make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What.
    pub deed: recovery::Deed,
    /// Why, in the operator's words.
    pub why: Remark,
}

/// What became of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// Why nothing was decided; `None` when it was.
    pub refused: Option<String>,
    /// The kinds of the records that the journal holds of it.
    pub recorded: Vec<String>,
}

/// What became of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeedView {
    /// Why it was not done; `None` when it was.
    pub refused: Option<String>,
    /// Whether the journal holds it. If not, it is in force until the daemon stops.
    pub recorded: bool,
    /// The grants that it is about.
    pub grants: Vec<GrantView>,
    /// Undecided jobs that it answered.
    pub answered: usize,
}
