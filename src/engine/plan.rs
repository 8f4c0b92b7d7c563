//! What an account should look like, and the least that must be written to get there.
//!
//! Pure functions over role sets; both role modes. Refuses to compute an ending that would hand out
//! anything that is not there already, or was not displaced by us: see [`Ending::Escalate`].

use super::{
    ids::RoleName,
    planted::{self, Planted},
    roles::RoleOrder,
    settings::RoleMode,
};

/// Everything that an ending is computed from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// One role per administrator, or several.
    pub mode: RoleMode,
    /// The order in force.
    pub order: &'a RoleOrder,
    /// C: the roles read just now.
    pub observed: &'a [RoleName],
    /// The roles the account has when none of our grants touches it.
    pub baseline: &'a [RoleName],
    /// Roles of the grants that go on.
    pub live: &'a [RoleName],
    /// Roles that are ours to take away: in single mode everything that an attempt of ours sent
    /// (as far as the watch still counts it), in multiple mode the roles of ended grants and of
    /// ambiguous attempts.
    pub ours: &'a [RoleName],
    /// Roles that a raise of ours displaced.
    pub displaced: &'a [RoleName],
    /// A role of ours here could change administrators: its holder is not believed.
    pub suspicious: bool,
    /// The least role.
    pub floor: &'a RoleName,
}

/// What has to happen so that nothing of ours remains beyond the live grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing beyond what should be there.
    Clean,
    /// A person changed the account beyond us; nothing of ours remains to be taken away.
    Superseded,
    /// Write exactly these roles.
    Write(Vec<RoleName>),
    /// Something of ours is there and no write is allowed that would take it away without giving
    /// something new. A person has to look; it is tried again after every read.
    Escalate,
}

/// The roles that the account should have: the highest of baseline and live grants in single mode,
/// their union in multiple mode.
#[must_use]
pub fn desired(mode: RoleMode, order: &RoleOrder, baseline: &[RoleName], live: &[RoleName]) -> Vec<RoleName> {
    let mut all: Vec<RoleName> = baseline.iter().chain(live).cloned().collect();
    all.sort();
    all.dedup();
    match mode {
        RoleMode::Multiple => all,
        RoleMode::Single => order.highest(&all),
    }
}

/// Computes an ending (design: "Ending a grant").
#[must_use]
pub fn ending(view: &View<'_>) -> Ending {
    if matches!(view.observed, [only] if only == view.floor) {
        return Ending::Clean; // the least that anybody can be left with: no write leads lower
    }
    match view.mode {
        RoleMode::Single => single(view),
        RoleMode::Multiple => multiple(view),
    }
}

/// The roles to write so that `role` is added, or why that cannot be.
///
/// # Errors
/// [`Incomparable`] in single mode when the new role does not cover what is there.
pub fn raise(
    mode: RoleMode,
    order: &RoleOrder,
    observed: &[RoleName],
    role: &RoleName,
) -> Result<Vec<RoleName>, Incomparable> {
    match mode {
        RoleMode::Multiple => {
            let mut write = observed.to_vec();
            write.push(role.clone());
            write.sort();
            write.dedup();
            Ok(write)
        }
        RoleMode::Single if observed.iter().all(|have| order.covers(role, have)) => Ok(vec![role.clone()]),
        RoleMode::Single => Err(Incomparable),
    }
}

/// The wanted role and what is there do not compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incomparable;

/// Whether a human's hand explains `observed`: neither the baseline nor any attempt of ours does.
///
/// Where single mode shows several roles, each is judged by itself: a write of ours may have been added
/// to what was there instead of replacing it (what JumpCloud makes of one is not published).
#[must_use]
pub fn is_human_edit(
    mode: RoleMode,
    observed: &[RoleName],
    baseline: &[RoleName],
    ever_sent: &[RoleName],
) -> bool {
    let stranger = |r: &RoleName| !baseline.contains(r) && !is_among(ever_sent, r);
    match (mode, observed) {
        (RoleMode::Single, [only]) => !is_among(ever_sent, only) && !same_set(observed, baseline),
        (RoleMode::Single, _) => observed.iter().any(stranger),
        (RoleMode::Multiple, _) => {
            observed.iter().any(stranger) || baseline.iter().any(|r| !observed.contains(r))
        }
    }
}

