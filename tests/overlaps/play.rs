//! Plays a case with the engine and holds what JumpCloud showed, at every instant, against the model.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::engine::{
    codes::{EndReason, ResultCode},
    ids::{AccountId, GrantId, JobId},
    input::Input,
    job::{Ask, Target},
    record::Record,
    settings::RoleMode,
    time::{Millis, Timestamp},
};

use super::{
    case::{Case, Deed},
    cases::{Verdict, shrunk},
    model::{self, Decision, Model, NAMES, Roles},
    world::{START, World, email},
};

/// From when on after a change of the live grants JumpCloud must show what the model says: 2 s until the first
/// attempt, a few slow calls, one look again.
const QUIET: u64 = 10_000;
/// For how long after a raise reads are not believed to show it, and so cannot prove its end.
const UNPROVEN: u64 = 15_000;
const ADDRESS: &str = "ada@example.com";

pub(crate) struct Played {
    pub(crate) world: World,
    account: AccountId,
    /// Boot time at the start of the case.
    zero: u64,
    jobs: BTreeMap<JobId, Deed>,
    grants: BTreeMap<GrantId, usize>,
    /// Revocations: how many records there were before, when, of which grant.
    revoked: Vec<(usize, u64, usize)>,
}

pub(crate) fn judge(number: u64) -> Verdict {
    let (played, failure, mut seen) = tried(&Case::new(number));
    seen.insert("writes", played.world.cloud.writes);
    Verdict { seen, failure }
}

/// The story of the fewest deeds that still fail.
pub(crate) fn tell(number: u64) -> String {
    let case = Case::new(number);
    let fails = |deeds: &[_]| tried(&Case { deeds: deeds.to_vec(), ..case.clone() }).1.is_some();
    let least = Case { deeds: shrunk(case.deeds.clone(), fails), ..case };
    let (played, failure, _) = tried(&least);
    format!("{}\nzero is {}\n{least:?}\n{}", played.world.story(), played.zero, failure.unwrap_or_default())
}

fn tried(case: &Case) -> (Played, Option<String>, BTreeMap<&'static str, u64>) {
    let played = play(case);
    let mut judge = Judge::new(case, &played);
    judge.whole();
    let (mut faults, seen) = (judge.faults, judge.seen);
    faults.extend(played.world.witness.violations.iter().map(|violation| format!("{violation:?}")));
    (played, faults.first().map(|_| faults.join("\n")), seen)
}

fn play(case: &Case) -> Played {
    let mut world = World::new(if case.single { RoleMode::Single } else { RoleMode::Multiple });
    (world.latency, world.disk) = (case.latency, case.disk);
    let account = world.hire(ADDRESS, &case.baseline);
    world.witness.aimed_at.insert(account.clone());
    world.start();
    world.run(5_000);
    let zero = world.now.boot.0;
    let (jobs, grants, revoked) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut played = Played { world, account, zero, jobs, grants, revoked };
    let mut last = 0;
    for (at, deed) in &case.deeds {
        let wait = at - played.now();
        played.world.run(wait);
        last = last.max(played.does(*deed));
    }
    let rest = last.saturating_sub(played.now()) + 120_000;
    played.world.run(rest);
    played
}

impl Played {
    /// Milliseconds since the start of the case.
    fn now(&self) -> u64 {
        self.world.now.boot.0 - self.zero
    }

    fn since_start(&self, at: Timestamp) -> u64 {
        u64::try_from(at.0 - START).unwrap() + 1_000_000 - self.zero
    }

    /// Until when its effect may last.
    fn does(&mut self, deed: Deed) -> u64 {
        let id_of = |played: &Self, grant| {
            let same = |(_, known): &(&GrantId, &usize)| **known == grant;
            played.grants.iter().find(same).map(|(id, _)| id.clone())
        };
        let now = self.now();
        let job = match deed {
            Deed::Ask { grant, role, length, until } => {
                let (mut job, id) = self.world.grant_job(Target::Email(email(ADDRESS)), NAMES[role], 1);
                if let Ask::Grant(ask, _) = &mut job.ask {
                    ask.duration = Millis(length);
                    let zero = self.world.now.wall.0 - i64::try_from(now).unwrap();
                    ask.until = until.map(|until| Timestamp(zero) + Millis(until));
                }
                self.grants.insert(id, grant);
                job
            }
            Deed::Extend { grant, length } => match id_of(self, grant) {
                Some(id) => self.world.extend_job(&id, length),
                None => return now,
            },
            Deed::Revoke { grant } => {
                if let Some(id) = id_of(self, grant) {
                    self.revoked.push((self.world.all.len(), now, grant));
                    self.world.revoke(&id);
                }
                return now;
            }
        };
        self.jobs.insert(job.id.clone(), deed);
        self.world.input(Input::Job(Box::new(job)));
        now + match deed {
            Deed::Ask { until: Some(until), .. } => until.saturating_sub(now),
            Deed::Ask { length, .. } | Deed::Extend { length, .. } => length + 60_000,
            Deed::Revoke { .. } => 0,
        }
    }

