//! Lives of grants, each left in another state: what the corpus holds.

use ephemerald::engine::{
    account::AccountKey,
    ids::{AccountId, GrantId, JobId, OrgId, Remark},
    input::Input,
    order::{Deed, Order, Peer},
    recovery::{Believed, Cause, Claim, Finding, Held, Problem, Source, Told},
    settings::RoleMode,
    time::Timestamp,
};

use crate::world::{Fate, ORG, START, World, email, jc, open_policy, role};

const MINUTE: u64 = 60_000;
const ADA: &str = "ada@example.com";

/// One life up to the moment at which its ledger is kept.
pub(crate) struct Life {
    pub(crate) name: &'static str,
    pub(crate) mode: RoleMode,
    pub(crate) live: fn(&mut World),
    /// Who holds what at the end; everybody else holds what they held, who is ephemeral is gone.
    pub(crate) after: &'static [(&'static str, &'static str)],
}

/// All of them.
pub(crate) fn all() -> Vec<Life> {
    [young(), old(), ephemeral(), stopped(), found()].into_iter().flatten().collect()
}

/// Everybody is back where they were at the end.
const fn one(name: &'static str, live: fn(&mut World)) -> Life {
    Life { name, mode: RoleMode::Single, live, after: &[(ADA, "Read Only")] }
}

fn young() -> Vec<Life> {
    vec![
        one("waiting", |w| drop(granted(w, 5))),
        one("applying", |w| {
            w.latency = 300;
            granted(w, 1);
            while w.cloud.raises_applied == 0 {
                let next = w.now.boot.0 + 1_000;
                w.step(next);
            }
        }),
        one("indeterminate", |w| {
            w.fates = vec![Fate::AnswerLost];
            granted(w, 150);
            w.down = true;
            w.run(30_000);
        }),
        one("active", |w| drop(granted(w, 10_000))),
        one("overlapping", |w| {
            granted(w, 5_000);
            w.grant(ADA, "Administrator", 90);
            w.run(5_000);
        }),
        one("extended", |w| {
            let grant = granted(w, 5_000);
            w.extend(&grant, 90 * MINUTE);
            w.run(5_000);
        }),
    ]
}

fn old() -> Vec<Life> {
    vec![
        one("revoking", |w| {
            let grant = granted(w, 5_000);
            w.default_fate = Fate::Dropped;
            w.revoke(&grant);
            w.run(10_000);
        }),
        one("settling", |w| {
            granted(w, 30 * MINUTE + 5_000);
        }),
        one("ended", |w| drop(granted(w, 40 * MINUTE))),
        one("closed", |w| drop(granted(w, 26 * 60 * MINUTE))),
    ]
}

fn ephemeral() -> Vec<Life> {
    vec![
        one("ephemeral_in_doubt", |w| {
            w.hire(ADA, &["Read Only"]);
            w.fates = vec![Fate::AnswerLost];
            w.grant_ephemeral(30, "Help Desk");
            w.run(60);
            w.down = true;
            w.run(5_000);
        }),
        one("ephemeral_live", |w| {
            w.hire(ADA, &["Read Only"]);
            w.grant_ephemeral(30, "Help Desk");
            w.run(5_000);
        }),
        one("ephemeral_leaving", |w| {
            w.hire(ADA, &["Read Only"]);
            w.grant_ephemeral(30, "Help Desk");
            w.run(5_000);
            w.default_fate = Fate::Dropped;
            w.run(31 * MINUTE);
        }),
    ]
}

fn stopped() -> Vec<Life> {
    vec![
        one("frozen", |w| {
            granted(w, 5_000);
            orders(w, Deed::Freeze);
        }),
        one("draining", |w| {
            granted(w, 5_000);
            orders(w, Deed::Drain);
        }),
        one("revoke_only", |w| {
            granted(w, 5_000);
            let id = w.cloud.by_email(ADA).unwrap();
            doubted(w);
            let claims = vec![claim(&id)];
            w.input(Input::Believed(Believed { claims, answered: true, complete: true }));
            w.run(5_000);
        }),
        Life { name: "several_roles", mode: RoleMode::Multiple, ..one("", |w| drop(granted(w, 5_000))) },
    ]
}

/// What no job of this ledger began.
fn found() -> Vec<Life> {
    vec![
        one("adopted", |w| {
            let id = w.hire(ADA, &["Read Only"]);
            w.human_sets(&id, &["Manager"]);
            doubted(w);
            let claims = vec![Told::Proven(Box::new(held(&id)))];
            w.input(Input::Believed(Believed { claims, answered: true, complete: true }));
            w.run(5_000);
        }),
        one("orphan", |w| {
            w.hire(ADA, &["Read Only"]);
            let now = w.now.boot.0;
            w.cloud.add(now, email("visitor+tag9@example.com"), vec![role("Manager")]);
            let mut policy = open_policy();
            policy.ephemeral.as_mut().unwrap().delete_unknown = true;
            w.policy = Some(policy.clone());
            w.input(Input::Policy(Some(Box::new(policy))));
            w.default_fate = Fate::Dropped;
            w.run(30 * MINUTE);
        }),
    ]
}

fn granted(w: &mut World, ms: u64) -> GrantId {
    w.hire(ADA, &["Read Only"]);
    let grant = w.grant(ADA, "Manager", 30);
    w.run(ms);
    grant
}

fn orders(w: &mut World, deed: Deed) {
    let by = Peer { uid: 1000, gid: 1000, pid: Some(4711) };
    w.input(Input::Operator(deed, Order { by, remark: Some(Remark::new("incident 4711").unwrap()) }));
    w.run(5_000);
}

fn doubted(w: &mut World) {
    let detail = "a copy of it runs".to_owned();
    let mark = "replaced:7".to_owned();
    w.input(Input::LedgerFinding(Finding { cause: Cause::Copied, mark, detail, base: 0 }));
}

/// A receipt of our key for a grant that this ledger never knew.
fn held(id: &AccountId) -> Held {
    Held {
        grant: GrantId::new("g-adopted").unwrap(),
        job: JobId::new("job-of-g-adopted").unwrap(),
        integration: jc(),
        org: Some(OrgId::new(ORG).unwrap()),
        account: AccountKey::Standing(id.clone()),
        id: id.clone(),
        email: email(ADA),
        role: role("Manager"),
        baseline: vec![role("Read Only")],
        plural: false,
        ends_at: Timestamp(START + 3_600_000),
    }
}

fn claim(id: &AccountId) -> Told {
    Told::Claimed(Box::new(Claim {
        grant: GrantId::new("g-claimed").unwrap(),
        integration: jc(),
        account: Some(id.clone()),
        email: Some(email(ADA)),
        role: Some(role("Manager")),
        ends_at: Some(Timestamp(START)),
        source: Source::ControlPlane,
        problem: Problem::BadReceipt,
    }))
}
