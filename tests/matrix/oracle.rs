//! Judges a cell by the simulator's true log: what the agent says must be so, and what it gave must
//! be gone.
//!
//! The one thing that it forgives is access that no write could take away: that follows from the
//! switches (see `model.rs`), never from what the agent did, and the agent must have called a person.

use std::collections::BTreeMap;

use ephemerald::sandbox::jumpcloud::{Entry, Event, Received};
use serde_json::Value;

use crate::{
    grid::Cell,
    model::Model,
    play::{Happened, Job, results},
    standing::Standing,
    stories::{Kind, Story},
    truth::{Life, Truth},
};

/// How late access may go after it is due, when JumpCloud answers: the contract's bound.
const BOUND_MS: i64 = 30_000;
/// The same where JumpCloud refuses requests because there are too many.
const LIMITED_MS: i64 = 90_000;
/// More writes than this to one account, and the agent runs in circles.
const WRITES: usize = 20;
/// What a cell came to.
pub(crate) struct Verdict {
    /// The outcome of each story, in the words of the table.
    pub(crate) words: BTreeMap<Story, String>,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
    /// Whether grants are hindered and the grid does not say so, or the reverse.
    pub(crate) misplaced: bool,
}

/// A cell under judgement.
pub(crate) struct Case<'a> {
    pub(crate) model: Model<'a>,
    pub(crate) happened: &'a Happened,
    pub(crate) truth: Truth<'a>,
    /// How late access may go after it is due.
    bound_ms: i64,
}

/// One grant as the agent reported it.
pub(crate) struct Told<'a> {
    pub(crate) job: &'a Job,
    pub(crate) role: &'static str,
    pub(crate) result: Option<&'a Value>,
    pub(crate) ended: Option<&'a Value>,
}

pub(crate) fn judge(cell: &Cell, happened: &Happened) -> Verdict {
    let truth = Truth::of(&happened.before, &happened.log, &happened.roles);
    let bound_ms = if cell.switches.rate_limit == 0 { BOUND_MS } else { LIMITED_MS };
    let case = Case { model: Model(&cell.switches), happened, truth, bound_ms };
    let mut wrong = happened.undescribed.clone();
    if happened.unfinished {
        let held = happened.held.iter().map(|grant| format!("{} ({})", grant.grant_id, grant.state));
        wrong.push(format!("not over: the agent still holds {:?}", held.collect::<Vec<_>>()));
    }
    case.results(&mut wrong);
    case.writes(&mut wrong);
    case.inventoried(&mut wrong);
    if !cell.has("put_omitted", "flags_reset") {
        wrong.extend(case.reset().map(|email| format!("{email}: other fields than roles were changed")));
    }
    for story in Story::ALL {
        let told = case.told(story);
        for life in case.lives(story) {
            case.granted(&told, life, &mut wrong);
            case.ended(&told, life, &mut wrong);
            case.bounds(&told, life, &mut wrong);
            case.extended(&told, life, &mut wrong);
        }
        case.standing_is_right(story, &mut wrong);
    }
    let words = Story::ALL.into_iter().map(|story| (story, case.words(story))).collect();
    Verdict { words, wrong, misplaced: case.is_misplaced(cell) }
}

impl<'a> Case<'a> {
    /// The story's accounts: one, or for the one that is made none or more.
    pub(crate) fn lives(&self, story: Story) -> impl Iterator<Item = &Life> {
        self.truth.lives.values().filter(move |life| story.is_about(&life.email))
    }

