//! The control plane: the way to it, and whether it knows this agent.
//!
//! Refuses: to speak as the agent while the daemon does, which then tells how its own calls fare.

use std::sync::Arc;

use super::{
    super::Exit,
    network, proxy,
    report::{Part, Verdict},
};
use crate::{
    admin::view::StatusView,
    agent, clock,
    config::Config,
    control::{
        client::{Client, ControlError, Speaker},
        identity::{Identity, load_key},
        wire::{HeartbeatRequest, JobState},
    },
    engine::ids::JobId,
    http::Door,
    secrets::AtRest,
};

/// Runs the steps; returns its name and how far our clock is ahead of its.
pub(super) async fn check(
    config: &Config,
    daemon: Option<&StatusView>,
    part: &mut Part<'_>,
) -> Option<(String, i64)> {
    let rest = AtRest::read(config.agent.state_key.as_ref());
    let identity = match Identity::load(&config.agent.state_dir, &rest) {
        Ok(identity) => identity,
        Err(error) => {
            part.step(
                "enrolment",
                Verdict::config(error.to_string(), "restore identity.json, or enrol again"),
            );
            None
        }
    };
    let enrolled = identity.as_ref().map(|identity| identity.url.clone());
    match &identity {
        Some(identity) => {
            part.step("enrolment", Verdict::ok(format!("{} at {}", identity.agent_id, identity.url)));
        }
        None => part.step("enrolment", Verdict::warn("not enrolled", "run `ephemerald enroll`")),
    }
    let url = config.control_plane.url.clone().or(enrolled)?;
    let door = match agent::control_door(config, &url) {
        Ok(door) => door,
        Err(problem) => {
            part.step("address", Verdict::config(problem, "see the section [control_plane]"));
            return None;
        }
    };
    part.step("proxy", proxy::way(config, None, &door));
    // Nobody lives there: whoever speaks the protocol says so in JSON.
    let reached = network::reach(&door, Some("/v1/agent/status"), part).await;
    if let Some(status) = daemon {
        part.step("authentication", told(status));
    } else if let (Some(identity), Some(_)) = (&identity, &reached) {
        part.step("authentication", proven(config, (identity, &rest), door).await);
    }
    Some(("the control plane".to_owned(), reached?.ahead_ms?))
}

fn told(status: &StatusView) -> Verdict {
    let plane = &status.control_plane;
    if plane.connected {
        return Verdict::ok("the running daemon's calls are answered");
    }
    match &plane.error {
        Some(why) => {
            let found = format!("the running daemon is not connected: {why}");
            Verdict::fail(Exit::Transient, found, "see its log")
        }
        None => Verdict::warn("the running daemon has had no answer yet", "try again in a few seconds"),
    }
}

/// A heartbeat for a job that nobody has: the proof is judged, and nothing changes anywhere. The lowest
/// epoch and one name for all checks, so that no control plane takes this for a cloned machine.
async fn proven(config: &Config, (identity, rest): (&Identity, &AtRest), door: Door) -> Verdict {
    let key = match load_key(&config.agent.state_dir, rest) {
        Ok(Some(key)) => key,
        Ok(None) => {
            return Verdict::config("agent.key is missing", "restore it from the backup, or enrol again");
        }
        Err(error) => return Verdict::config(error.to_string(), ""),
    };
    let speaker = Speaker { instance: "check".to_owned(), epoch: 0 };
    let client = Client::new(Arc::new(door), key, &identity.agent_id, speaker, clock::now);
    let nobodys = JobId::new("check").expect("letters are a job id");
    match client
        .heartbeat(&nobodys, &HeartbeatRequest { state: JobState::Accepted, revoke_only: false })
        .await
    {
        Ok(_) => Verdict::ok("this agent's key is accepted"),
        Err(ControlError::Refused { status: 404 | 409 | 410, kind, .. }) if kind.starts_with("urn:") => {
            Verdict::ok("this agent's key is accepted")
        }
        Err(error @ ControlError::NotAccepted { .. }) => Verdict::fail(
            Exit::Refused,
            error.to_string(),
            "ask its operator; then enrol again with a new token",
        ),
        Err(
            error @ (ControlError::Unreachable { .. }
            | ControlError::Busy { .. }
            | ControlError::Foreign { .. }),
        ) => Verdict::fail(Exit::Transient, error.to_string(), "try again"),
        Err(error) => {
            let advice = "is the URL a control plane's, and is its version near this one?";
            Verdict::fail(Exit::Refused, error.to_string(), advice)
        }
    }
}
