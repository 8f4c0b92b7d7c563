//! The body of a `POST` or `PUT`, field by field.
//!
//! Refuses what is no JSON object, and fields of another kind than the documents say.

use serde_json::{Map, Value};

use super::{super::switches::Switches, Refusal, bad};

/// The fields that the published document or one of JumpCloud's own clients writes.
const KNOWN: [&str; 13] = [
    "email",
    "firstname",
    "lastname",
    "roleName",
    "roleNames",
    "enableMultiFactor",
    "apiKeyAllowed",
    "growthData",
    "lastWhatsNewChecked",
    "enableWhatsNew",
    // Each of these three has a switch of its own.
    "role",
    "suspended",
    "password",
];

/// A body.
pub(in super::super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 if it is not a JSON object, or has a field that the switches refuse.
    pub(in super::super) fn parse(body: &[u8], switches: &Switches) -> Result<Self, Refusal> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Err(bad("the body must be a JSON object"));
        };
        let unknown = fields.keys().find(|key| !KNOWN.contains(&key.as_str()));
        match unknown.filter(|_| switches.unknown_fields_refused) {
            Some(key) => Err(bad(&format!("{key:?} is not allowed"))),
            None => Ok(Self(fields)),
        }
    }

    /// A body that was read elsewhere.
    pub(in super::super) fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The address, if one is written.
    pub(in super::super) fn email(&self) -> Option<&str> {
        self.value("email")?.as_str()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(&format!("{name} must be a string"))),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(bad(&format!("{name} must be a boolean"))),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let texts = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        texts.map(Some).ok_or_else(|| bad(&format!("{name} must be a list of strings")))
    }
}
