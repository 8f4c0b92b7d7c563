//! What is not well, the worst first, and what to do about it.
//!
//! Refuses to call well what only looks quiet: a pause of raises without a known reason is a problem.

use crate::admin::view::StatusView;

/// A key that ends within so many days is a problem.
const SOON: i64 = 14;

/// What a person should do something about, or should know.
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) advice: String,
}

/// The answer.
#[derive(Default)]
pub(super) struct Verdict {
    /// Things that need a person.
    bad: Vec<Problem>,
    /// Things that somebody chose, and that keep the agent from granting.
    chosen: Vec<Problem>,
}

/// Pauses that have their own words below.
const EXPLAINED: [&str; 5] = [
    "the journal cannot be written",
    "the clocks disagree",
    "an operator froze them",
    "there is no readable policy",
    "the policy is in dry run",
];

impl Verdict {
    pub(super) fn headline(&self) -> String {
        match (self.bad.len(), self.chosen.is_empty()) {
            (0, true) => "All is well.".to_owned(),
            (0, false) => "All is well, and nothing is granted:".to_owned(),
            (1, _) => "NOT WELL: one thing needs a person.".to_owned(),
            (n, _) => format!("NOT WELL: {n} things need a person."),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Problem> {
        self.bad.iter().chain(&self.chosen)
    }

    fn bad(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.bad.push(Problem { what: what.into(), advice: advice.into() });
    }

    fn chosen(&mut self, what: impl Into<String>, advice: &str) {
        self.chosen.push(Problem { what: what.into(), advice: advice.to_owned() });
    }
}

/// Judges.
pub(super) fn of(status: &StatusView) -> Verdict {
    let mut found = Verdict::default();
    access(status, &mut found);
    if !status.ledger.ok {
        found.bad(
            "the journal cannot be written: nothing is granted",
            "free the disk; the log says what failed",
        );
    }
    integrations(status, &mut found);
    contact(status, &mut found);
    if !status.clock.trusted {
        found.bad(
            "the clocks disagree: nothing is granted",
            "check NTP; `ephemerald check` shows the difference",
        );
    }
    policy(status, &mut found);
    if let Some(frozen) = &status.frozen {
        let what = if frozen.draining { "draining" } else { "frozen" };
        let why = frozen.reason.as_deref().unwrap_or("no reason given");
        let what = format!("{what} since {} by uid {}: {why}", frozen.since, frozen.by_uid);
        found.chosen(what, "root: `ephemerald thaw` when it is over");
    }
    found
}

fn access(status: &StatusView, found: &mut Verdict) {
    let grants = &status.grants;
    if grants.overdue > 0 {
        found.bad(
            format!("{} past the end and not proven gone", access_of(grants.overdue)),
            "`ephemerald grants list --overdue`, then JumpCloud's console",
        );
    }
    if grants.abandoned > 0 {
        found.bad(
            format!("{} given up by an operator and may remain", access_of(grants.abandoned)),
            "take the role away in JumpCloud's console",
        );
    }
}

fn access_of(count: u64) -> String {
    if count == 1 {
        "the access of 1 grant is".to_owned()
    } else {
        format!("the access of {count} grants is")
    }
}

fn integrations(status: &StatusView, found: &mut Verdict) {
    for integration in &status.integrations {
        let name = &integration.name;
        if let Some(days @ ..SOON) = integration.key_days_left {
            let advice = "make a new one and put it where the connection comes from; without it no access can be taken away";
            let when = if days < 0 { "has ended".to_owned() } else { format!("ends in {days} days") };
            found.bad(format!("integration {name}: its key {when}"), advice);
        }
        if let Some(why) = &integration.raises_paused {
            let advice = format!("`ephemerald check`; until then nothing is granted in {name}");
            found.bad(format!("integration {name}: {why}"), advice);
        } else if !integration.reachable {
            let advice = "endings there are tried on; `ephemerald check` says what is in the way";
            found.bad(format!("integration {name}: JumpCloud does not answer"), advice);
        }
    }
}

fn contact(status: &StatusView, found: &mut Verdict) {
    let plane = &status.control_plane;
    if !status.enrolled {
        found.bad(
            "the agent is not enrolled: it gets no jobs",
            "`ephemerald enroll`, then restart the daemon",
        );
    } else if !plane.connected {
        let why = plane.error.as_deref().unwrap_or("no answer yet");
        found.bad(
            format!("the control plane does not answer: {why}"),
            "live grants end on time all the same; `ephemerald check`",
        );
    }
}

fn policy(status: &StatusView, found: &mut Verdict) {
    let policy = &status.policy;
    match (&policy.error, policy.loaded) {
        (Some(error), true) => {
            let advice = "mend the file and reload; the policy from before is in force";
            found.bad(format!("the policy file is refused: {error}"), advice);
        }
        (error, false) => {
            let why = error.as_deref().unwrap_or("there is none");
            found.bad(format!("no policy, nothing is granted: {why}"), "mend the file and reload");
        }
        (None, true) => {}
    }
    for pause in &status.raises_paused {
        if pause == "the policy is in dry run" {
            found.chosen(
                "the policy is in dry run: jobs are planned and not done",
                "mode = \"enforce\" in the policy file",
            );
        } else if !EXPLAINED.contains(&pause.as_str()) {
            found.bad(format!("nothing is granted: {pause}"), "see the log");
        }
    }
}
