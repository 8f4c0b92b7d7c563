//! The model JumpCloud: administrators, their roles, what happened to them and what becomes of a write.

use std::collections::BTreeMap;

use ephemerald::engine::{
    action::RoleField,
    ids::{AccountId, Email, OrgId, RoleName},
    observed::{DiscoveredRole, FaultClass, ObservedAccount},
    policy::{EphemeralPolicy, Policy},
    time::Millis,
};

use super::{Write, role};

/// What the model JumpCloud does with the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Carried out, answered.
    Fine,
    /// Carried out, the answer is lost.
    AnswerLost,
    /// Not carried out, the answer is lost.
    Dropped,
    /// The answer is lost; carried out this much later.
    Late(u64),
    /// Answered 2xx, nothing happens.
    Lie,
    /// 429.
    Throttled,
    /// 400.
    Refused,
    /// Never sent.
    Unreachable,
}

/// What a written `roleName` or `roleNames` does: JumpCloud has not published it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Exactly what is written is there afterwards.
    #[default]
    Replaces,
    /// What is written takes the place of the first role; further ones stay.
    ReplacesFirst,
    /// What is written is added.
    Adds,
    /// 2xx, nothing happens.
    Ignored,
    /// 2xx, and nothing happens where several roles are held.
    IgnoredWithSeveral,
}

/// What becomes of calls to another integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// Never answered.
    Silent,
    /// 429, come back in half a minute.
    Throttled,
    /// Answered after so many milliseconds.
    Slow(u64),
    /// Answered as usual.
    Well,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admin {
    pub(crate) email: Email,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) suspended: bool,
    pub(crate) tagged: bool,
    /// The organization that it shows, where it shows one.
    pub(crate) org: Option<OrgId>,
}

/// The model JumpCloud.
#[derive(Clone, Debug, Default)]
pub(crate) struct JumpCloud {
    pub(crate) admins: BTreeMap<AccountId, Admin>,
    pub(crate) made: u64,
    /// The organization that new accounts show.
    pub(crate) births_at: Option<OrgId>,
    /// Every state an account went through: (boot time, roles; `None`: gone).
    pub(crate) history: Vec<(u64, AccountId, Option<Vec<RoleName>>)>,
    /// Which address each account was made with.
    pub(crate) births: Vec<(AccountId, Email)>,
    /// What the field for one role does.
    pub(crate) lone: Writing,
    /// What the field for several does.
    pub(crate) plural: Writing,
    /// Whether both fields together replace what was there.
    pub(crate) both_replace: bool,
    /// An old state that reads show instead of the present one.
    pub(crate) stale: BTreeMap<AccountId, Vec<RoleName>>,
    /// Whether a write of roles takes the requirement of MFA away.
    pub(crate) resets_the_rest: bool,
    /// Whether only the first role is shown.
    pub(crate) hides_plural: bool,
    /// Whether nothing is shown of several roles.
    pub(crate) hides_several: bool,
    /// A delete is answered well and nothing happens.
    pub(crate) keeps_accounts: bool,
    /// A role that is not written for anybody, and how that is answered.
    pub(crate) refuses: Option<(RoleName, FaultClass)>,
    pub(crate) raises_applied: u64,
    pub(crate) writes: u64,
    pub(crate) reads: u64,
}

impl JumpCloud {
    pub(crate) fn add(&mut self, at: u64, address: Email, roles: Vec<RoleName>) -> AccountId {
        self.made += 1;
        let id = Self::id_of_nth(self.made);
        let tagged = address.as_str().contains("+tag");
        self.history.push((at, id.clone(), Some(roles.clone())));
        self.births.push((id.clone(), address.clone()));
        self.admins.insert(
            id.clone(),
            Admin { email: address, roles, suspended: false, tagged, org: self.births_at.clone() },
        );
        id
    }

    pub(crate) fn id_of_nth(n: u64) -> AccountId {
        AccountId::new(&format!("{:024x}", 0xa000 + n)).unwrap()
    }

    pub(crate) fn set(&mut self, at: u64, id: &AccountId, mut roles: Vec<RoleName>) {
        roles.sort();
        if let Some(admin) = self.admins.get_mut(id) {
            admin.roles.clone_from(&roles);
            self.history.push((at, id.clone(), Some(roles)));
        }
    }

