//! The outcome of a story in a few words that are the same on every run.

use serde_json::Value;

use crate::{
    oracle::{Case, Told},
    standing::Standing,
    stories::{Kind, Story},
};

/// The words of the table and what they mean; `table.rs` prints them.
pub(crate) const MEANINGS: &[(&str, &str)] = &[
    ("granted", "the role was read back on the account, and so was its end"),
    ("extended", "the end was moved, and the access was there until the new end"),
    ("already granted", "the account had the role's reach without us; nothing was written"),
    ("refused: …", "refused by a rule before any write"),
    ("conflict: …", "as refused: it contradicts what the account has"),
    ("failed: …", "tried, not confirmed, and taken back"),
    ("synced", "the inventory was handed over, and nobody was missing"),
    ("synced, incomplete", "handed over as what it is: nobody knows whether somebody is missing"),
    ("still reading", "what a sync needs cannot be read; it is tried for an hour"),
    ("→ restored", "afterwards JumpCloud holds exactly the roles from before"),
    ("→ deleted", "the account that was made is gone"),
    ("→ gone", "the account that a person deleted is reported as gone"),
    ("→ held", "nothing is left, which the agent cannot prove: it goes on looking, and reports no end"),
    ("→ untouched", "the account never was other than before"),
    ("→ escalated", "no write takes the role away; the ending is never reported, a person is called"),
    ("→ floor", "no write restores what was there: the floor role is left, and a person is called"),
    ("→ hidden", "JumpCloud shows the account as before, yet holds the role, which nobody can see"),
    ("other fields reset", "a write of roles emptied fields that it left out, such as the names"),
    ("→ an unseen role lost", "a role that no read ever showed is gone, because a write replaces it"),
];

impl Case<'_> {
    /// The outcome of a story.
    pub(crate) fn words(&self, story: Story) -> String {
        if story == Story::Sync && self.told(story).iter().any(|told| told.code() == "synced") {
            return if self.is_complete() { "synced" } else { "synced, incomplete" }.to_owned();
        }
        if story == Story::Sync && self.told(story).iter().all(|told| told.result.is_none()) {
            return "still reading".to_owned();
        }
        let mut legs: Vec<String> = self.told(story).iter().map(|told| self.leg(told)).collect();
        legs.dedup();
        let mut words = if legs.is_empty() { "not asked".to_owned() } else { legs.join(", ") };
        let asked = words.starts_with("granted") || words.contains("failed");
        let lives: Vec<_> = self.lives(story).collect();
        if lives.iter().all(|life| self.standing(life) == Standing::AsBefore && !life.has_changed()) {
            if asked {
                words += " → untouched";
            }
            return words;
        }
        let reset = self.reset().any(|email| story.is_about(email));
        let mut ends: Vec<&str> = lives.iter().map(|life| self.end(story, life)).collect();
        ends.dedup();
        if ends.iter().all(|end| !matches!(*end, "escalated" | "WRONG")) && self.holds(story) {
            ends = vec!["held"];
        }
        format!("{words} → {}{}", ends.join(", "), if reset { ", other fields reset" } else { "" })
    }

    /// What a grant came to, and its extension if it was asked for.
    fn leg(&self, told: &Told<'_>) -> String {
        let extension = self.later(told.job, Kind::Extend).map(|(_, result)| outcome(result));
        [Some(outcome(told.result)), extension].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Whether the agent still holds a grant of the story.
    fn holds(&self, story: Story) -> bool {
        let jobs = &self.happened.jobs;
        let of_story = |grant: &str| jobs.iter().any(|job| job.story == story && job.grant() == grant);
        self.happened.held.iter().any(|grant| of_story(&grant.grant_id))
    }

    fn end(&self, story: Story, life: &crate::truth::Life) -> &'static str {
        match self.standing(life) {
            Standing::AsBefore if story == Story::Ephemeral => "deleted",
            Standing::AsBefore => "restored",
            Standing::Escalated => "escalated",
            Standing::Hidden => "hidden",
            Standing::Floored => "floor",
            Standing::Gone => "gone",
            Standing::LostUnseen => "an unseen role lost",
            Standing::Wrong => "WRONG",
        }
    }
}

/// The code of a result, and its rule.
fn outcome(report: Option<&Value>) -> String {
    let text = |key: &str| report.and_then(|report| report[key].as_str()).unwrap_or("");
    match (text("code"), text("rule")) {
        ("", _) => "no result".to_owned(),
        ("rejected", rule) => format!("refused: {rule}"),
        (code, "") => code.replace('_', " "),
        (code, rule) => format!("{code}: {rule}"),
    }
}
