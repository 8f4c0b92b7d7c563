//! What the configuration tells the engine. Plain values; the shell has checked them.

use super::{
    ids::{Email, IntegrationId, RoleName},
    time::Millis,
};

/// Everything the engine is configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configured organizations.
    pub integrations: Vec<IntegrationSettings>,
    /// Waiting times.
    pub timing: Timing,
}

/// One JumpCloud organization.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegrationSettings {
    /// Its name in the configuration and in jobs.
    pub id: IntegrationId,
    /// One role per administrator, or several.
    pub role_mode: RoleMode,
    /// Pairs (higher, lower) that hold in this tenant beyond what the scopes show.
    pub role_order: Vec<(RoleName, RoleName)>,
    /// The least role, written when nothing else may be.
    pub floor_role: RoleName,
    /// Accounts that this integration never raises.
    pub exclude_accounts: Vec<Email>,
    /// The roles that this integration offers; `None` offers all of the tenant's. Beside the policy:
    /// a role must pass both.
    pub offered_roles: Option<Vec<RoleName>>,
    /// How ephemeral addresses of this integration are built, instead of the policy's template.
    pub email_template: Option<String>,
    /// How often live grants are looked at.
    pub observe_interval: Millis,
    /// Requests a second that the tenant is asked for at most.
    pub rate_per_second: u32,
}

impl IntegrationSettings {
    /// Whether a grant of this role may be asked of this integration at all.
    #[must_use]
    pub fn offers(&self, role: &RoleName) -> bool {
        self.offered_roles.as_ref().is_none_or(|offered| offered.contains(role))
    }
}

/// How a tenant gives roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleMode {
    /// One role per administrator: a grant replaces it, an ending restores it.
    Single,
    /// Several roles per administrator: a grant adds one, an ending removes it.
    Multiple,
}

/// Waiting times. The defaults are the contract; the sandbox shortens some of them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long reads may show what was before a write: from a raise to the first read that can prove its end,
    /// and from the first read-back of an ending to the second look that settles it.
    pub settle: Millis,
    /// How long a request that timed out may still be carried out (the client's time-out included).
    pub in_flight_window: Millis,
    /// Looks at an account after an ending, measured from it. Ascending.
    pub watch: Vec<Millis>,
    /// How long a raise may take from acceptance to its read-back.
    pub raise_timeout: Millis,
    /// How long after it was handed out a raise may still be sent.
    pub send_by: Millis,
    /// First wait after a lower that did not succeed; doubles up to `lower_cap`.
    pub lower_base: Millis,
    /// Longest wait between two tries of a lower.
    pub lower_cap: Millis,
    /// Clock disagreement from which raises pause.
    pub skew: Millis,
    /// How often the ledger's view is swept for anything a timer missed.
    pub sweep: Millis,
    /// Overdue age from which an ending is reported as overdue.
    pub overdue: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            settle: Millis::from_secs(15),
            in_flight_window: Millis::from_secs(130),
            watch: vec![Millis::from_secs(130), Millis::from_secs(15 * 60), Millis::from_secs(24 * 60 * 60)],
            raise_timeout: Millis::from_secs(30),
            send_by: Millis::from_secs(5),
            lower_base: Millis(500),
            lower_cap: Millis::from_secs(15),
            skew: Millis::from_secs(60),
            sweep: Millis::from_secs(30),
            overdue: Millis::from_secs(60),
        }
    }
}
