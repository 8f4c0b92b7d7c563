//! An inventory as pages: sorted, cut, hashed. The same tenant gives the same pages, so that a page
//! which did not change has its old hash and is not sent again.
//!
//! JumpCloud's ids grow with time: sorted by id, a new account changes the last page only.

use crate::{
    control::wire::{
        InventoryAccount, InventoryItem, InventoryPage, InventoryPermission, InventoryRole, PageKind,
        PermissionType,
    },
    engine::{ids::RoleName, inventory::Inventory, observed::ObservedAccount},
};

/// The most items of a page, by the protocol.
const PAGE: usize = 200;

/// All pages of an inventory, with their items, and how many items of each kind there are.
pub(super) fn of(inventory: &Inventory) -> (Vec<InventoryPage>, [u32; 3]) {
    let mut accounts: Vec<&ObservedAccount> = inventory.accounts.iter().collect();
    accounts.sort_by(|a, b| a.id.cmp(&b.id));
    accounts.dedup_by(|a, b| a.id == b.id);
    let roles = inventory.roles.iter().map(|(name, grantable)| {
        InventoryItem::Role(InventoryRole { name: name.clone(), grantable: *grantable })
    });
    let permissions = accounts.iter().flat_map(|account| permissions(account, inventory)).collect();
    let listed = accounts.iter().map(|account| {
        InventoryItem::Account(InventoryAccount {
            id: account.id.clone(),
            email: account.email.clone(),
            suspended: account.suspended,
        })
    });
    let kinds = [
        (PageKind::Roles, roles.collect()),
        (PageKind::Accounts, listed.collect()),
        (PageKind::Permissions, permissions),
    ];
    let counts =
        kinds.each_ref().map(|(_, items): &(_, Vec<_>)| u32::try_from(items.len()).unwrap_or(u32::MAX));
    (kinds.into_iter().flat_map(|(kind, items)| cut(kind, &items)).collect(), counts)
}

fn permissions(account: &ObservedAccount, inventory: &Inventory) -> Vec<InventoryItem> {
    let mut roles: Vec<&RoleName> = account.roles.iter().collect();
    roles.sort();
    roles.dedup();
    let item = |role: &RoleName| {
        let grant_id = inventory.jit.get(&(account.id.clone(), role.clone())).cloned();
        InventoryItem::Permission(InventoryPermission {
            account: account.id.clone(),
            role: role.clone(),
            kind: if grant_id.is_some() { PermissionType::Jit } else { PermissionType::External },
            grant_id,
        })
    };
    roles.into_iter().map(item).collect()
}

fn cut(kind: PageKind, items: &[InventoryItem]) -> Vec<InventoryPage> {
    let page = |(index, items): (usize, &[InventoryItem])| InventoryPage {
        kind,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        hash: InventoryPage::hash_of(items),
        items: Some(items.to_vec()),
    };
    items.chunks(PAGE).enumerate().map(page).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::{
        ids::{AccountId, Email, GrantId, IntegrationId},
        time::{BootTime, Timestamp},
    };

    fn account(n: usize) -> ObservedAccount {
        ObservedAccount {
            id: AccountId::new(&format!("{n:024x}")).unwrap(),
            email: Email::new(&format!("person{n}@example.com")).unwrap(),
            org: None,
            suspended: false,
            roles: vec![RoleName::new("Help Desk").unwrap()],
            plural: false,
            mfa_required: None,
            mfa_enrolled: None,
            api_key_allowed: None,
        }
    }

    fn inventory(accounts: Vec<ObservedAccount>) -> Inventory {
        Inventory {
            jobs: vec![],
            integration: IntegrationId::new("jc").unwrap(),
            taken_at: Timestamp(0),
            complete: true,
            roles: vec![(RoleName::new("Help Desk").unwrap(), true)],
            accounts,
            jit: BTreeMap::new(),
            until: BootTime(0),
        }
    }

    fn hashes(inventory: &Inventory) -> Vec<String> {
        of(inventory).0.into_iter().map(|page| page.hash).collect()
    }

    #[test]
    fn the_order_of_the_listing_changes_no_page_and_a_new_account_only_the_last_ones() {
        let some = inventory((1..=450).map(account).collect());
        let turned = inventory((1..=450).rev().map(account).collect());
        assert_eq!(hashes(&some), hashes(&turned));
        let (pages, counts) = of(&some);
        assert_eq!((pages.len(), counts), (7, [1, 450, 450]));
        assert!(pages.iter().all(|p| p.items.as_ref().is_some_and(|i| i.len() <= 200)));
        let grown = inventory((1..=451).map(account).collect());
        let differing = hashes(&some).iter().zip(hashes(&grown)).filter(|(a, b)| *a != b).count();
        assert_eq!(differing, 2, "the last page of accounts and that of permissions");
    }

    #[test]
    fn a_permission_of_a_grant_names_it() {
        let mut one = inventory(vec![account(1)]);
        let key = (account(1).id, RoleName::new("Help Desk").unwrap());
        one.jit.insert(key, GrantId::new("g1").unwrap());
        let text = serde_json::to_string(&of(&one).0).unwrap();
        assert!(text.contains(r#""type":"jit","grant_id":"g1""#), "{text}");
    }
}