/// The baseline that a human's edit leaves behind.
#[must_use]
pub fn edited_baseline(
    mode: RoleMode,
    observed: &[RoleName],
    baseline: &[RoleName],
    ever_sent: &[RoleName],
) -> Vec<RoleName> {
    match (mode, observed) {
        (RoleMode::Single, [_]) => observed.to_vec(),
        _ => observed.iter().filter(|r| baseline.contains(r) || !is_among(ever_sent, r)).cloned().collect(),
    }
}

fn single(view: &View<'_>) -> Ending {
    let target = desired(view.mode, view.order, view.baseline, view.live);
    if view.order.all_covered(&target, view.observed) {
        return Ending::Clean;
    }
    if view.observed.len() > 1 {
        return several(view, &target);
    }
    let explained = matches!(view.observed, [only] if is_among(view.ours, only));
    if !explained && !view.suspicious {
        return Ending::Superseded;
    }
    write_or_floor(view, &target, target.len() == 1)
}

/// Single mode, and several roles are there: a person added one, or JumpCloud did with a write of ours
/// something else than replacing. What is ours goes, what a person gave stays.
fn several(view: &View<'_>, target: &[RoleName]) -> Ending {
    let excess =
        |r: &RoleName| !view.order.any_covers(target, r) && (view.suspicious || is_among(view.ours, r));
    if !view.observed.iter().any(excess) {
        return Ending::Superseded;
    }
    let nothing_else = view.observed.iter().all(excess);
    let rest = without(view, excess);
    if nothing_else || (target.len() == 1 && view.order.all_covered(target, &rest)) {
        return write_or_floor(view, target, target.len() == 1);
    }
    write_or_floor(view, &rest, true)
}

fn multiple(view: &View<'_>) -> Ending {
    let target = desired(view.mode, view.order, view.baseline, view.live);
    let excess = |r: &RoleName| !target.contains(r) && (view.suspicious || is_among(view.ours, r));
    if !view.observed.iter().any(excess) {
        return Ending::Clean;
    }
    write_or_floor(view, &without(view, excess), true)
}

/// What is there without the excess; a live grant that was carried by it keeps what is its own.
fn without(view: &View<'_>, excess: impl Fn(&RoleName) -> bool) -> Vec<RoleName> {
    let mut rest: Vec<RoleName> = view.observed.iter().filter(|r| !excess(r)).cloned().collect();
    let carried = |r: &&RoleName| view.order.any_covers(view.observed, r) && !view.order.any_covers(&rest, r);
    let own: Vec<RoleName> = view.live.iter().filter(carried).cloned().collect();
    rest.extend(own);
    rest.sort();
    rest.dedup();
    rest
}

/// Whether a role is one of `ours`. Whether JumpCloud minds the case of a role's name is not known, so
/// it may show what we sent in its own spelling: what is taken away is judged without regard to case.
fn is_among(ours: &[RoleName], role: &RoleName) -> bool {
    ours.iter().any(|sent| sent.as_str().eq_ignore_ascii_case(role.as_str()))
}

/// `a_revocation_never_raises`: each role written is there, ranks at or below one that is there, or
/// was displaced by us and belongs to baseline or live grants.
/// `fits`: the mode has room for so many roles.
fn write_or_floor(view: &View<'_>, target: &[RoleName], fits: bool) -> Ending {
    let given_back =
        |r: &RoleName| view.displaced.contains(r) && (view.baseline.contains(r) || view.live.contains(r));
    let allowed = |r: &RoleName| {
        view.order.any_covers(view.observed, r) || given_back(r) || planted::is(Planted::MayRaise)
    };
    if fits && !target.is_empty() && target.iter().all(allowed) {
        return Ending::Write(target.to_vec());
    }
    if view.order.any_covers(view.observed, view.floor) && !view.observed.contains(view.floor) {
        return Ending::Write(vec![view.floor.clone()]);
    }
    Ending::Escalate
}

fn same_set(a: &[RoleName], b: &[RoleName]) -> bool {
    a.len() == b.len() && a.iter().all(|r| b.contains(r))
}
