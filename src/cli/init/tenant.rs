//! What JumpCloud says about the credential, its organization, its administrators and roles; and what
//! follows from it for the answers.
//!
//! Reads only, through the product's own client. Refuses to call a half answer a whole one: each
//! trouble is named with what to do about it.

use std::time::Duration;

use reqwest::Method;

use super::{
    super::{
        Exit,
        check::{advice, token_advice},
    },
    draft::Draft,
    given::RoleMode,
};
use crate::{
    clock,
    engine::{
        ids::{Email, OrgId, RoleName},
        observed::{DiscoveredRole, Fault, FaultClass, Listing},
        roles::{BILLING_ADMINISTRATOR, RoleOrder},
        time::Millis,
    },
    http::{Door, DoorOptions, Request, SendFault},
    jumpcloud::{Client, Connection, Me, Setup},
};

/// The default of `floor_role`.
const USUAL_FLOOR: &str = "Read Only";
/// The default of `rate_limit`, in requests a second.
const USUAL_RATE: u32 = 10;
/// A key that ends sooner than this is worth a note.
const SOON: Millis = Millis(14 * 24 * 60 * 60 * 1000);
const PATIENCE: Duration = Duration::from_secs(10);

/// What JumpCloud said.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) me: Me,
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
    /// Those to choose from, if the credential has several and nobody has chosen.
    pub(super) organizations: Vec<OrgId>,
}

/// A role that may be offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) role: String,
    /// What a person should know before naming it.
    pub(super) warning: Option<&'static str>,
}

impl Trouble {
    fn new(exit: Exit, found: impl Into<String>, advice: &'static str) -> Self {
        Self { exit, found: found.into(), advice, organizations: Vec::new() }
    }

    fn answer(found: impl ToString) -> Self {
        Self::new(Exit::Config, found.to_string(), "correct the answer")
    }
}

/// Asks JumpCloud everything, in the order in which a failure tells the most.
///
/// # Errors
/// The first [`Trouble`].
pub(super) async fn ask(draft: &Draft) -> Result<Findings, Trouble> {
    let connection =
        Connection::parse(&draft.connection().text, "from your answers").map_err(Trouble::answer)?;
    let setup = Setup { proxy: None, page_size: 100, rate_per_second: USUAL_RATE, clock: clock::now };
    let client = Client::new(&connection, &setup).map_err(Trouble::answer)?;
    let refused = |fault: Fault, what: &str| {
        let status =
            fault.status.map_or_else(|| "no answer".to_owned(), |status| format!("answered {status}"));
        let (exit, advice) = advice(&fault, &connection);
        Trouble::new(exit, format!("{what}: {status}"), advice)
    };
    knock(&connection).await?;
    if let Some(Err(problem)) = client.token().await {
        let (exit, advice) = token_advice(&problem);
        return Err(Trouble::new(exit, problem.why, advice));
    }
    chosen(&client, &connection).await?;
    let me = client.me().await.map_err(|fault| refused(fault, "whose credential it is"))?;
    if me.who.org.is_none() {
        let advice = "give its id if the credential has several (console: Settings); without it nothing would be raised";
        return Err(Trouble::new(Exit::Refused, "the credential does not show its organization", advice));
    }
    let listing = client.list().await.map_err(|fault| refused(fault, "the list of administrators"))?;
    let roles = match client.roles().await {
        Ok(roles) => Some(roles),
        // The route is not promised; the agent works without it.
        Err(fault) if matches!(fault.class, FaultClass::NotFound | FaultClass::Forbidden) => None,
        Err(fault) => return Err(refused(fault, "the list of roles")),
    };
    Ok(Findings { me, listing, roles })
}

/// With several organizations a person says which one is meant; that it is one of them is seen later.
async fn chosen(client: &Client, connection: &Connection) -> Result<(), Trouble> {
    if connection.org_id.is_some() {
        return Ok(());
    }
    match client.organizations().await {
        Ok(several) if several.len() > 1 => {
            let ids: Vec<&str> = several.iter().map(OrgId::as_str).collect();
            let found = format!("the credential has {} organizations: {}", ids.len(), ids.join(", "));
            let trouble = Trouble::new(Exit::Config, found, "give the id of the one that is meant (org_id)");
            Err(Trouble { organizations: several, ..trouble })
        }
        // Not every credential may ask this; whose it is says the rest.
        _ => Ok(()),
    }
}

/// A request without a credential: tells why there is no way, which the client's faults do not.
async fn knock(connection: &Connection) -> Result<(), Trouble> {
    let door = Door::new(DoorOptions {
        origin: connection.place.url.clone(),
        extra_ca_pem: connection.ca_pem.clone(),
        only_extra_ca: connection.ca_only,
        proxy: None,
        connect_timeout: PATIENCE,
        read_timeout: PATIENCE,
        total_timeout: PATIENCE,
        max_body: 1024 * 1024,
        user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
    .map_err(Trouble::answer)?;
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
            let (exit, advice) = if by_certificate {
                (Exit::Config, "for a private certificate authority give its PEM file (ca_file)")
            } else {
                (
                    Exit::Transient,
                    "check the region or URL, and that this machine may reach it; behind a proxy use --offline",
                )
            };
            Err(Trouble::new(exit, format!("{}: {why}", connection.place.url), advice))
        }
    }
}

impl Findings {
    /// What was found, for people.
    pub(super) fn summary(&self) -> String {
        let whose = self.me.who.email.as_ref().map_or("an unnamed account", Email::as_str);
        let role = self.own_role().map_or_else(|| "role unknown".to_owned(), |role| role.to_string());
        let org = self.me.who.org.as_ref().map_or("unknown", OrgId::as_str);
        let admins = self.listing.accounts.len();
        let roles =
            self.roles.as_ref().map_or_else(|| "not shown".to_owned(), |roles| roles.len().to_string());
        format!(
            "  signed in as    {whose}, {role}\n  organization    {org}\n  administrators  {admins}\n  roles           {roles}"
        )
    }

    fn own_role(&self) -> Option<RoleName> {
        let mut listed = self.listing.accounts.iter();
        let listed = listed.find(|account| self.me.who.account.as_ref() == Some(&account.id));
        self.me.who.role.clone().or_else(|| listed?.roles.first().cloned())
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
        let mut all: Vec<Email> = self.me.who.email.iter().cloned().collect();
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
        if let Some(ends) = self.me.key_ends.filter(|ends| ends.since(clock::now().wall) < SOON) {
            let day =
                jiff::Timestamp::from_millisecond(ends.0).map(|day| day.to_string()).unwrap_or_default();
            notes.push(format!(
                "the API key ends at {day}: with a dead key no access can be taken away, make a new one"
            ));
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
