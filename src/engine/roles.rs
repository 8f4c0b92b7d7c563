//! Which role reaches further: a partial order, never a guessed line.
//!
//! A role covers another when its scopes include the other's, or when a configured pair says so.
//! Everything else does not compare, and what does not compare is refused upstream.

use std::collections::{BTreeMap, BTreeSet};

use super::{ids::RoleName, observed::DiscoveredRole};

/// The role that JumpCloud's help calls the super administrator
/// (<https://jumpcloud.com/support/admin-portal-roles>): it alone may write administrators.
pub const BILLING_ADMINISTRATOR: &str = "Administrator With Billing";

/// Built-in roles as the vendor's own module spells them (`Get-JCAdmin`, its value list).
const BUILT_IN: [&str; 7] = [
    "Administrator",
    "Manager",
    "Command Runner With Billing",
    "Command Runner",
    "Help Desk",
    "Billing Only",
    "Read Only",
];

/// The order in force for one integration.
#[derive(Clone, Debug, Default)]
pub struct RoleOrder {
    scopes: BTreeMap<RoleName, Option<BTreeSet<String>>>,
    /// Reflexive pairs are implied; transitive ones are stored.
    above: BTreeSet<(RoleName, RoleName)>,
    discovered: bool,
}

impl RoleOrder {
    /// An order from configured pairs (higher, lower) and, once known, the tenant's own list.
    #[must_use]
    pub fn new(pairs: &[(RoleName, RoleName)], discovered: Option<&[DiscoveredRole]>) -> Self {
        let mut order = Self { discovered: discovered.is_some(), ..Self::default() };
        for role in discovered.unwrap_or_default() {
            let scopes = role.scopes.as_ref().map(|s| s.iter().cloned().collect());
            order.scopes.insert(role.name.clone(), scopes);
        }
        let stated = BUILT_IN
            .iter()
            .filter_map(|low| Some((RoleName::new(BILLING_ADMINISTRATOR).ok()?, RoleName::new(low).ok()?)));
        order.above = stated.chain(pairs.iter().cloned()).collect();
        order.close_transitively();
        order
    }

    /// Whether `high` reaches everything that `low` reaches.
    #[must_use]
    pub fn covers(&self, high: &RoleName, low: &RoleName) -> bool {
        if high == low || self.above.contains(&(high.clone(), low.clone())) {
            return true;
        }
        match (self.scopes.get(high), self.scopes.get(low)) {
            (Some(Some(high)), Some(Some(low))) => low.is_subset(high) && !low.is_empty(),
            _ => false,
        }
    }

    /// Whether one of `held` covers `role`.
    #[must_use]
    pub fn any_covers(&self, held: &[RoleName], role: &RoleName) -> bool {
        held.iter().any(|h| self.covers(h, role))
    }

    /// Whether each of `low` is covered by one of `high`; nothing is covered by anything.
    #[must_use]
    pub fn all_covered(&self, high: &[RoleName], low: &[RoleName]) -> bool {
        low.iter().all(|l| self.any_covers(high, l))
    }

    /// Whether the tenant's list was read and does not contain the role.
    #[must_use]
    pub fn is_unknown(&self, role: &RoleName) -> bool {
        let built_in = |name: &str| name == BILLING_ADMINISTRATOR || BUILT_IN.contains(&name);
        // A list without any built-in role is not the list of all roles.
        let partial = !self.scopes.keys().any(|listed| built_in(listed.as_str()));
        self.discovered && !self.scopes.contains_key(role) && !(partial && built_in(role.as_str()))
    }

    /// Whether a holder of the role could change administrators or roles, and so outlive his grant.
    /// Built-in roles are judged by name, as the vendor states it; a custom role whose scopes are
    /// not known is taken to be one of them.
    #[must_use]
    pub fn manages_administrators(&self, role: &RoleName) -> bool {
        if role.as_str() == BILLING_ADMINISTRATOR {
            return true;
        }
        match self.scopes.get(role) {
            _ if BUILT_IN.contains(&role.as_str()) => false,
            Some(Some(scopes)) => scopes.iter().any(|s| writes_administrators(s)),
            _ => true,
        }
    }

    /// How many known roles a role covers: the more, the more urgent it is to take it away.
    #[must_use]
    pub fn reach(&self, role: &RoleName) -> usize {
        let known: BTreeSet<&RoleName> =
            self.scopes.keys().chain(self.above.iter().flat_map(|(high, low)| [high, low])).collect();
        known.into_iter().filter(|other| self.covers(role, other)).count()
    }