    pub(crate) fn told(&self, story: Story) -> Vec<Told<'a>> {
        let jobs = self.happened.jobs.iter().filter(|job| job.story == story && job.kind == Kind::Grant);
        jobs.map(|job| {
            let grant = job.grant();
            let ended = |r: &&Value| r["code"] == "grant_ended" && r["grant_id"] == grant.as_str();
            Told {
                job,
                role: story.legs()[job.leg].role,
                result: results(&self.happened.reports, &job.id).next(),
                ended: self.happened.reports.iter().map(|view| &view.report).find(ended),
            }
        })
        .collect()
    }

    /// Each job has one result, and no report contradicts another.
    fn results(&self, wrong: &mut Vec<String>) {
        for job in &self.happened.jobs {
            let found: Vec<&Value> = results(&self.happened.reports, &job.id).collect();
            let held = self.happened.held.iter().any(|grant| grant.grant_id == job.grant());
            // An ending that is escalated leaves its revoke job open: it is not answered before its time.
            // A sync has an hour for its reads.
            let waits = job.story == Story::Sync || (job.kind == Kind::Revoke && held);
            if found.len() != 1 && !(found.is_empty() && waits) {
                wrong.push(format!("{} results for {job:?}: {found:?}", found.len()));
            }
        }
        for view in &self.happened.reports {
            if view.conflicting > 0 || view.malformed.is_some() {
                wrong.push(format!("not a proper report: {view:?}"));
            }
        }
    }

    /// Whether grants are hindered, and the grid does not say so; or they are not, and it does.
    fn is_misplaced(&self, cell: &Cell) -> bool {
        if cell.is_unsteady() {
            return false;
        }
        if cell.hindered {
            // Among others it may hinder no more: where lists are bare, no total is wrong.
            return !cell.is_pairwise()
                && self.told(Story::Expires).iter().any(|told| told.code() == "granted");
        }
        // In a tenant that takes a few requests a second not every story has its turn in time.
        let writes =
            |entry: &Entry| matches!(&entry.event, Event::Request(request) if request.method == "PUT");
        !self.happened.log.iter().any(writes)
    }

    /// Only accounts with a grant are written to, and none of them for ever.
    fn writes(&self, wrong: &mut Vec<String>) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &self.happened.log {
            let Event::Request(Received { method, path, .. }) = &entry.event else { continue };
            let admins = path.strip_prefix("/api/users").filter(|_| method != "GET");
            let Some(id) = admins.map(|rest| rest.trim_start_matches('/')) else { continue };
            *counts.entry(id).or_default() += 1;
        }
        for (id, count) in counts {
            let life = self.truth.lives.get(id);
            let email = life.map_or("ephemeral+@example.com", |life| life.email.as_str());
            let told =
                Story::ALL.into_iter().filter(|story| story.is_about(email)).flat_map(|s| self.told(s));
            let accepted = told
                .into_iter()
                .any(|told| !matches!(told.code(), "rejected" | "conflict" | "already_granted"));
            if !accepted {
                wrong.push(format!("{count} writes to {email} ({id}), who has no grant"));
            }
            if count > WRITES {
                wrong.push(format!("{count} writes to {email} ({id}): the agent runs in circles"));
            }
        }
    }

    /// `granted` only if the account really had the role between the job and the report.
    fn granted(&self, told: &[Told<'_>], life: &Life, wrong: &mut Vec<String>) {
        for told in told.iter().filter(|told| told.code() == "granted") {
            let at = told.result.map_or(0, |report| time(&report["at"]));
            let mut spans = life.between(told.job.sent_ms, at);
            if !spans.any(|(_, _, roles)| self.truth.covers(roles, told.role)) {
                wrong.push(format!("{} never had {}, yet: {:?}", life.email, told.role, told.result));
            }
        }
    }

    /// `grant_ended` and `revoked` only when nothing of the grant is there any more, and with a reason
    /// that is true: a person does nothing in these stories but delete an account in one of them.
    fn ended(&self, told: &[Told<'_>], life: &Life, wrong: &mut Vec<String>) {
        for over in told {
            let revoked = self
                .later(over.job, Kind::Revoke)
                .and_then(|(_, result)| result)
                .filter(|report| report["code"] == "revoked");
            for report in over.ended.into_iter().chain(revoked) {
                let at = time(&report["at"]);
                let others = told.iter().filter(|other| other.job.leg != over.job.leg && other.is_live(at));
                let mut allowed = life.first().cloned().unwrap_or_default();
                allowed.extend(others.map(|other| other.role.to_owned()));
                let beyond = self.truth.beyond(life.at(at), &allowed);
                if !beyond.is_empty() && !self.is_hidden(life.at(at), &allowed) {
                    wrong.push(format!("{} still had {beyond:?} at {report}", life.email));
                }
            }
            let reason = over.ended.map_or("expired", |report| report["reason"].as_str().unwrap_or_default());
            let gone = life.deleted_by_hand && reason == "target_gone";
            if !matches!(reason, "expired" | "requested" | "failed") && !gone {
                wrong.push(format!("{}: ended as {reason}, but nobody did that", life.email));
            }
        }
    }

    /// Whether no read shows the roles beyond the allowed ones, and the field that every client writes does
    /// not take them away: nobody can know of them.
    fn is_hidden(&self, held: &[String], allowed: &[String]) -> bool {
        let shown = self.model.shown(held);
        self.truth.beyond(&shown, allowed).is_empty() && !self.model.leads_as_usual(held, &shown)
    }

    /// A later job about the same grant, and its result.
    pub(crate) fn later(&self, of: &Job, kind: Kind) -> Option<(&'a Job, Option<&'a Value>)> {
        let job = self.happened.jobs.iter().find(|job| job.is(of.story, of.leg, kind))?;
        Some((job, results(&self.happened.reports, &job.id).next()))
    }

    /// An extension that was reported is access until the new end.
    fn extended(&self, told: &[Told<'_>], life: &Life, wrong: &mut Vec<String>) {
        for told in told {
            let Some(until) = self.extended_to(told) else { continue };
            if !self.truth.covers(life.at(until - 1), told.role) {
                wrong.push(format!("{} lost {} before {until}, its new end", life.email, told.role));
            }
        }
    }

    fn extended_to(&self, told: &Told<'_>) -> Option<i64> {
        let (_, result) = self.later(told.job, Kind::Extend)?;
        result.filter(|report| report["code"] == "extended").map(|report| time(&report["ends_at"]))
    }

    /// No access longer than the bound after the last grant that carries it was over.
    fn bounds(&self, told: &[Told<'_>], life: &Life, wrong: &mut Vec<String>) {
        let before = life.first().cloned().unwrap_or_default();
        let forgiven = matches!(self.standing(life), Standing::Escalated | Standing::Hidden);
        for (from, until, roles) in life.between(i64::MIN, i64::MAX) {
            for role in self.truth.beyond(roles, &before) {
                let carries = |told: &&Told<'_>| self.truth.covers(&[told.role.to_owned()], role);
                let due = told.iter().filter(carries).map(|told| self.due(told)).max();
                let last = until == i64::MAX;
                let Some(due) = due else {
                    wrong.push(format!("{} had {role} from {from}, which nobody asked for", life.email));
                    continue;
                };
                if !(last && forgiven) && until > due + self.bound_ms {
                    let until = if last { "the end".to_owned() } else { until.to_string() };
                    wrong.push(format!("{} had {role} until {until}; it was due at {due}", life.email));
                }
            }
        }
    }

    /// When the access of a grant is to be over.
    fn due(&self, told: &Told<'_>) -> i64 {
        match (self.later(told.job, Kind::Revoke), told.result) {
            (Some((revoked, _)), _) => revoked.sent_ms,
            (None, Some(_)) if self.extended_to(told).is_some() => self.extended_to(told).unwrap_or_default(),
            (None, Some(report)) if told.code() == "granted" => time(&report["ends_at"]),
            (None, Some(report)) => time(&report["at"]),
            (None, None) => told.job.sent_ms,
        }
    }

    fn standing_is_right(&self, story: Story, wrong: &mut Vec<String>) {
        for life in self.lives(story).filter(|life| self.standing(life) == Standing::Wrong) {
            wrong.push(format!("{} had {:?} and has {:?}", life.email, life.first(), life.last()));
        }
    }
}

impl Told<'_> {
    /// The code of the result.
    pub(crate) fn code(&self) -> &str {
        self.result.and_then(|report| report["code"].as_str()).unwrap_or("none")
    }

    fn is_live(&self, at: i64) -> bool {
        self.code() == "granted" && self.ended.is_none_or(|report| time(&report["at"]) > at)
    }
}

/// Unix milliseconds of an RFC 3339 text.
pub(crate) fn time(text: &Value) -> i64 {
    let time: jiff::Timestamp = text.as_str().unwrap_or_default().parse().unwrap_or_default();
    time.as_millisecond()
}
