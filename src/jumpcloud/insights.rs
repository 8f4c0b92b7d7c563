//! Directory Insights: JumpCloud's log of who did what, asked for changes of administrators. A hint to
//! look, never an observation: it comes late, may be missing from the plan, and is not the account.
//!
//! `POST /insights/directory/v1/events` as the published Directory Insights document describes it.
//! Refuses to hand on text: what is not a checked name, id or one of the known words is left out, and
//! so is an event without id or of another kind.

use std::time::Duration;

use reqwest::{Method, header::HeaderMap};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    outcome,
    sending::{About, Call, Line},
};
use crate::engine::{
    ids::{AccountId, Email},
    observed::ReadOutcome,
    time::Timestamp,
};

const PATH: &str = "/insights/directory/v1/events";
const PATIENCE: Duration = Duration::from_secs(20);
/// Rows in one answer; 1000 is also what it gives unasked.
const LIMIT: usize = 1_000;
/// Pages of one question: a window of minutes with more changes than this says "look" anyway.
const MAX_PAGES: usize = 5;

/// The client of Directory Insights of one organization.
#[derive(Debug)]
pub struct Insights {
    line: Line,
}

/// What was done to an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// `admin_create`
    Created,
    /// `admin_update`; role changes are among these.
    Updated,
    /// `admin_delete`
    Deleted,
}

/// A change of an administrator that somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event's id.
    pub id: String,
    /// What.
    pub kind: ChangeKind,
    /// To whom.
    pub target: Option<AccountId>,
    /// By whom.
    pub actor: Option<AccountId>,
    /// Their address.
    pub actor_email: Option<Email>,
    /// It was made with an API key, and not in the console.
    pub by_key: bool,
}

impl ChangeKind {
    /// JumpCloud's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "admin_create",
            Self::Updated => "admin_update",
            Self::Deleted => "admin_delete",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Change {
    /// Whether this was us: our own account, with an API key. A service account is nobody's account
    /// here, so its writes count as somebody else's: that costs a look.
    #[must_use]
    pub fn is_by(&self, own: Option<&AccountId>) -> bool {
        self.by_key && self.actor.is_some() && self.actor.as_ref() == own
    }
}

#[derive(Deserialize)]
struct Event {
    id: Option<Value>,
    event_type: Option<Value>,
    #[serde(default)]
    resource: Value,
    #[serde(default)]
    initiated_by: Value,
    auth_method: Option<Value>,
}

impl Insights {
    pub(super) fn new(line: Line) -> Self {
        Self { line }
    }

    /// The origin, for messages.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.line.door.origin()
    }

    /// Changes of administrators since then, oldest first as far as JumpCloud keeps to that.
    ///
    /// # Errors
    /// The fault: there are no hints.
    pub async fn changes(&self, since: Timestamp) -> ReadOutcome<Vec<Change>> {
        let start = jiff::Timestamp::from_millisecond(since.0.max(0)).unwrap_or_default();
        let mut changes: Vec<Change> = Vec::new();
        let mut after: Option<Value> = None;
        for _ in 0..MAX_PAGES {
            let mut body = json!({
                "service": ["directory"],
                "start_time": format!("{start:.0}"),
                "limit": LIMIT,
                "search_term": {"and": [{"event_type": ["admin_create", "admin_update", "admin_delete"]}]},
            });
            if let Some(after) = after.take() {
                body["search_after"] = after;
            }
            let call = Call {
                method: Method::POST,
                path: PATH.to_owned(),
                body: Some(body.to_string().into_bytes()),
                about: About::Events,
                patience: PATIENCE,
                not_after: None,
            };
            let answer = self.line.send(&call).await?;
            let garbled = |_| outcome::garbled(answer.status);
            let rows: Vec<Value> = serde_json::from_slice(&answer.body).map_err(garbled)?;
            let count = rows.len();
            changes.extend(rows.into_iter().filter_map(change));
            after = next(&answer.headers, count);
            if after.is_none() {
                break;
            }
        }
        Ok(changes)
    }
}

/// There is more if as many rows came as may come; the header is there even at the end.
fn next(headers: &HeaderMap, count: usize) -> Option<Value> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name| text(name).and_then(|n| n.trim().parse::<usize>().ok());
    let full = number("x-result-count").unwrap_or(count) >= number("x-limit").unwrap_or(LIMIT);
    let after = text("x-search_after").filter(|after| full && count > 0 && after.len() <= 1_024)?;
    serde_json::from_str(after).ok().filter(Value::is_array)
}

fn change(row: Value) -> Option<Change> {
    let event: Event = serde_json::from_value(row).ok()?;
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    let id = text(&event.id)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = !id.is_empty() && id.len() <= 128 && id.chars().all(plain);
    let of = |value: &Value, key| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Change {
        kind: ChangeKind::of(&text(&event.event_type)?)?,
        target: of(&event.resource, "id").and_then(|id| AccountId::new(&id).ok()),
        actor: of(&event.initiated_by, "id").and_then(|id| AccountId::new(&id).ok()),
        actor_email: of(&event.initiated_by, "email").and_then(|email| Email::new(&email).ok()),
        by_key: text(&event.auth_method).as_deref() == Some("api-key"),
        id: fits.then_some(id)?,
    })
}
