//! What the switches say that a write does to the roles of an account: a model of its own, so that
//! the oracle shares no code with the simulator or the agent.
//!
//! Refuses to model anything but roles; a write that it cannot judge is refused.

use std::collections::BTreeSet;

use ephemerald::sandbox::jumpcloud::{
    BothWritten, PluralRoles, RoleNameOfSeveral, RoleNameWrite, RoleNamesWrite, Switches,
};

/// Roles in the order in which JumpCloud holds them: the first is the one that `roleName` shows.
pub(crate) type Roles = Vec<String>;

/// A body that sets roles.
#[derive(Clone, Debug)]
enum Write {
    /// `roleName` alone.
    One(String),
    /// `roleNames` alone.
    Several(Roles),
    /// Both.
    Both(String, Roles),
}

/// The write semantics of one cell.
pub(crate) struct Model<'a>(pub(crate) &'a Switches);

impl Model<'_> {
    /// The roles after `write`; `None` if it is refused.
    fn after(&self, held: &[String], write: &Write) -> Option<Roles> {
        let (one, several) = match write {
            Write::One(one) => (Some(one), None),
            Write::Several(several) => (None, Some(several)),
            Write::Both(one, several) => (Some(one), Some(several)),
        };
        let several = match self.0.role_names {
            RoleNamesWrite::Refused if several.is_some() => return None,
            RoleNamesWrite::Refused | RoleNamesWrite::Ignored => None,
            RoleNamesWrite::Replaces | RoleNamesWrite::Adds => several,
        };
        let one = one.filter(|_| several.is_none() || self.0.both == BothWritten::RoleNameWins);
        match (one, several) {
            (None, None) => Some(held.to_vec()),
            (None, Some(several)) if self.0.role_names == RoleNamesWrite::Adds => Some(joined(held, several)),
            (None, Some(several)) => Some(several.clone()),
            // Both written and `roleName` wins: it is the whole truth.
            (Some(one), Some(_)) => Some(vec![one.clone()]),
            (Some(one), None) => Some(self.alone(held, one)),
        }
    }

    fn alone(&self, held: &[String], one: &str) -> Roles {
        let this = vec![one.to_owned()];
        match self.0.role_name {
            RoleNameWrite::ReplacesAll => this,
            RoleNameWrite::IgnoredWithSeveral => {
                if held.len() > 1 {
                    held.to_vec()
                } else {
                    this
                }
            }
            RoleNameWrite::ReplacesFirst => joined(&this, held.get(1..).unwrap_or_default()),
            RoleNameWrite::Adds => joined(held, &this),
        }
    }

    /// The roles that a read lets one know: `roleNames` if they are there, else `roleName`.
    pub(crate) fn shown(&self, held: &[String]) -> Roles {
        let several = held.len() > 1;
        let all = match self.0.plural_roles {
            PluralRoles::Full => true,
            PluralRoles::WithSeveral => several,
            PluralRoles::Empty => false,
        };
        if all && self.0.plural_roles_shown {
            return held.to_vec();
        }
        let one = match self.0.role_name_of_several {
            RoleNameOfSeveral::First => held.first(),
            RoleNameOfSeveral::Last => held.last(),
            RoleNameOfSeveral::Absent => held.first().filter(|_| !several),
        };
        one.into_iter().cloned().collect()
    }

    /// Whether one write, in whichever field, leads from one set of roles to another and names no role
    /// beyond the wanted ones.
    pub(crate) fn leads(&self, from: &[String], to: &[String]) -> bool {
        let mut writes = vec![Write::Several(to.to_vec())];
        if let [only] = to {
            writes.extend([Write::One(only.clone()), Write::Both(only.clone(), to.to_vec())]);
        }
        writes.iter().any(|write| self.after(from, write).is_some_and(|after| same(&after, to)))
    }

    /// The same for the field that every client writes: `roleName` alone, for one role.
    pub(crate) fn leads_as_usual(&self, from: &[String], to: &[String]) -> bool {
        let [only] = to else { return self.leads(from, to) };
        self.after(from, &Write::One(only.clone())).is_some_and(|after| same(&after, to))
    }
}

fn joined(held: &[String], more: &[String]) -> Roles {
    let mut roles = held.to_vec();
    roles.extend(more.iter().filter(|role| !held.contains(role)).cloned());
    roles
}

/// Whether both name the same roles; their order is JumpCloud's affair.
pub(crate) fn same(a: &[String], b: &[String]) -> bool {
    let set = |roles: &[String]| roles.iter().cloned().collect::<BTreeSet<_>>();
    set(a) == set(b)
}

mod tests {
    use super::*;

    fn roles(names: &[&str]) -> Roles {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn leads(switches: &Switches, from: &[&str], to: &[&str]) -> bool {
        Model(switches).leads(&roles(from), &roles(to))
    }

    #[test]
    fn a_role_that_can_only_be_added_to_cannot_be_taken_away() {
        let mut switches = Switches { role_name: RoleNameWrite::Adds, ..Switches::default() };
        let (from, to) = (["Read Only", "Manager"], ["Read Only"]);
        assert!(leads(&switches, &from, &to), "by roleNames");
        assert!(!Model(&switches).leads_as_usual(&roles(&from), &roles(&to)), "not by roleName");
        switches.role_names = RoleNamesWrite::Ignored;
        assert!(!leads(&switches, &from, &to), "nothing takes it away");
        switches.role_names = RoleNamesWrite::Adds;
        assert!(!leads(&switches, &from, &to));
        switches.both = BothWritten::RoleNameWins;
        assert!(leads(&switches, &from, &to), "by both together");
        assert!(!leads(&switches, &["Read Only", "Billing Only", "Manager"], &["Read Only", "Billing Only"]));
    }

    #[test]
    fn a_role_beyond_the_first_stays_where_only_the_first_is_replaced() {
        let switches = Switches {
            role_name: RoleNameWrite::ReplacesFirst,
            role_names: RoleNamesWrite::Refused,
            ..Switches::default()
        };
        assert!(leads(&switches, &["Manager"], &["Read Only"]));
        assert!(!leads(&switches, &["Read Only", "Manager"], &["Read Only"]));
    }
}
