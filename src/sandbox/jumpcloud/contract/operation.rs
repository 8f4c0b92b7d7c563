//! One operation of a description, and what an exchange may have wrong with it.
//!
//! Refuses to quote: a verdict carries names and types of fields, never what stood in them.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::Value;

use super::exchange::Sent;

/// The most problems told of one body.
const TOLD: usize = 5;
/// The one header, beside credentials and content type, that a call may or may not carry.
const ORGANIZATION: &str = "x-org-id";

/// A method on a path.
#[derive(Debug)]
pub(super) struct Operation {
    /// Upper-case HTTP method.
    pub(super) method: String,
    /// For verdicts, such as `PUT /api/users/{id}`.
    pub(super) name: String,
    /// Whether the agent may send it.
    pub(super) for_agent: bool,
    /// Query parameters by name.
    pub(super) query: BTreeMap<String, Parameter>,
    /// Headers; none if the description does not name any.
    pub(super) headers: Option<Headers>,
    /// The body; none if a request has none.
    pub(super) body: Option<Body>,
    /// Statuses that are described.
    pub(super) answers: BTreeMap<u16, Answer>,
}

/// A query parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    /// `integer`, `boolean`, `array` or `string`.
    pub(super) kind: String,
    /// What its value must be.
    pub(super) rule: Validator,
}

/// Headers that a description names.
#[derive(Debug)]
pub(super) struct Headers {
    /// Whether the call takes the organization.
    pub(super) organization: bool,
    /// Names of security schemes, of which one must be used; if there are none, no credential may be.
    pub(super) credentials: Vec<String>,
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct Body {
    /// `application/json` or `application/x-www-form-urlencoded`; none if it does not matter.
    pub(super) content_type: Option<String>,
    /// Whether a request must have one.
    pub(super) required: bool,
    /// What it must be.
    pub(super) rule: Validator,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nobody says what is in it.
    Unknown,
    /// There is none.
    Empty,
    /// What it must be.
    Json(Validator),
}

impl Operation {
    /// What is wrong with a request for this operation.
    pub(super) fn problems_of(&self, sent: &Sent) -> Vec<String> {
        let mut problems = self.problems_of_query(sent);
        if let Some(headers) = &self.headers {
            problems.extend(headers.problems_of(sent));
        }
        match (&self.body, sent.body.is_empty()) {
            (None, true) => {}
            (None, false) => problems.push("this call takes no body".to_owned()),
            (Some(body), true) if body.required => problems.push("the body is missing".to_owned()),
            (Some(_), true) => {}
            (Some(body), false) => problems.extend(body.problems_of(sent)),
        }
        problems
    }

    fn problems_of_query(&self, sent: &Sent) -> Vec<String> {
        let mut problems = Vec::new();
        for (at, (name, value)) in sent.query.iter().enumerate() {
            let Some(parameter) = self.query.get(name) else {
                problems.push(format!("unknown query parameter `{name}`"));
                continue;
            };
            let many = parameter.kind == "array";
            if !many && sent.query[..at].iter().any(|(earlier, _)| earlier == name) {
                problems.push(format!("query parameter `{name}` comes twice"));
            }
            match parameter.value(value) {
                Some(value) => {
                    let told = told(&parameter.rule, &value).into_iter();
                    problems.extend(told.map(|told| format!("query parameter `{name}`{told}")));
                }
                None => problems.push(format!("query parameter `{name}` is not of type {}", parameter.kind)),
            }
        }
        problems
    }

    /// What is wrong with an answer of this operation; with `every_status`, a status that is not
    /// described is wrong too.
    pub(super) fn problems_of_answer(
        &self,
        status: u16,
        body: Option<&Value>,
        every_status: bool,
    ) -> Vec<String> {
        match (self.answers.get(&status), body) {
            (None, _) if every_status => vec![format!("the status {status} is not described")],
            (None | Some(Answer::Unknown), _) | (Some(Answer::Empty), None) => Vec::new(),
            (Some(Answer::Empty), Some(_)) => vec![format!("{status} has a body, and should have none")],
            (Some(Answer::Json(_)), None) => vec![format!("{status} has no body")],
            (Some(Answer::Json(rule)), Some(body)) => {
                told(rule, body).into_iter().map(|told| format!("{status}: the body{told}")).collect()
            }
        }
    }
}

impl Parameter {
    /// The text of a query as a value of this kind.
    fn value(&self, text: &str) -> Option<Value> {
        match self.kind.as_str() {
            "integer" => text.parse::<i64>().ok().map(Value::from),
            "boolean" => text.parse::<bool>().ok().map(Value::from),
            "array" => Some(Value::from(vec![text])),
            _ => Some(Value::from(text)),
        }
    }
}

impl Headers {
    fn problems_of(&self, sent: &Sent) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.organization && sent.header(ORGANIZATION).is_some() {
            problems.push(format!("this call does not take the header `{ORGANIZATION}`"));
        }
        let shown = credentials_in(sent);
        match &shown[..] {
            [only] if self.credentials.iter().any(|name| name == only) => {}
            [] if self.credentials.is_empty() => {}
            [] => problems.push("no credential is sent".to_owned()),
            [only] => problems.push(format!("this call does not take the credential `{only}`")),
            several => problems.push(format!("several credentials are sent: {}", several.join(", "))),
        }
        problems
    }
}

/// By the names of the security schemes.
fn credentials_in(sent: &Sent) -> Vec<&'static str> {
    let authorization = sent.header("authorization").unwrap_or_default();
    let scheme = authorization.split(' ').next().unwrap_or_default();
    let shown = [
        ("apiKey", sent.header("x-api-key").is_some()),
        ("accessToken", scheme.eq_ignore_ascii_case("bearer")),
        ("serviceAccount", scheme.eq_ignore_ascii_case("basic")),
    ];
    shown.into_iter().filter(|(_, is_shown)| *is_shown).map(|(name, _)| name).collect()
}

impl Body {
    fn problems_of(&self, sent: &Sent) -> Vec<String> {
        let mut problems = Vec::new();
        let said = sent.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        if let Some(expected) = self.content_type.as_deref().filter(|expected| *expected != said.trim()) {
            problems.push(format!("the header `content-type` is not {expected}"));
        }
        let form = self.content_type.as_deref() == Some("application/x-www-form-urlencoded");
        let value = if form {
            sent.form()
                .map(|fields| fields.into_iter().map(|(name, text)| (name, Value::from(text))).collect())
        } else {
            serde_json::from_slice(&sent.body).ok()
        };
        match value {
            Some(value) => {
                problems.extend(told(&self.rule, &value).into_iter().map(|told| format!("the body{told}")));
            }
            None => problems.push("the body cannot be read".to_owned()),
        }
        problems
    }
}

/// What a rule says against a value, without the value: where, then what.
fn told(rule: &Validator, value: &Value) -> Vec<String> {
    let said = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
        format!("{place}: {}", error.masked())
    };
    rule.iter_errors(value).take(TOLD).map(said).collect()
}
