//! A human in the console who does what a script says, at the moment it says.
//!
//! Refuses unknown words. What cannot be done when its moment comes (the account is gone, say) is
//! kept as the step's failure, and the script goes on.

mod player;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use super::{console::Edit, roles::BILLING_ADMIN};

/// Steps of one human, one after the other. Several scripts run side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// How often all of it is done; 0: again and again, until somebody stops it.
    #[serde(default = "once")]
    pub times: u32,
}

/// First `when` comes true, then `after_ms` pass, then `do` is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is waited for; nothing, if it is left out.
    #[serde(default)]
    pub when: Option<When>,
    /// The pause before the deed, in milliseconds.
    #[serde(default)]
    pub after_ms: u64,
    /// The account, by id or by an address that it has or had.
    pub account: String,
    /// The deed.
    #[serde(rename = "do")]
    pub deed: Deed,
}

/// What a step waits for; all of it is about the step's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Somebody else than a human in the console changes it, from when the step begins.
    Changes,
    /// Somebody reads it by its id, from when the step begins.
    IsRead,
    /// Somebody lists administrators, from when the step begins.
    IsListed,
    /// It holds this role.
    HasRole(String),
    /// It does not hold this role, or is gone.
    LacksRole(String),
    /// It exists.
    Exists,
    /// It does not.
    IsGone,
}

/// What a human does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Gives exactly these roles.
    SetRoles(Vec<String>),
    /// Gives a further role.
    AddRole(String),
    /// Takes one role.
    RemoveRole(String),
    /// Gives Administrator With Billing instead of all roles.
    Promote,
    /// Gives Read Only instead of all roles.
    Demote,
    /// Gives another address.
    SetEmail(String),
    /// Suspends it.
    Suspend,
    /// Ends the suspension.
    Unsuspend,
    /// Deletes it.
    Delete,
    /// Creates an account with the address and the last roles of one that is gone, or deletes it
    /// first; either way it has another id.
    Recreate,
    /// Creates an account with these roles.
    Create(Vec<String>),
    /// Changes whatever a human may change.
    Edit(Box<Edit>),
}

/// A script and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Playing {
    /// Counts from 1.
    pub number: u64,
    /// The steps done, the failed ones included, over all repetitions.
    pub done: u64,
    /// What went wrong: the number of the step, from 1 on, and why.
    pub failed: Vec<(usize, String)>,
    /// Whether nothing more will be done.
    pub over: bool,
    /// What it does.
    pub script: Script,
}

/// The scripts that were begun.
#[derive(Default)]
pub(super) struct Scripts {
    begun: u64,
    playing: HashMap<u64, (Playing, Option<AbortHandle>)>,
}

impl Scripts {
    fn begin(&mut self, script: Script) -> u64 {
        self.begun += 1;
        let playing = Playing { number: self.begun, done: 0, failed: Vec::new(), over: false, script };
        self.playing.insert(self.begun, (playing, None));
        self.begun
    }

    /// Stops and forgets all scripts.
    pub(super) fn stop(&mut self) {
        for (_, (_, task)) in self.playing.drain() {
            if let Some(task) = task {
                task.abort();
            }
        }
    }

    fn shown(&self) -> Vec<Playing> {
        let mut all: Vec<Playing> = self.playing.values().map(|(playing, _)| playing.clone()).collect();
        all.sort_by_key(|playing| playing.number);
        all
    }
}

impl Deed {
    /// The change of an account that holds `roles`; none if it is more than a change.
    fn edit(&self, roles: &[String]) -> Option<Edit> {
        let with = |roles: Vec<String>| Edit { roles: Some(roles), ..Edit::default() };
        Some(match self {
            Self::SetRoles(roles) => with(roles.clone()),
            Self::AddRole(role) if roles.contains(role) => with(roles.to_vec()),
            Self::AddRole(role) => with(roles.iter().chain([role]).cloned().collect()),
            Self::RemoveRole(role) => with(roles.iter().filter(|held| *held != role).cloned().collect()),
            Self::Promote => with(vec![BILLING_ADMIN.to_owned()]),
            Self::Demote => with(vec!["Read Only".to_owned()]),
            Self::SetEmail(email) => Edit { email: Some(email.clone()), ..Edit::default() },
            Self::Suspend => Edit { suspended: Some(true), ..Edit::default() },
            Self::Unsuspend => Edit { suspended: Some(false), ..Edit::default() },
            Self::Edit(edit) => (**edit).clone(),
            Self::Delete | Self::Recreate | Self::Create(_) => return None,
        })
    }
}

const fn once() -> u32 {
    1
}
