//! One JumpCloud organization: the connection file, the way there, and what the key may do.
//!
//! Refuses: every call that changes something; all of these are reads.

use super::{
    super::Exit,
    credential, network, proxy,
    report::{Part, Verdict},
};
use crate::{
    agent, clock,
    config::{Config, Integration},
    engine::{
        ids::{OrgId, RoleName},
        observed::{Fault, FaultClass, Listing, WhoAmI},
        policy::Policy,
        roles::BILLING_ADMINISTRATOR,
        time::Timestamp,
    },
    http::{Door, DoorOptions},
    jumpcloud::{Client, Connection, Credential, Insights},
};

/// What is compared with other parts.
#[derive(Default)]
pub(super) struct Seen {
    /// Its name, and by how many milliseconds our clock is ahead of its.
    pub date: Option<(String, i64)>,
    /// The one organization that the credential is of.
    pub org: Option<OrgId>,
}

/// Runs the steps.
pub(super) async fn check(
    config: &Config,
    integration: &Integration,
    policy: Option<&Policy>,
    part: &mut Part<'_>,
) -> Seen {
    let mut seen = Seen::default();
    let prepared = match agent::prepare(config, integration) {
        Ok(prepared) => prepared,
        Err(problem) => {
            part.step("connection", Verdict::config(problem, ""));
            return seen;
        }
    };
    let connection = &prepared.connection;
    part.step("connection", place(connection));
    let made = agent::open(&prepared);
    let made = made.and_then(|made| Ok((made, door(connection, config, integration)?)));
    let ((client, insights), door) = match made {
        Ok(made) => made,
        Err(problem) => {
            part.step("address", Verdict::config(problem, "mend the connection file"));
            return seen;
        }
    };
    part.step("proxy", proxy::way(config, Some(integration), &door));
    let Some(reached) = network::reach(&door, None, part).await else { return seen };
    seen.date = reached.ahead_ms.map(|ahead| (format!("JumpCloud ({})", integration.settings.id), ahead));
    if let Some(me) = credential::check(&client, connection, part).await {
        let listing = administrators(&client, connection, part).await;
        own_role(&me, connection, listing.as_ref(), part);
        roles(&client, connection, (policy, prepared.settings.offered_roles.as_deref()), part).await;
        if let Some(insights) = insights {
            part.step("insights", hints(&insights).await);
        }
        seen.org = me.org;
    }
    seen
}

fn place(connection: &Connection) -> Verdict {
    let region = connection.place.region.map_or("no known region", |region| region.code());
    let by = match connection.credential {
        Credential::ApiKey(_) => "API key",
        Credential::ServiceAccount { .. } => "service account",
    };
    Verdict::ok(format!("{} ({region}), {by}, from {}", connection.place.url, connection.origin))
}

