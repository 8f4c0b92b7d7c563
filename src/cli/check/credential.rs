//! Whether JumpCloud takes the credential, whose it is, where it belongs, and how long it lasts.
//!
//! Refuses to show any part of it.

use super::{
    super::Exit,
    integration::refused,
    network::foreign,
    report::{Part, Verdict},
};
use crate::{
    clock,
    engine::{
        ids::OrgId,
        observed::{FaultClass, WhoAmI},
        time::Timestamp,
    },
    jumpcloud::{Client, Connection, Credential, Me, TokenProblem},
};

/// An API key that ends sooner than this is worth a warning, in days.
const SOON: i64 = 14;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Runs the steps; who it is, if JumpCloud says so.
pub(super) async fn check(client: &Client, connection: &Connection, part: &mut Part<'_>) -> Option<WhoAmI> {
    if let Some(token) = client.token().await {
        let url = connection.place.token_url.as_deref().unwrap_or_default();
        match token {
            Ok(life) => {
                part.step("token", Verdict::ok(format!("made by {url}, for {} min", life.0 / 60_000)))
            }
            Err(problem) => {
                part.step("token", no_token(&problem));
                return None;
            }
        }
    }
    let (step, what) = match connection.credential {
        Credential::ApiKey(_) => ("API key", "who the key belongs to"),
        Credential::ServiceAccount { .. } => ("service account", "who the service account is"),
    };
    let Me { who, key_ends } = match client.me().await {
        Ok(me) => me,
        Err(fault) if fault.class == FaultClass::WrongOrganization => {
            part.step(step, Verdict::ok("accepted"));
            part.step("organization", not_ours(connection.org_id.as_ref()));
            return None;
        }
        Err(fault) => {
            let other = client.somebody_else();
            let verdict = other.map_or_else(|| refused(&fault, what, connection), |sign| foreign(&sign));
            part.step(step, verdict);
            return None;
        }
    };
    let of = match (&who.email, &connection.credential) {
        (Some(email), _) => format!("accepted, of {email}"),
        (None, Credential::ApiKey(_)) => "accepted, of an unnamed account".to_owned(),
        (None, Credential::ServiceAccount { client_id, .. }) => format!("accepted, {client_id}"),
    };
    part.step(step, Verdict::ok(of));
    if let Some(ends) = key_ends {
        part.step("key expiry", expiry(ends, clock::now().wall));
    }
    part.step("organization", organization(&who, connection));
    Some(who)
}

fn no_token(problem: &TokenProblem) -> Verdict {
    let (exit, advice) = token_advice(problem);
    Verdict::fail(exit, problem.why.as_str(), advice)
}

/// What it comes to that a service account has no token, and what to do about it.
pub(in crate::cli) fn token_advice(problem: &TokenProblem) -> (Exit, &'static str) {
    match problem.fault.class {
        FaultClass::Credential => (
            Exit::Refused,
            "client_id or client_secret is not accepted: paste both again, or make a new secret; is the url that of your region?",
        ),
        FaultClass::Forbidden => (
            Exit::Refused,
            "the service account may not have a token: is it active, and is this machine's address allowed?",
        ),
        FaultClass::Refused => {
            (Exit::Refused, "is this the token endpoint of your region? token_url names it")
        }
        FaultClass::Throttled => (Exit::Transient, "too many requests: try again in a minute"),
        _ => (
            Exit::Transient,
            "can this machine reach that host? A firewall or proxy must let it out there too",
        ),
    }
}

fn organization(who: &WhoAmI, connection: &Connection) -> Verdict {
    match (&who.org, &connection.org_id) {
        (Some(found), Some(expected)) if found != expected => not_ours(Some(expected)),
        (Some(org), Some(_)) => Verdict::ok(format!("{org}, as org_id says")),
        (Some(org), None) => Verdict::ok(org.to_string()),
        (None, configured) => {
            let advice = if configured.is_some() {
                "JumpCloud does not confirm that org_id belongs to this credential; without that nothing is raised: use a credential that may read its organizations"
            } else {
                "without it nothing is raised: give org_id if the credential has several, or use one that may read its organization"
            };
            Verdict::fail(Exit::Refused, "cannot be read with this credential", advice)
        }
    }
}

fn not_ours(configured: Option<&OrgId>) -> Verdict {
    let expected = configured.map_or_else(|| "the configured one".to_owned(), ToString::to_string);
    let found = format!("the credential does not belong to {expected}");
    let advice = "write the id of your organization as org_id (console: Settings), or leave it out if there is one only";
    Verdict::config(found, advice)
}

fn expiry(ends: Timestamp, now: Timestamp) -> Verdict {
    let day = jiff::Timestamp::from_millisecond(ends.0).map(|t| t.to_string()).unwrap_or_default();
    let left = ends.0.saturating_sub(now.0).div_euclid(DAY_MS);
    let advice = "make a new key in the console in time and put it into the connection file: with a dead key no access can be taken away";
    match left {
        ..0 => Verdict::fail(Exit::Refused, format!("expired at {day}"), advice),
        0..SOON => Verdict::warn(format!("{day}, in {left} days"), advice),
        _ => Verdict::ok(format!("{day}, in {left} days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::report::Report;

    #[test]
    fn a_key_that_ends_soon_is_a_warning_and_one_that_ended_a_failure() {
        let now = Timestamp(1_790_000_000_000);
        let said = |days: i64| {
            let mut report = Report::default();
            report.part("p").step("key expiry", expiry(Timestamp(now.0 + days * DAY_MS), now));
            (report.exit(), report.render())
        };
        let (exit, text) = said(-1);
        assert!(exit == Exit::Refused && text.contains("expired at 2026-09"), "{text}");
        let (exit, text) = said(3);
        assert!(exit == Exit::Done && text.contains("WARN") && text.contains("in 3 days"), "{text}");
        let (exit, text) = said(90);
        assert!(exit == Exit::Done && !text.contains("WARN"), "{text}");
    }
}
