//! What JumpCloud says about the credential, its organization, its administrators and roles; and what
//! follows from it for the answers.
//!
//! Reads only, through the product's own client. Refuses to call a half answer a whole one: each
//! trouble is named with what to do about it.

use std::time::Duration;

use reqwest::Method;

use super::{super::Exit, draft::Draft, given::RoleMode};
use crate::{
    clock,
    engine::{
        ids::{Email, OrgId, RoleName},
        observed::{DiscoveredRole, Fault, FaultClass, Listing, WhoAmI},
        roles::{BILLING_ADMINISTRATOR, RoleOrder},
    },
    http::{Door, DoorOptions, Request, SendFault},
    jumpcloud::{Client, Connection, Setup},
    secrets::Secret,
};

/// The default of `rate_limit`, in requests a second.
const RATE: u32 = 10;
/// The default of `floor_role`.
const USUAL_FLOOR: &str = "Read Only";
const PATIENCE: Duration = Duration::from_secs(10);

/// What JumpCloud said.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) me: WhoAmI,
    pub(super) listing: Listing,
    /// `None` where they cannot be read.
    pub(super) roles: Option<Vec<DiscoveredRole>>,
}

/// Why JumpCloud did not say it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) exit: Exit,
    pub(super) found: String,
    pub(super) advice: &'static str,
}

/// A role that may be offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) role: String,
    /// What a person should know before naming it.
    pub(super) warning: Option<&'static str>,
}

/// Asks JumpCloud everything, in the order in which a failure tells the most.
///
/// # Errors
/// The first [`Trouble`].
pub(super) async fn ask(draft: &Draft) -> Result<Findings, Trouble> {
    let connection = connection(&draft.connection().text)?;
    let setup = Setup { proxy: None, page_size: 100, rate_per_second: RATE, clock: clock::now };
    let client = Client::new(&connection, &setup).map_err(|error| config(error.to_string()))?;
    knock(&connection).await?;
    let me = client.who_am_i().await.map_err(|fault| refused(&fault, "whose credential it is"))?;
    organization(&me, &connection)?;
    let listing = client.list().await.map_err(|fault| refused(&fault, "the list of administrators"))?;
    let roles = match client.roles().await {
        Ok(roles) => Some(roles),
        // The route is not promised; the agent works without it.
        Err(fault) if matches!(fault.class, FaultClass::NotFound | FaultClass::Forbidden) => None,
        Err(fault) => return Err(refused(&fault, "the list of roles")),
    };
    Ok(Findings { me, listing, roles })
}

fn connection(text: &Secret) -> Result<Connection, Trouble> {
    Connection::parse(text, "from your answers").map_err(|error| config(error.to_string()))
}

fn config(found: String) -> Trouble {
    Trouble { exit: Exit::Config, found, advice: "correct the answer" }
}

fn organization(me: &WhoAmI, connection: &Connection) -> Result<(), Trouble> {
    let trouble = |found, advice| Trouble { exit: Exit::Refused, found, advice };
    match (&me.org, &connection.org_id) {
        (Some(found), Some(expected)) if found != expected => Err(trouble(
            format!("the credential belongs to organization {found}, the answer is {expected}"),
            "correct the organization id",
        )),
        (None, _) => Err(trouble(
            "the credential does not show one organization".to_owned(),
            "if it sees several, give the id of the one that is meant (console: Settings, Organization Profile)",
        )),
        _ => Ok(()),
    }
}

