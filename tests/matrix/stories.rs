//! The main stories: who is there before, and what is asked for.
//!
//! Each story has an account of its own, so that all of them run in one organization at once.

use serde_json::{Value, json};

use crate::process::asking::grant_claims;

/// How long a grant lasts that is to end by itself, in seconds: long enough for a busy machine to
/// report it before its end.
const SHORT: u64 = 5;
const LONG: u64 = 300;
const EXTENSION: u64 = 2;

/// One of the main stories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Story {
    /// A role is given and ends by itself.
    Expires,
    /// A role is given and taken back early.
    Revoked,
    /// A role is given, and its end is moved.
    Extended,
    /// The account has a higher role anyway.
    Standing,
    /// A higher grant and a lower one at the same time.
    Overlap,
    /// An account for one grant.
    Ephemeral,
    /// The account has two roles.
    TwoRoles,
    /// The tenant has no such role.
    UnknownRole,
    /// The role is asked for in lower case.
    OtherCase,
    /// Somebody deletes the account in the console while it has the grant.
    Gone,
    /// The inventory goes to the control plane.
    Sync,
}

/// What a job asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Grant,
    Revoke,
    Extend,
}

/// One grant of a story. Each begins when the one before it has its result.
pub(crate) struct Leg {
    pub(crate) role: &'static str,
    pub(crate) seconds: u64,
    /// What is asked as soon as it is given.
    pub(crate) then: Option<Kind>,
}

impl Story {
    pub(crate) const ALL: [Self; 11] = [
        Self::Expires,
        Self::Revoked,
        Self::Extended,
        Self::Standing,
        Self::Overlap,
        Self::Ephemeral,
        Self::TwoRoles,
        Self::UnknownRole,
        Self::OtherCase,
        Self::Gone,
        Self::Sync,
    ];

    /// Its name: in addresses, grant ids and the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Expires => "expires",
            Self::Revoked => "revoked",
            Self::Extended => "extended",
            Self::Standing => "standing",
            Self::Overlap => "overlap",
            Self::Ephemeral => "ephemeral",
            Self::TwoRoles => "two-roles",
            Self::UnknownRole => "unknown-role",
            Self::OtherCase => "other-case",
            Self::Gone => "gone",
            Self::Sync => "sync",
        }
    }

    /// What it is about, for readers of the table.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Expires => "Read Only is given Help Desk, which ends by the timer",
            Self::Revoked => "Read Only is given Manager for long, which is revoked at once",
            Self::Extended => "Read Only is given Help Desk, for longer than it was first said",
            Self::Standing => "Manager asks for Help Desk, which that role covers",
            Self::Overlap => "Read Only is given Manager, and meanwhile Help Desk for longer",
            Self::Ephemeral => "an account is made with Help Desk and deleted by the timer",
            Self::TwoRoles => "somebody with Read Only and Command Runner is given Help Desk",
            Self::UnknownRole => "a role that the tenant does not have",
            Self::OtherCase => "Read Only is given `help desk`, which the tenant spells `Help Desk`",
            Self::Gone => "Read Only is given Help Desk, and somebody deletes the account in the console",
            Self::Sync => "meanwhile the control plane asks for the inventory",
        }
    }

    /// The roles that its account has before; none for an account that is made.
    pub(crate) const fn before(self) -> &'static [&'static str] {
        match self {
            Self::Standing => &["Manager"],
            Self::TwoRoles => &["Read Only", "Command Runner"],
            Self::Ephemeral | Self::Sync => &[],
            _ => &["Read Only"],
        }
    }

    pub(crate) fn email(self) -> String {
        format!("{}@example.com", self.name())
    }

    pub(crate) const fn legs(self) -> &'static [Leg] {
        const fn leg(role: &'static str, seconds: u64) -> Leg {
            Leg { role, seconds, then: None }
        }
        match self {
            Self::Expires | Self::Ephemeral | Self::TwoRoles | Self::Gone => {
                const { &[leg("Help Desk", SHORT)] }
            }
            Self::Revoked => const { &[Leg { role: "Manager", seconds: LONG, then: Some(Kind::Revoke) }] },
            Self::Extended => {
                const { &[Leg { role: "Help Desk", seconds: 2 * SHORT, then: Some(Kind::Extend) }] }
            }
            Self::Standing => const { &[leg("Help Desk", LONG)] },
            Self::Overlap => const { &[leg("Manager", SHORT), leg("Help Desk", SHORT + 2)] },
            Self::UnknownRole => const { &[leg("Gardener", SHORT)] },
            Self::OtherCase => const { &[leg("help desk", SHORT)] },
            Self::Sync => const { &[leg("", 0)] },
        }
    }

    /// The claims of a job about a leg.
    pub(crate) fn claims(self, leg: usize, kind: Kind, grant: &str) -> Value {
        if self == Self::Sync {
            return json!({"job": {"type": "sync"}});
        }
        let Leg { role, seconds, .. } = self.legs()[leg];
        let mut claims = grant_claims(grant, &self.email(), role, seconds);
        let request = claims["job"]["request"].take();
        let job = &mut claims["job"];
        match kind {
            Kind::Grant if self == Self::Ephemeral => {
                job["target"] = json!({"ephemeral": {"requester": self.email()}});
            }
            Kind::Grant => {}
            Kind::Revoke => return json!({"job": {"type": "revoke", "grant_id": grant}}),
            Kind::Extend => {
                *job = json!({"type": "extend", "grant_id": grant, "duration_s": seconds + EXTENSION})
            }
        }
        job["request"] = request;
        claims
    }

    /// Whether this is its account's address; that of an account that is made has a tag.
    pub(crate) fn is_about(self, email: &str) -> bool {
        match self {
            Self::Ephemeral => email.starts_with("ephemeral+") && email.ends_with("@example.com"),
            Self::Sync => false,
            _ => email == self.email(),
        }
    }
}

/// The population of each cell: the stories' accounts, the key's owner, and people whom nothing
/// concerns, one of them with two roles.
pub(crate) fn population() -> Value {
    let billing = ["Administrator With Billing"];
    let mut accounts = vec![
        person("owner", &billing),
        person("breakglass", &billing),
        person("bystander", &["Read Only"]),
        person("bystander-two", &["Manager", "Billing Only"]),
        person("bystander-three", &["Administrator"]),
    ];
    for story in Story::ALL.into_iter().filter(|story| !matches!(story, Story::Ephemeral | Story::Sync)) {
        accounts.push(person(story.name(), story.before()));
    }
    json!({ "accounts": accounts })
}

fn person(name: &str, roles: &[&str]) -> Value {
    json!({
        "email": format!("{name}@example.com"), "firstname": name, "lastname": "Person", "roles": roles,
        "enable_multi_factor": true, "totp_enrolled": true,
    })
}