    /// What JumpCloud showed when: each change, and what was there before.
    fn shown(&self) -> Vec<(u64, Roles)> {
        let ours = self.world.cloud.history.iter().filter(|(_, id, _)| *id == self.account);
        ours.map(|(at, _, roles)| {
            let names: Vec<String> = roles.iter().flatten().map(ToString::to_string).collect();
            (at.saturating_sub(self.zero), model::set(&names))
        })
        .collect()
    }
}

struct Judge<'a> {
    played: &'a Played,
    model: Model,
    /// When each grant was read back, and which role it carries.
    active: BTreeMap<usize, (u64, usize)>,
    ends: BTreeMap<usize, u64>,
    /// Asked for and revoked before anything was decided.
    withdrawn: BTreeSet<usize>,
    decided: BTreeSet<usize>,
    /// Whose ending the journal tells already.
    ended: BTreeSet<usize>,
    faults: Vec<String>,
    seen: BTreeMap<&'static str, u64>,
}

impl<'a> Judge<'a> {
    fn new(case: &Case, played: &'a Played) -> Self {
        Self {
            played,
            model: Model::new(case.single, model::set(&case.baseline)),
            active: BTreeMap::new(),
            ends: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            decided: BTreeSet::new(),
            ended: BTreeSet::new(),
            faults: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    fn whole(&mut self) {
        let mut revoked = self.played.revoked.iter().peekable();
        for (n, entry) in self.played.world.all.iter().enumerate() {
            while let Some((_, at, grant)) = revoked.next_if(|(before, ..)| *before <= n) {
                self.revoke(*at, *grant);
            }
            if !self.faults.is_empty() {
                return; // after a wrong decision the model knows nothing
            }
            let at = entry.at.0 - START + 1_000_000;
            if at >= i64::try_from(self.played.zero).unwrap() {
                self.hears(self.played.since_start(entry.at), &entry.record);
            }
        }
        revoked.for_each(|(_, at, grant)| self.revoke(*at, *grant));
        self.model.pass(u64::MAX);
        self.everybody_was_answered();
        self.shows_what_the_model_says();
        self.no_gap();
        self.no_needless_write();
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn revoke(&mut self, at: u64, grant: usize) {
        self.model.pass(at);
        if self.model.end_of(grant).is_some() {
            self.model.revokes(at, grant);
            self.ends.insert(grant, at);
            self.saw("revoked early");
        } else if !self.decided.contains(&grant) {
            self.withdrawn.insert(grant);
        }
    }

    fn hears(&mut self, at: u64, record: &Record) {
        let of = |id: &GrantId| self.played.grants.get(id).copied().unwrap();
        match record {
            Record::GrantAccepted(terms) => {
                self.decided(at, &terms.job, ResultCode::Granted, Some(terms.ends_at));
            }
            Record::JobAnswered(answer) | Record::JobRefused(answer) => {
                self.decided(at, &answer.job, answer.code, None);
            }
            Record::GrantExtended(extended) => {
                self.decided(at, &extended.job, ResultCode::Extended, Some(extended.end.at));
            }
            Record::ExtensionDropped(dropped) => self.decided(at, &dropped.job, dropped.code, None),
            Record::GrantActive(active) => {
                let role = NAMES.iter().position(|name| *name == active.about.role.to_string()).unwrap();
                self.active.insert(of(&active.about.grant), (at, role));
            }
            Record::GrantEnding(ending) => {
                self.ended.insert(of(&ending.about.grant));
                let end = self.ends.get(&of(&ending.about.grant)).copied();
                if ending.reason == EndReason::Failed && end.is_none_or(|end| at < end) {
                    self.faults.push(format!("{at}: {} fails and nothing is wrong", ending.about.grant));
                }
            }
            Record::RevocationOverdue { about, .. } | Record::GrantReappeared { about, .. } => {
                self.faults.push(format!("{at}: {} of {}, and nothing is wrong", record.kind(), about.grant));
            }
            _ => {}
        }
    }

    /// The engine decides; the model says how.
    fn decided(&mut self, at: u64, job: &JobId, code: ResultCode, end: Option<Timestamp>) {
        let end = end.map(|end| self.played.since_start(end));
        match self.played.jobs.get(job) {
            Some(Deed::Ask { grant, role, length, until }) => {
                // In the very millisecond of another's end the journal's order says which was first.
                self.model.pass(if self.model.ends_at(at, &self.ended) { at - 1 } else { at });
                let due = (at + length).min(until.unwrap_or(u64::MAX));
                if due <= at {
                    return self.expect(at, code != ResultCode::Granted, "granted after its end");
                }
                self.asked(at, (*grant, *role, due), code);
                self.expect(at, end.is_none_or(|end| end == due), "another end than was asked for");
            }
            Some(Deed::Extend { grant, length }) => {
                self.model.pass(at);
                self.extended(at, (*grant, *length), code, end);
            }
            _ => {}
        }
    }

    fn asked(&mut self, at: u64, (grant, role, due): (usize, usize, u64), code: ResultCode) {
        self.decided.insert(grant);
        if self.withdrawn.contains(&grant) {
            self.saw("revoked before it was decided");
            return self.expect(at, code == ResultCode::Cancelled, &format!("{grant} was revoked: {code}"));
        }
        let right = match self.model.decides(role) {
            Decision::Granted => code == ResultCode::Granted,
            Decision::AlreadyGranted => code == ResultCode::AlreadyGranted,
            Decision::Either => matches!(code, ResultCode::Granted | ResultCode::AlreadyGranted),
            Decision::Conflict => code == ResultCode::Conflict,
        };
        let (model, name) = (self.model.decides(role), NAMES[role]);
        self.expect(at, right, &format!("{name} for {grant}: {code}, the model says {model:?}"));
        match code {
            ResultCode::Granted => {
                let before = self.model.changes.last().unwrap().1;
                self.model.starts(at, grant, role, due);
                self.ends.insert(grant, due);
                self.saw(if model::covers(before, role) { "counted" } else { "raised" });
            }
            ResultCode::Conflict => self.saw("conflict"),
            _ => self.saw("already granted"),
        }
    }

    fn extended(&mut self, at: u64, (grant, length): (usize, u64), code: ResultCode, end: Option<u64>) {
        let old = self.model.end_of(grant);
        if let Some(end) = end {
            let later = old.is_some_and(|old| old < end && end <= at + length && at <= end - length + QUIET);
            self.expect(at, later, &format!("{grant} extended to {end} from {old:?}"));
            self.model.extends(at, grant, end);
            self.ends.insert(grant, end);
            self.saw("extended");
        } else {
            let too_late = code == ResultCode::TooLate;
            self.expect(at, !too_late || old.is_none(), &format!("{grant} is live: {code}"));
            self.saw(if too_late { "too late to extend" } else { "extension refused" });
        }
    }

    fn expect(&mut self, at: u64, right: bool, what: &str) {
        if !right {
            self.faults.push(format!("{at}: {what}"));
        }
    }

    fn everybody_was_answered(&mut self) {
        for (job, deed) in &self.played.jobs {
            let answers = self.played.world.answers.get(job).map_or(0, Vec::len);
            self.expect(0, answers == 1, &format!("{job} has {answers} answers: {deed:?}"));
        }
    }

    /// At every instant at which nothing has changed for a while, JumpCloud shows what the model says.
    fn shows_what_the_model_says(&mut self) {
        let shown = self.played.shown();
        let changes = self.model.changes.clone();
        let end = self.played.now();
        for (n, (at, due)) in changes.iter().enumerate() {
            let until = changes.get(n + 1).map_or(end, |(next, _)| *next);
            if at + QUIET >= until {
                continue;
            }
            self.saw("quiet spans");
            for (at, found) in during(&shown, at + QUIET, until) {
                if found != *due {
                    let (found, due) = (model::names(found), model::names(*due));
                    self.faults.push(format!("{at}: shows {found:?}, the model says {due:?}"));
                }
            }
        }
    }

    /// From its read-back to its end a grant's access is there, whatever begins and ends beside it.
    fn no_gap(&mut self) {
        let shown = self.played.shown();
        for (grant, (from, role)) in self.active.clone() {
            let until = self.ends.get(&grant).copied().unwrap_or(u64::MAX).min(self.played.now());
            let gap = during(&shown, from, until).into_iter().find(|(_, found)| !model::covers(*found, role));
            if let Some((at, found)) = gap {
                self.faults.push(format!("{at}: {grant} is live, shown is {:?}", model::names(found)));
            }
        }
    }

    /// There are no more writes than there are changes to make: the baseline is restored once. Only where an
    /// ending is not proven yet (reads may show what was before the raise), what is there may be written again.
    fn no_needless_write(&mut self) {
        let mut due: Vec<Roles> = self.model.changes.iter().map(|(_, roles)| *roles).collect();
        due.dedup();
        let due = due.len() - 1;
        let shown = self.played.shown();
        let same = shown.windows(2).filter(|pair| pair[0].1 == pair[1].1).map(|pair| pair[1].0);
        let unproven = |at: u64| self.ends.values().any(|end| *end <= at && at <= end + UNPROVEN);
        let (again, vain): (Vec<u64>, Vec<u64>) = same.partition(|at| unproven(*at));
        let changes = shown.len() - 1 - again.len() - vain.len();
        self.expect(0, vain.is_empty(), &format!("at {vain:?} a write changed nothing"));
        self.expect(0, changes <= due, &format!("{changes} writes where {due} would do"));
        *self.seen.entry("written again to be sure").or_default() += u64::try_from(again.len()).unwrap();
    }
}

/// What is shown from an instant on (as it was before it) and each change until another one.
fn during(shown: &[(u64, Roles)], from: u64, until: u64) -> Vec<(u64, Roles)> {
    let before = shown.iter().rfind(|(at, _)| *at <= from).map(|(_, roles)| (from, *roles));
    before.into_iter().chain(shown.iter().filter(|(at, _)| *at > from && *at < until).copied()).collect()
}
