//! One JumpCloud organization: the connection file, the way there, and what the key may do.
//!
//! Refuses: every call that changes something; all of these are reads.

use super::{
    super::Exit,
    network,
    report::{Part, Verdict},
};
use crate::{
    agent,
    config::{Config, Integration, ProxyUrl},
    engine::{
        observed::{Fault, FaultClass, Listing, WhoAmI},
        policy::Policy,
        roles::BILLING_ADMINISTRATOR,
    },
    http::{Door, DoorOptions},
    jumpcloud::{Client, Connection},
};

/// Runs the steps; returns its name and how far our clock is ahead of its.
pub(super) async fn check(
    config: &Config,
    integration: &Integration,
    policy: Option<&Policy>,
    part: &mut Part<'_>,
) -> Option<(String, i64)> {
    let connection = match agent::connection(&integration.connection) {
        Ok(connection) => connection,
        Err(problem) => {
            part.step("connection", Verdict::config(problem, ""));
            return None;
        }
    };
    part.step("connection", Verdict::ok(connection.url.clone()));
    let proxy = || config.control_plane.proxy.as_ref().map(ProxyUrl::split);
    let client = Client::through(&connection, proxy());
    let (client, door) = match client.and_then(|client| Ok((client, door(&connection, config)?))) {
        Ok(made) => made,
        Err(error) => {
            part.step("address", Verdict::config(error.to_string(), "mend the connection file"));
            return None;
        }
    };
    let reached = network::reach(config, &door, part).await?;
    if let Some(me) = identity(&client, &connection, part).await {
        let listing = administrators(&client, part).await;
        own_role(&me, listing.as_ref(), part);
        roles(&client, policy, part).await;
    }
    Some((format!("JumpCloud ({})", integration.settings.id), reached.ahead_ms?))
}

/// Without a credential: for the first, unauthenticated look.
fn door(connection: &Connection, config: &Config) -> Result<Door, crate::http::DoorError> {
    let patience = std::time::Duration::from_secs(5);
    Door::new(DoorOptions {
        origin: connection.url.clone(),
        extra_ca_pem: connection.ca_pem.clone(),
        only_extra_ca: false,
        proxy: config.control_plane.proxy.as_ref().map(ProxyUrl::split),
        connect_timeout: patience,
        read_timeout: patience,
        total_timeout: patience,
        max_body: 1024 * 1024,
        user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

async fn identity(client: &Client, connection: &Connection, part: &mut Part<'_>) -> Option<WhoAmI> {
    let me = match client.who_am_i().await {
        Ok(me) => me,
        Err(fault) => {
            part.step("API key", refused(&fault, "who the key belongs to"));
            return None;
        }
    };
    let who =
        me.email.as_ref().map_or_else(|| "of an unnamed account".to_owned(), |email| format!("of {email}"));
    part.step("API key", Verdict::ok(format!("accepted, {who}")));
    let verdict = match (&me.org, &connection.org_id) {
        (Some(found), Some(expected)) if found != expected => {
            let advice = "write the right org_id into the connection file";
            Verdict::config(format!("the key reads {found}, the connection names {expected}"), advice)
        }
        (Some(org), _) => Verdict::ok(org.to_string()),
        (None, _) => {
            let advice = "without it nothing is raised; give org_id in the connection file, or another key";
            Verdict::fail(Exit::Refused, "cannot be read with this key", advice)
        }
    };
    part.step("organization", verdict);
    Some(me)
}

async fn administrators(client: &Client, part: &mut Part<'_>) -> Option<Listing> {
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
            part.step("administrators", refused(&fault, "the list of administrators"));
            None
        }
    }
}

/// The role that the product guide asks for; what lesser roles may manage is not documented.
fn own_role(me: &WhoAmI, listing: Option<&Listing>, part: &mut Part<'_>) {
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

async fn roles(client: &Client, policy: Option<&Policy>, part: &mut Part<'_>) {
    let known = match client.roles().await {
        Ok(known) => known,
        Err(fault) => return part.step("roles", refused(&fault, "the list of roles")),
    };
    let wanted = policy.iter().flat_map(|policy| policy.roles.keys());
    let missing = wanted.filter(|role| !known.iter().any(|known| known.name == **role));
    let missing: Vec<&str> = missing.map(|role| role.as_str()).collect();
    let found = format!("{} listed", known.len());
    part.step(
        "roles",
        if missing.is_empty() {
            Verdict::ok(found)
        } else {
            let names: Vec<&str> = known.iter().map(|role| role.name.as_str()).collect();
            let advice = format!("spell them as JumpCloud does: {}", names.join(", "));
            Verdict::warn(format!("{found}; the policy also names {}", missing.join(", ")), &advice)
        },
    );
}

fn refused(fault: &Fault, what: &str) -> Verdict {
    let status = fault.status.map_or_else(|| "no answer".to_owned(), |status| format!("answered {status}"));
    let found = format!("{what}: {status}");
    let (exit, advice) = match fault.class {
        FaultClass::Credential => {
            (Exit::Refused, "the key is not accepted: paste it again, or make a new one in the console")
        }
        FaultClass::Forbidden => {
            (Exit::Refused, "not permitted: a key of an Administrator With Billing, from an allowed address")
        }
        FaultClass::NotFound | FaultClass::WrongOrganization => {
            (Exit::Refused, "is the URL that of your region, and org_id that of the key?")
        }
        FaultClass::Redirected => {
            (Exit::Config, "redirects are not followed: write the final address, without a path, as url")
        }
        FaultClass::Refused => {
            (Exit::Refused, "a request this version makes was not taken: please report it")
        }
        FaultClass::Throttled => (Exit::Transient, "too many requests: try again in a minute"),
        FaultClass::NotSent | FaultClass::Ambiguous => (Exit::Transient, "try again; is JumpCloud up?"),
    };
    Verdict::fail(exit, found, advice)
}
