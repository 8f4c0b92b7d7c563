//! Judges the inventory that the control plane got: one that says that it is complete misses nobody, and
//! nobody has a role in it that JumpCloud did not show.
//!
//! Looks only at accounts that were there and unchanged from beginning to end.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::{control::wire::PageKind, sandbox::control_plane::InventoryView};
use serde_json::Value;

use crate::{model::same, oracle::Case, stories::Story};

impl Case<'_> {
    /// Whether the inventory says of itself that nobody is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.happened.inventory.as_ref().is_some_and(|view| view.complete && view.missing == 0)
    }

    pub(crate) fn inventoried(&self, wrong: &mut Vec<String>) {
        let synced = self.told(Story::Sync).iter().any(|told| told.code() == "synced");
        let Some(view) = self.happened.inventory.as_ref().filter(|_| synced) else {
            if synced {
                wrong.push("synced, and the control plane has no inventory".to_owned());
            }
            return;
        };
        let listed: BTreeSet<&str> =
            things(view, PageKind::Accounts, "account").map(|a| text(a, "id")).collect();
        let mut permissions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for permission in things(view, PageKind::Permissions, "permission") {
            permissions
                .entry(text(permission, "account"))
                .or_default()
                .push(text(permission, "role").to_owned());
        }
        for (id, life) in
            self.truth.lives.iter().filter(|(_, life)| !life.has_changed() && life.first().is_some())
        {
            if !listed.contains(id.as_str()) {
                if self.is_complete() {
                    wrong
                        .push(format!("the inventory is said to be complete, and {} is missing", life.email));
                }
                continue;
            }
            let shown = self.model.shown(life.first().unwrap());
            let told = permissions.get(id.as_str()).map_or(&[][..], Vec::as_slice);
            if !same(told, &shown) {
                wrong
                    .push(format!("{} is shown with {shown:?}, and the inventory says {told:?}", life.email));
            }
        }
    }
}

fn things<'v>(view: &'v InventoryView, kind: PageKind, what: &'v str) -> impl Iterator<Item = &'v Value> {
    view.pages
        .iter()
        .filter(move |page| page.kind == kind)
        .flat_map(|page| &page.items)
        .map(move |item| &item[what])
}

fn text<'v>(item: &'v Value, key: &str) -> &'v str {
    item[key].as_str().unwrap_or_default()
}
