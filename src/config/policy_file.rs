//! Reads `policy.toml` into the engine's [`Policy`].
//!
//! Refuses: unknown keys, durations without a unit or beyond 30 days, approvers without a bound,
//! a template without `{tag}`, ephemeral accounts without a domain. A refused file is no policy,
//! and without a policy nothing is raised.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::{
    duration::{self, DAY, SECOND},
    error::{ConfigError, nearest},
    template,
};
use crate::engine::{
    ids::{BadName, Email, RoleName},
    policy::{AccountPattern, EphemeralPolicy, Policy, Requirements},
    time::Millis,
};

/// Longest duration that any key of a policy takes.
const LONGEST: Millis = Millis(30 * DAY.0);

/// Reads the policy at `path`.
///
/// # Errors
/// [`ConfigError`] names the file, the key, what was expected and what was found.
pub fn load(path: &Path) -> Result<Policy, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.to_path_buf(), error))?;
    parse(&text, &path.display().to_string())
}

/// Reads a policy from text; `origin` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, origin: &str) -> Result<Policy, ConfigError> {
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        origin: origin.to_owned(),
        problem: error.to_string().trim_end().to_owned(),
    };
    let mut unknown = Vec::new();
    let source = toml::Deserializer::parse(text).map_err(syntax)?;
    let raw: Raw =
        serde_ignored::deserialize(source, |path| unknown.push(path.to_string())).map_err(syntax)?;
    if let Some(key) = unknown.into_iter().next() {
        let known = known_keys();
        let nearest = nearest(&key, known.iter().map(String::as_str));
        return Err(ConfigError::UnknownKey { origin: origin.to_owned(), key, nearest });
    }
    Check { origin }.policy(raw, hash(text))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Raw {
    mode: String,
    max_duration: String,
    max_live_grants: u32,
    protected_accounts: Vec<String>,
    roles: BTreeMap<String, String>,
    accounts: Accounts,
    ephemeral: Ephemeral,
    require: Require,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Accounts {
    allow: Vec<String>,
    deny: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Ephemeral {
    allowed: bool,
    template: String,
    domains: Vec<String>,
    delete_unknown: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Require {
    request_number: bool,
    justification: bool,
    approvers: u32,
    requester_not_approver: bool,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            mode: "enforce".into(),
            max_duration: "8h".into(),
            max_live_grants: 20,
            protected_accounts: Vec::new(),
            roles: BTreeMap::new(),
            accounts: Accounts::default(),
            ephemeral: Ephemeral::default(),
            require: Require::default(),
        }
    }
}

impl Default for Ephemeral {
    fn default() -> Self {
        let template = template::DEFAULT.into();
        Self { allowed: false, template, domains: Vec::new(), delete_unknown: false }
    }
}

impl Default for Require {
    fn default() -> Self {
        Self { request_number: true, justification: true, approvers: 1, requester_not_approver: true }
    }
}

/// Every key that exists, dotted; the names under `roles` are the tenant's.
fn known_keys() -> Vec<String> {
    let Ok(serde_json::Value::Object(top)) = serde_json::to_value(Raw::default()) else { return Vec::new() };
    let mut keys = Vec::new();
    for (key, value) in top {
        match value.as_object() {
            Some(table) if !table.is_empty() => keys.extend(table.keys().map(|name| format!("{key}.{name}"))),
            _ => keys.push(key),
        }
    }
    keys
}

fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Checks single values and says which file a bad one is in.
struct Check<'a> {
    origin: &'a str,
}