/// Without a credential: for the first, unauthenticated look.
fn door(connection: &Connection, config: &Config, integration: &Integration) -> Result<Door, String> {
    let patience = std::time::Duration::from_secs(5);
    Door::new(DoorOptions {
        origin: connection.place.url.clone(),
        extra_ca_pem: connection.ca_pem.clone(),
        only_extra_ca: connection.ca_only,
        proxy: config.proxy_of(integration)?,
        connect_timeout: patience,
        read_timeout: patience,
        total_timeout: patience,
        max_body: 1024 * 1024,
        user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
    .map_err(|error| error.to_string())
}

/// Optional, so never more than a warning.
async fn hints(insights: &Insights) -> Verdict {
    let hour_ago = Timestamp(clock::now().wall.0.saturating_sub(60 * 60 * 1000));
    match insights.changes(hour_ago).await {
        Ok(changes) => Verdict::ok(format!("{} changes of administrators in the last hour", changes.len())),
        Err(fault) => {
            let status = fault.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let found = format!("{}: {status}", insights.origin());
            let advice = "changes by others are then found at the regular look; is it part of your plan? Else set insights = false";
            Verdict::warn(found, advice)
        }
    }
}

async fn administrators(client: &Client, connection: &Connection, part: &mut Part<'_>) -> Option<Listing> {
    match client.list().await {
        Ok(listing) if listing.complete => {
            part.step("administrators", Verdict::ok(format!("{} listed", listing.accounts.len())));
            Some(listing)
        }
        Ok(listing) => {
            let found = format!("{} listed, not provably all", listing.accounts.len());
            let advice = "the list moved while it was read, or carries no total; absence cannot be proven";
            part.step("administrators", Verdict::warn(found, advice));
            Some(listing)
        }
        Err(fault) => {
            part.step("administrators", refused(&fault, "the list of administrators", connection));
            None
        }
    }
}

/// The role that the product guide asks for; what lesser roles may manage is not documented.
fn own_role(me: &WhoAmI, connection: &Connection, listing: Option<&Listing>, part: &mut Part<'_>) {
    if me.account.is_none() && matches!(connection.credential, Credential::ServiceAccount { .. }) {
        let advice =
            "see in the console that its role may manage administrators; only a write would prove it";
        return part.step("own role", Verdict::warn("not shown for a service account", advice));
    }
    let listed = listing.and_then(|listing| {
        let own = |id| Some(id) == me.account.as_ref();
        listing.accounts.iter().find(|account| own(&account.id))?.roles.first().cloned()
    });
    let verdict = match me.role.clone().or(listed) {
        Some(role) if role.as_str() == BILLING_ADMINISTRATOR => Verdict::ok(role.to_string()),
        Some(role) => {
            let advice = format!("only a key of {BILLING_ADMINISTRATOR} is known to manage all roles");
            Verdict::warn(role.to_string(), &advice)
        }
        None => Verdict::warn("unknown", &format!("see in the console that it is {BILLING_ADMINISTRATOR}")),
    };
    part.step("own role", verdict);
}

async fn roles(
    client: &Client,
    connection: &Connection,
    (policy, offered): (Option<&Policy>, Option<&[RoleName]>),
    part: &mut Part<'_>,
) {
    let known = match client.roles().await {
        Ok(known) => known,
        Err(fault) => return part.step("roles", refused(&fault, "the list of roles", connection)),
    };
    let missing = |wanted: &mut dyn Iterator<Item = &RoleName>| {
        let missing = wanted.filter(|role| !known.iter().any(|known| known.name == **role));
        missing.map(RoleName::as_str).collect::<Vec<_>>().join(", ")
    };
    let by_policy = missing(&mut policy.iter().flat_map(|policy| policy.roles.keys()));
    let by_offer = missing(&mut offered.unwrap_or_default().iter());
    let mut found = format!("{} listed", known.len());
    for (who, names) in [("the policy", &by_policy), ("`roles` of this integration", &by_offer)] {
        if !names.is_empty() {
            found += &format!("; {who} also names {names}");
        }
    }
    let names: Vec<&str> = known.iter().map(|role| role.name.as_str()).collect();
    let advice = format!("spell them as JumpCloud does: {}", names.join(", "));
    let fine = by_policy.is_empty() && by_offer.is_empty();
    part.step("roles", if fine { Verdict::ok(found) } else { Verdict::warn(found, &advice) });
}

pub(super) fn refused(fault: &Fault, what: &str, connection: &Connection) -> Verdict {
    let status = fault.status.map_or_else(|| "no answer".to_owned(), |status| format!("answered {status}"));
    let (exit, advice) = advice(fault, connection);
    Verdict::fail(exit, format!("{what}: {status}"), advice)
}

/// What a fault comes to, and what to do about it.
pub(in crate::cli) fn advice(fault: &Fault, connection: &Connection) -> (Exit, &'static str) {
    match fault.class {
        FaultClass::Credential if connection.org_id.is_none() => (
            Exit::Refused,
            "not accepted: paste the credential again, or make a new one in the console; one of several organizations also needs org_id",
        ),
        FaultClass::Credential => {
            (Exit::Refused, "not accepted: paste the credential again, or make a new one in the console")
        }
        FaultClass::Forbidden => (
            Exit::Refused,
            "not permitted: a credential with the role Administrator With Billing, from an allowed address",
        ),
        FaultClass::NotFound if connection.org_id.is_some() => (
            Exit::Refused,
            "is org_id right? JumpCloud answers so for an organization that it does not know; and is the url that of your region?",
        ),
        FaultClass::NotFound | FaultClass::WrongOrganization => {
            (Exit::Refused, "is the url that of your region? An organization answers in its own only")
        }
        FaultClass::Redirected => {
            (Exit::Config, "redirects are not followed: write the final address, without a path, as url")
        }
        FaultClass::Refused if connection.org_id.is_some() => (
            Exit::Refused,
            "is org_id the id of an organization? JumpCloud answers so for one that is malformed",
        ),
        FaultClass::Refused => {
            (Exit::Refused, "a request this version makes was not taken: please report it")
        }
        FaultClass::Throttled => (Exit::Transient, "too many requests: try again in a minute"),
        FaultClass::NotSent | FaultClass::Ambiguous => (Exit::Transient, "try again; is JumpCloud up?"),
    }
}