    /// Whether a holder is known to be able to change administrators or roles: the vendor states it, or
    /// the scopes of a custom role say so. What is not known is not claimed.
    #[must_use]
    pub fn is_known_to_manage(&self, role: &RoleName) -> bool {
        let stated = role.as_str() == BILLING_ADMINISTRATOR;
        stated || (matches!(self.scopes.get(role), Some(Some(_))) && self.manages_administrators(role))
    }

    /// The roles that the tenant lists, if it serves a list.
    #[must_use]
    pub fn names(&self) -> Option<Vec<RoleName>> {
        self.discovered.then(|| self.scopes.keys().cloned().collect())
    }

    /// The members that no other member covers strictly.
    #[must_use]
    pub fn highest(&self, roles: &[RoleName]) -> Vec<RoleName> {
        let strictly = |a: &RoleName, b: &RoleName| self.covers(a, b) && !self.covers(b, a);
        let mut top: Vec<RoleName> =
            roles.iter().filter(|r| !roles.iter().any(|other| strictly(other, r))).cloned().collect();
        top.sort();
        top.dedup();
        top
    }

    fn close_transitively(&mut self) {
        loop {
            let mut found = Vec::new();
            for (a, b) in &self.above {
                for (c, d) in &self.above {
                    let pair = (a.clone(), d.clone());
                    if b == c && !self.above.contains(&pair) {
                        found.push(pair);
                    }
                }
            }
            if found.is_empty() {
                return;
            }
            self.above.extend(found);
        }
    }
}

fn writes_administrators(scope: &str) -> bool {
    let scope = scope.to_ascii_lowercase();
    let subject = ["admin", "role", "serviceaccount", "service-account", "service_account"];
    let reads_only = scope.ends_with("read") || scope.ends_with("readonly") || scope.ends_with("view");
    subject.iter().any(|word| scope.contains(word)) && !reads_only
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> RoleName {
        RoleName::new(name).unwrap()
    }

    fn discovered(list: &[(&str, &[&str])]) -> Vec<DiscoveredRole> {
        let scopes = |s: &[&str]| Some(s.iter().map(|s| (*s).to_owned()).collect());
        list.iter().map(|(name, s)| DiscoveredRole { name: role(name), scopes: scopes(s) }).collect()
    }

    #[test]
    fn without_a_listing_only_stated_and_configured_pairs_compare() {
        let order = RoleOrder::new(
            &[(role("Manager"), role("Help Desk")), (role("Help Desk"), role("Read Only"))],
            None,
        );
        assert!(order.covers(&role("Manager"), &role("Read Only")), "pairs are transitive");
        assert!(order.covers(&role(BILLING_ADMINISTRATOR), &role("Billing Only")));
        assert!(!order.covers(&role("Administrator"), &role("Manager")), "nobody stated it");
        assert!(!order.covers(&role("Read Only"), &role("Manager")));
    }

    #[test]
    fn scopes_compare_by_inclusion_and_empty_scopes_do_not_compare() {
        let list = discovered(&[("A", &["x", "y"]), ("B", &["x"]), ("C", &["z"]), ("D", &[])]);
        let order = RoleOrder::new(&[], Some(&list));
        assert!(order.covers(&role("A"), &role("B")));
        assert!(!order.covers(&role("B"), &role("A")) && !order.covers(&role("A"), &role("C")));
        assert!(!order.covers(&role("A"), &role("D")), "no scopes listed is not the same as none held");
        assert_eq!(order.highest(&[role("A"), role("B"), role("C")]), vec![role("A"), role("C")]);
        assert!(order.is_unknown(&role("E")) && !order.is_unknown(&role("A")));
    }

    #[test]
    fn roles_that_can_write_administrators_are_recognised() {
        let list = discovered(&[("Custom", &["users.read", "admins.write"]), ("Viewer", &["admins.read"])]);
        let order = RoleOrder::new(&[], Some(&list));
        assert!(order.manages_administrators(&role(BILLING_ADMINISTRATOR)));
        assert!(order.manages_administrators(&role("Custom")));
        assert!(!order.manages_administrators(&role("Viewer")));
        assert!(!order.manages_administrators(&role("Help Desk")));
        assert!(order.manages_administrators(&role("Never listed")), "unknown scopes are not trusted");
        assert!(
            order.is_known_to_manage(&role("Custom")) && !order.is_known_to_manage(&role("Never listed"))
        );
    }
}