impl Check<'_> {
    fn policy(&self, raw: Raw, hash: String) -> Result<Policy, ConfigError> {
        let dry_run = match raw.mode.as_str() {
            "enforce" => false,
            "dry_run" => true,
            other => return Err(self.bad("mode", "\"enforce\" or \"dry_run\"", other)),
        };
        if !(1..=10_000).contains(&raw.max_live_grants) {
            return Err(self.bad("max_live_grants", "1 to 10000", &raw.max_live_grants.to_string()));
        }
        let mut roles = BTreeMap::new();
        for (role, longest) in &raw.roles {
            let key = format!("roles.{role:?}");
            roles.insert(self.name(&key, role, RoleName::new)?, self.duration(&key, longest)?);
        }
        let protected = |text: &String| self.name("protected_accounts", text, Email::new);
        Ok(Policy {
            hash,
            dry_run,
            roles,
            max_duration: self.duration("max_duration", &raw.max_duration)?,
            accounts_allow: self.patterns("accounts.allow", &raw.accounts.allow)?,
            accounts_deny: self.patterns("accounts.deny", &raw.accounts.deny)?,
            protected_accounts: raw.protected_accounts.iter().map(protected).collect::<Result<_, _>>()?,
            ephemeral: self.ephemeral(&raw.ephemeral)?,
            require: self.require(&raw.require)?,
            max_live_grants: raw.max_live_grants,
        })
    }

    fn ephemeral(&self, raw: &Ephemeral) -> Result<Option<EphemeralPolicy>, ConfigError> {
        template::check(&raw.template)
            .map_err(|expected| self.bad("ephemeral.template", &expected, &raw.template))?;
        let domain = |text: &String| self.domain("ephemeral.domains", text);
        let domains: Vec<String> = raw.domains.iter().map(domain).collect::<Result<_, _>>()?;
        if raw.allowed && domains.is_empty() {
            return Err(self.bad(
                "ephemeral.domains",
                "at least one domain when ephemeral.allowed = true",
                "none",
            ));
        }
        Ok(raw.allowed.then(|| EphemeralPolicy {
            template: raw.template.clone(),
            domains,
            delete_unknown: raw.delete_unknown,
        }))
    }

    fn require(&self, raw: &Require) -> Result<Requirements, ConfigError> {
        if raw.approvers > 10 {
            return Err(self.bad("require.approvers", "0 to 10", &raw.approvers.to_string()));
        }
        Ok(Requirements {
            request_number: raw.request_number,
            justification: raw.justification,
            approvers: raw.approvers,
            requester_not_approver: raw.requester_not_approver,
        })
    }

    fn patterns(&self, key: &str, list: &[String]) -> Result<Vec<AccountPattern>, ConfigError> {
        let pattern = |text: &String| match text.strip_prefix("*@") {
            Some(domain) => Ok(AccountPattern::Domain(self.domain(key, domain)?)),
            None if text.contains('*') => Err(self.bad(key, "an address or \"*@domain\"", text)),
            None => Ok(AccountPattern::Mailbox(self.name(key, text, Email::new)?)),
        };
        list.iter().map(pattern).collect()
    }

    fn domain(&self, key: &str, text: &str) -> Result<String, ConfigError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if text.is_empty() || !text.chars().all(plain) || text.starts_with('.') || text.ends_with('.') {
            return Err(self.bad(key, "a domain such as \"example.com\"", text));
        }
        Ok(text.to_ascii_lowercase())
    }

    fn duration(&self, key: &str, text: &str) -> Result<Millis, ConfigError> {
        duration::parse(text, &(SECOND..=LONGEST)).map_err(|expected| self.bad(key, &expected, text))
    }

    fn name<T>(&self, key: &str, text: &str, new: fn(&str) -> Result<T, BadName>) -> Result<T, ConfigError> {
        new(text).map_err(|bad| self.bad(key, &format!("a name that {}", bad.problem), text))
    }

    fn bad(&self, key: &str, expected: &str, found: &str) -> ConfigError {
        ConfigError::Value {
            origin: self.origin.to_owned(),
            key: key.to_owned(),
            expected: expected.to_owned(),
            found: format!("{found:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text, "policy.toml").unwrap_err().to_string()
    }

    #[test]
    fn an_empty_policy_grants_nothing_and_asks_for_everything() {
        let policy = parse("", "policy.toml").unwrap();
        assert!(policy.roles.is_empty() && policy.ephemeral.is_none() && !policy.dry_run);
        let all = Requirements {
            request_number: true,
            justification: true,
            approvers: 1,
            requester_not_approver: true,
        };
        assert_eq!(policy.require, all);
    }

    #[test]
    fn roles_accounts_and_domains_are_taken_as_written() {
        let text = r#"
            mode = "dry_run"
            [roles]
            "Help Desk" = "4h"
            [accounts]
            allow = ["*@Example.com", "ada@example.org"]
            [ephemeral]
            allowed = true
            domains = ["Example.com"]
        "#;
        let policy = parse(text, "policy.toml").unwrap();
        assert!(policy.dry_run);
        assert_eq!(policy.roles[&RoleName::new("Help Desk").unwrap()], Millis::from_secs(4 * 3600));
        assert!(policy.accounts_allow[0].matches(&Email::new("eve@example.com").unwrap()));
        assert_eq!(policy.ephemeral.unwrap().domains, ["example.com"]);
        assert_ne!(policy.hash, parse("", "policy.toml").unwrap().hash);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let said = refused("[require]\napprover = 2");
        assert!(said.contains("policy.toml") && said.contains("did you mean `require.approvers`"), "{said}");
        assert!(refused("max_duraton = \"1h\"").contains("did you mean `max_duration`"));
    }

    #[test]
    fn each_bad_value_is_refused_by_key_with_what_was_expected_and_found() {
        for (text, words) in [
            ("mode = \"off\"", "`mode`: expected \"enforce\" or \"dry_run\", found \"off\""),
            ("[roles]\n\"Help Desk\" = \"4\"", "`roles.\"Help Desk\"`: expected a duration"),
            ("max_duration = \"90 days\"", "from 1s to 30days, found \"90 days\""),
            ("[accounts]\ndeny = [\"*ada@example.com\"]", "`accounts.deny`"),
            ("[ephemeral]\nallowed = true", "`ephemeral.domains`: expected at least one"),
            ("[ephemeral]\ntemplate = \"x@{domain}\"", "holds {tag} once"),
            ("[ephemeral]\ntemplate = \"{domain}+{tag}@evil.example\"", "`ephemeral.template`"),
            ("max_live_grants = 0", "`max_live_grants`: expected 1 to 10000"),
            ("protected_accounts = [\"nobody\"]", "must contain '@'"),
            ("[roles", "line 1"),
        ] {
            let said = refused(text);
            assert!(said.contains(words), "{text:?}: {said}");
        }
    }
}