    pub(super) fn tagged(&self) -> Vec<AccountId> {
        self.admins.iter().filter(|(_, admin)| admin.tagged).map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn by_email(&self, address: &str) -> Option<AccountId> {
        let same = |a: &Admin| a.email.as_str().eq_ignore_ascii_case(address);
        self.admins.iter().find(|(_, a)| same(a)).map(|(id, _)| id.clone())
    }

    pub(super) fn apply(&mut self, at: u64, write: &Write) {
        match write {
            Write::Set(id, roles, field) => {
                let writing = match field {
                    RoleField::One => self.lone,
                    RoleField::Both if self.both_replace => Writing::Replaces,
                    RoleField::Several | RoleField::Both => self.plural,
                };
                let held = self.admins.get(id).map(|a| a.roles.clone()).unwrap_or_default();
                self.set(at, id, writing.after(held, roles));
            }
            Write::Create(address, with) if self.by_email(address.as_str()).is_none() => {
                self.add(at, address.clone(), vec![with.clone()]);
            }
            Write::Create(..) => {}
            Write::Delete(_) if self.keeps_accounts => {}
            Write::Delete(id) => {
                self.admins.remove(id);
                self.history.push((at, id.clone(), None));
            }
        }
    }

    fn writes_to(&self, id: &AccountId) -> bool {
        self.history.iter().filter(|(_, who, _)| who == id).count() > 1
    }

    pub(super) fn show(&self, id: &AccountId) -> Option<ObservedAccount> {
        let admin = self.admins.get(id)?;
        Some(ObservedAccount {
            id: id.clone(),
            email: admin.email.clone(),
            org: admin.org.clone(),
            suspended: admin.suspended,
            roles: if let Some(old) = self.stale.get(id) {
                old.clone()
            } else if self.hides_several && admin.roles.len() > 1 {
                Vec::new()
            } else if self.hides_plural {
                admin.roles[..1].to_vec()
            } else {
                admin.roles.clone()
            },
            plural: !self.hides_plural,
            mfa_required: Some(!(self.resets_the_rest && self.writes_to(id))),
            mfa_enrolled: Some(false),
            api_key_allowed: Some(false),
        })
    }
}

impl Writing {
    fn after(self, held: Vec<RoleName>, written: &[RoleName]) -> Vec<RoleName> {
        let kept = match self {
            Self::Replaces => return written.to_vec(),
            Self::Ignored => return held,
            Self::IgnoredWithSeveral if held.len() > 1 => return held,
            Self::IgnoredWithSeveral => return written.to_vec(),
            Self::ReplacesFirst => held.get(1..).unwrap_or_default().to_vec(),
            Self::Adds => held,
        };
        let mut roles: Vec<RoleName> = kept.into_iter().chain(written.iter().cloned()).collect();
        roles.sort();
        roles.dedup();
        roles
    }
}

/// Built-in roles with scopes that nest as the help pages suggest; two that do not compare.
pub(crate) fn roles() -> Vec<DiscoveredRole> {
    let list: [(&str, &[&str]); 7] = [
        ("Administrator With Billing", &["read", "users", "devices", "all", "admins", "billing", "commands"]),
        ("Administrator", &["read", "users", "devices", "all", "commands"]),
        ("Manager", &["read", "users", "devices"]),
        ("Help Desk", &["read", "users"]),
        ("Command Runner", &["commands"]),
        ("Billing Only", &["billing"]),
        ("Read Only", &["read"]),
    ];
    let scopes = |s: &[&str]| Some(s.iter().map(|s| (*s).to_owned()).collect());
    list.iter().map(|(name, s)| DiscoveredRole { name: role(name), scopes: scopes(s) }).collect()
}

pub(crate) fn open_policy() -> Policy {
    let day = Millis::from_secs(86_400);
    Policy {
        hash: "0".repeat(64),
        dry_run: false,
        roles: roles().into_iter().map(|r| (r.name, day)).collect(),
        max_duration: day,
        ephemeral: Some(EphemeralPolicy {
            template: "{requester}+{tag}@{domain}".to_owned(),
            domains: vec!["example.com".to_owned()],
            delete_unknown: false,
        }),
        max_live_grants: 1000,
        ..Policy::default()
    }
}
