//! What this agent tells the control plane that it can do.
//!
//! Refuses to tell more than is true: a job type that would be answered `unsupported_job_type` is
//! not offered, and what the policy forbids is nobody's business outside.

use super::assemble::{CAPACITY, MAX_ANSWER};
use crate::{
    control::{
        verify::{DEFAULT_MAX_SKEW, DEFAULT_MAX_START_BY},
        wire::{IntegrationOffer, Limits, Offers, TARGETS},
    },
    engine::settings::{IntegrationSettings, RoleMode, Settings},
};

/// Job types of the protocol that this version does not do.
const NOT_DONE: &[&str] = &[];

/// What an agent with these settings can do. `tag_key`: whether ephemeral accounts can be named.
#[must_use]
pub fn offers(settings: &Settings, tag_key: bool) -> Offers {
    let limits = Limits::of_version_1(
        CAPACITY,
        MAX_ANSWER as u64,
        DEFAULT_MAX_START_BY.0 / 1000,
        DEFAULT_MAX_SKEW.0 / 1000,
    );
    let integrations = settings.integrations.iter().map(|i| integration(i, tag_key)).collect();
    Offers { integrations, ..Offers::without(NOT_DONE, limits) }
}

fn integration(integration: &IntegrationSettings, tag_key: bool) -> IntegrationOffer {
    let possible = |target: &&str| tag_key || *target != "ephemeral";
    let role_mode = match integration.role_mode {
        RoleMode::Single => "single",
        RoleMode::Multiple => "multiple",
    };
    IntegrationOffer {
        name: integration.id.clone(),
        role_mode: role_mode.to_owned(),
        targets: TARGETS.into_iter().filter(possible).map(str::to_owned).collect(),
        job_types: None,
    }
}
