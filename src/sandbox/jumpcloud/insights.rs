//! What Directory Insights knows: who changed which administrator, when and how.
//!
//! Refuses to say more than JumpCloud documents: no event holds a key, and what the `changes` of an
//! event mean is a switch. Keeps the latest 10 000 events, in memory.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{
    account::Account,
    author::Author,
    shown::rfc3339,
    state::{State, hex_digest},
    switches::{InsightChanges, InsightService, Switches},
};

/// How many events are kept; the oldest go first.
const KEPT: usize = 10_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The events kept.
#[derive(Clone, Default)]
pub(super) struct Insights(VecDeque<Insight>);

/// An event.
#[derive(Clone)]
pub(super) struct Insight {
    pub(super) id: String,
    pub(super) at_ms: i64,
    pub(super) organization: String,
    pub(super) author: Author,
    pub(super) subject: Subject,
}

/// What was changed.
#[derive(Clone)]
pub(super) enum Subject {
    /// An administrator; none before it was made, none after it was deleted.
    Admin { before: Option<Box<Account>>, after: Option<Box<Account>> },
    /// A custom role or a service account.
    Thing { event: &'static str, id: String },
}

impl Insights {
    pub(super) fn add(&mut self, insight: Insight) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(insight);
    }

    /// The events that can be seen at `now_ms`, oldest first.
    pub(super) fn visible(&self, switches: &Switches, now_ms: i64) -> impl Iterator<Item = &Insight> {
        let newest = now_ms.saturating_sub(i64::try_from(switches.insights_delay_ms).unwrap_or(i64::MAX));
        let oldest = now_ms.saturating_sub(i64::from(switches.insights_retention_days) * DAY_MS);
        let (admins, things) = (switches.insights_admin_events, switches.insights_role_events);
        self.0.iter().filter(move |insight| {
            let known = match insight.subject {
                Subject::Admin { .. } => admins,
                Subject::Thing { .. } => things,
            };
            known && insight.at_ms <= newest && insight.at_ms > oldest
        })
    }
}

impl Insight {
    /// The event as the API answers it.
    pub(super) fn shown(&self, state: &State, switches: &Switches) -> Value {
        let mut event = json!({
            "id": self.id,
            "timestamp": rfc3339(self.at_ms),
            "service": "directory",
            "organization": self.organization,
            "success": true,
            "client_ip": "127.0.0.1",
            "auth_method": self.author.auth,
            "event_type": self.event_type(switches),
        });
        match &self.subject {
            Subject::Admin { before, after } => {
                let account = after.as_ref().or(before.as_ref());
                let (id, email) = account.map(|one| (&one.id, &one.email)).unzip();
                event["resource"] = json!({"type": "admin", "id": id, "email": email});
                if let (Some(before), Some(after)) = (before, after)
                    && switches.insights_changes != InsightChanges::Absent
                {
                    event["changes"] = json!(changes(before, after, state, switches.insights_changes));
                }
            }
            Subject::Thing { event: kind, id } => {
                let kind = kind.rsplit_once('_').map_or(*kind, |(kind, _)| kind);
                event["resource"] = json!({"type": kind, "id": id});
            }
        }
        if let Some(initiated_by) = self.initiated_by(switches.insights_services) {
            event["initiated_by"] = initiated_by;
        }
        event
    }

    fn event_type(&self, switches: &Switches) -> &'static str {
        let (before, after) = match &self.subject {
            Subject::Thing { event, .. } => return event,
            Subject::Admin { before, after } => (before, after),
        };
        match (before, after) {
            (None, _) => "admin_create",
            (_, None) => "admin_delete",
            (Some(before), Some(after))
                if switches.insights_suspend_events && before.suspended != after.suspended =>
            {
                if after.suspended { "admin_suspended" } else { "admin_unsuspend" }
            }
            _ => "admin_update",
        }
    }

    fn initiated_by(&self, services: InsightService) -> Option<Value> {
        let author = &self.author;
        match (author.is_service(), services) {
            (false, _) => Some(json!({"type": "admin", "id": author.id, "email": author.email})),
            (true, InsightService::OwnType) => {
                Some(json!({"type": "service_account", "id": author.id, "name": author.name}))
            }
            (true, InsightService::AsAdmin) => Some(json!({"type": "admin", "id": author.id})),
            (true, InsightService::Absent) => None,
        }
    }
}

fn changes(before: &Account, after: &Account, state: &State, form: InsightChanges) -> Vec<Value> {
    let mut changes = Vec::new();
    let mut add = |field: &str, from: Value, to: Value| {
        if from != to {
            changes.push(json!({"field": field, "from": from, "to": to}));
        }
    };
    add("email", json!(before.email), json!(after.email));
    add("firstname", json!(before.firstname), json!(after.firstname));
    add("lastname", json!(before.lastname), json!(after.lastname));
    add("suspended", json!(before.suspended), json!(after.suspended));
    add("enableMultiFactor", json!(before.enable_multi_factor), json!(after.enable_multi_factor));
    add("apiKeyAllowed", json!(before.api_key_allowed), json!(after.api_key_allowed));
    let value = |name: &String| match form {
        InsightChanges::Ids => state.role(name).map(|role| role.id.clone()).unwrap_or_default(),
        InsightChanges::Opaque => hex_digest(name),
        InsightChanges::Names | InsightChanges::Absent => name.clone(),
    };
    let names = form == InsightChanges::Names;
    let first = |account: &Account| json!(account.roles.first().map(value));
    let all = |account: &Account| json!(account.roles.iter().map(value).collect::<Vec<_>>());
    add(if names { "roleName" } else { "role" }, first(before), first(after));
    if before.roles.len() > 1 || after.roles.len() > 1 {
        add(if names { "roleNames" } else { "roles" }, all(before), all(after));
    }
    changes
}