/// A request without a credential: tells why there is no way, which the client's faults do not.
async fn knock(connection: &Connection) -> Result<(), Trouble> {
    let door = Door::new(DoorOptions {
        origin: connection.place.url.clone(),
        extra_ca_pem: connection.ca_pem.clone(),
        only_extra_ca: false,
        proxy: None,
        connect_timeout: PATIENCE,
        read_timeout: PATIENCE,
        total_timeout: PATIENCE,
        max_body: 1024 * 1024,
        user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
    .map_err(|error| config(error.to_string()))?;
    let request = Request {
        method: Method::HEAD,
        path: "/".to_owned(),
        headers: Vec::new(),
        body: None,
        total_timeout: None,
    };
    match door.send(request).await {
        Ok(_) | Err(SendFault::TooLarge { .. }) => Ok(()),
        Err(SendFault::NotSent { why } | SendFault::MaybeSent { why }) => {
            let by_certificate = why.contains("certificate");
            Err(Trouble {
                exit: if by_certificate { Exit::Config } else { Exit::Transient },
                found: format!("{}: {why}", connection.place.url),
                advice: if by_certificate {
                    "for a private certificate authority give its PEM file (ca_file)"
                } else {
                    "check the region or URL, and that this machine may reach it; behind a proxy use --offline"
                },
            })
        }
    }
}

fn refused(fault: &Fault, what: &str) -> Trouble {
    let status = fault.status.map_or_else(|| "no answer".to_owned(), |status| format!("answered {status}"));
    let (exit, advice) = match fault.class {
        FaultClass::Credential => (
            Exit::Refused,
            "the credential is not accepted: paste it again, make a new one, or choose another region",
        ),
        FaultClass::Forbidden => (
            Exit::Refused,
            "not permitted: take the key of an Administrator With Billing, from an allowed address",
        ),
        FaultClass::NotFound | FaultClass::WrongOrganization => {
            (Exit::Refused, "is this the region of the organization, and the organization id right?")
        }
        FaultClass::Redirected => {
            (Exit::Config, "redirects are not followed: give the final address, without a path")
        }
        FaultClass::Refused => (Exit::Refused, "a request of this version was not taken: please report it"),
        FaultClass::Throttled => (Exit::Transient, "too many requests: try again in a minute"),
        FaultClass::NotSent | FaultClass::Ambiguous => (Exit::Transient, "try again; is JumpCloud up?"),
    };
    Trouble { exit, found: format!("{what}: {status}"), advice }
}

impl Findings {
    /// What was found, for people.
    pub(super) fn summary(&self) -> String {
        let whose = self.me.email.as_ref().map_or("an unnamed account", Email::as_str);
        let role = self.own_role().map_or_else(|| "role unknown".to_owned(), |role| role.to_string());
        let org = self.me.org.as_ref().map_or("unknown", OrgId::as_str);
        let admins = self.listing.accounts.len();
        let roles =
            self.roles.as_ref().map_or_else(|| "not shown".to_owned(), |roles| roles.len().to_string());
        format!(
            "  signed in as    {whose}, {role}\n  organization    {org}\n  administrators  {admins}\n  roles           {roles}"
        )
    }

    fn own_role(&self) -> Option<RoleName> {
        let mut listed = self.listing.accounts.iter();
        let listed = listed.find(|account| self.me.account.as_ref() == Some(&account.id));
        self.me.role.clone().or_else(|| listed?.roles.first().cloned())
    }

    /// Administrators who hold several roles at once.
    pub(super) fn with_several_roles(&self) -> Vec<&Email> {
        let several = self.listing.accounts.iter().filter(|account| account.roles.len() > 1);
        several.map(|account| &account.email).collect()
    }

    /// `single` unless it would refuse somebody: it refuses an administrator who has several roles.
    pub(super) fn role_mode(&self) -> RoleMode {
        if self.with_several_roles().is_empty() { RoleMode::Single } else { RoleMode::Multiple }
    }

    /// Accounts to protect: the credential's own, and everybody who can undo everybody else.
    pub(super) fn protected(&self) -> Vec<Email> {
        let owners = self.listing.accounts.iter();
        let owners =
            owners.filter(|account| account.roles.iter().any(|r| r.as_str() == BILLING_ADMINISTRATOR));
        let mut all: Vec<Email> = self.me.email.iter().cloned().collect();
        all.extend(owners.map(|account| account.email.clone()));
        let known = all.clone();
        let mut at = 0..;
        all.retain(|email| {
            let before = &known[..at.next().unwrap_or(0)];
            !before.iter().any(|earlier| earlier.same_mailbox(email))
        });
        all
    }

    /// The roles of the organization; where they cannot be read, those that somebody has.
    pub(super) fn offers(&self) -> Vec<Offer> {
        let order = RoleOrder::new(&[], self.roles.as_deref());
        let mut names: Vec<RoleName> = match &self.roles {
            Some(roles) => roles.iter().map(|role| role.name.clone()).collect(),
            None => self.listing.accounts.iter().flat_map(|account| account.roles.clone()).collect(),
        };
        names.sort();
        names.dedup();
        let offer = |role: &RoleName| Offer {
            role: role.to_string(),
            warning: order
                .manages_administrators(role)
                .then_some("can change administrators: its holder may outlive the grant"),
        };
        names.iter().map(offer).collect()
    }

    /// Whether the organization was heard to have this role; true where roles cannot be read.
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.roles.as_ref().is_none_or(|roles| roles.iter().any(|known| known.name.as_str() == role))
    }

    /// What a person should know before he goes on.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self.own_role() {
            Some(role) if role.as_str() == BILLING_ADMINISTRATOR => {}
            Some(role) => notes.push(format!(
                "the credential's role is {role}; only {BILLING_ADMINISTRATOR} is known to be able to change administrators"
            )),
            None => notes.push(format!(
                "the credential does not show its role: see in the console that it is {BILLING_ADMINISTRATOR}"
            )),
        }
        if !self.listing.complete {
            notes.push(
                "the list of administrators is not provably whole: what is proposed may lack somebody"
                    .to_owned(),
            );
        }
        if !self.has_role(USUAL_FLOOR) {
            notes.push(format!(
                "there is no role {USUAL_FLOOR}: name the least one as floor_role in ephemerald.toml"
            ));
        }
        let unscoped = self.roles.as_ref().is_none_or(|roles| roles.iter().all(|role| role.scopes.is_none()));
        if unscoped {
            notes.push(
                "JumpCloud does not say what its roles may do, so the agent cannot tell which one is higher: \
                 write that into role_order of ephemerald.toml, or many grants end as `conflict`"
                    .to_owned(),
            );
        }
        notes
    }
}
