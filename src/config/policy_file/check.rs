//! From the file as written to the policy: single values are checked, and an error says which file and
//! key a bad one is in, what was expected and what was found.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Ephemeral, Raw, Require, hours};
use crate::{
    config::{
        duration::{self, DAY, SECOND},
        error::ConfigError,
        show, template,
    },
    engine::{
        ids::{BadName, Email, RoleName},
        policy::{AccountPattern, EphemeralPolicy, Policy, Requirements},
        time::Millis,
    },
};

/// Longest duration that any key of a policy takes.
const LONGEST: Millis = Millis(30 * DAY.0);
/// What `max_continuous` is where it is absent and no grant may be longer.
const CONTINUOUS: Millis = Millis(DAY.0 / 2);

/// Checks single values and says which file a bad one is in.
pub(super) struct Check<'a> {
    pub(super) origin: &'a str,
}

impl Check<'_> {
    pub(super) fn policy(&self, raw: Raw, hash: String) -> Result<Policy, ConfigError> {
        let dry_run = match raw.mode.as_str() {
            "enforce" => false,
            "dry_run" => true,
            other => return Err(self.bad("mode", "\"enforce\" or \"dry_run\"", other)),
        };
        let protected = |text: &String| self.name("protected_accounts", text, Email::new);
        let denied = |text: &String| self.name("denied_roles", text, RoleName::new);
        let max_duration = self.duration("max_duration", &raw.max_duration)?;
        let max_continuous = match &raw.max_continuous {
            Some(text) => self.duration("max_continuous", text)?,
            None => CONTINUOUS.max(max_duration),
        };
        Ok(Policy {
            hash,
            dry_run,
            roles: self.roles(&raw.roles)?,
            denied_roles: raw.denied_roles.iter().map(denied).collect::<Result<_, _>>()?,
            max_duration,
            max_continuous,
            cool_down: self.duration("cool_down", &raw.cool_down)?,
            accounts_allow: self.patterns("accounts.allow", &raw.accounts.allow)?,
            accounts_deny: self.patterns("accounts.deny", &raw.accounts.deny)?,
            protected_accounts: raw.protected_accounts.iter().map(protected).collect::<Result<_, _>>()?,
            ephemeral: self.ephemeral(&raw.ephemeral)?,
            require: self.require(&raw.require, raw.approval_keys.len())?,
            approval_keys: self.approval_keys(&raw.approval_keys)?,
            hours: hours::read(&raw.hours)
                .map_err(|(key, expected, found)| self.bad(key, &expected, &found))?,
            max_live_grants: self.count("max_live_grants", raw.max_live_grants)?,
            max_grants_per_hour: self.count("max_grants_per_hour", raw.max_grants_per_hour)?,
        })
    }

    fn roles(&self, raw: &BTreeMap<String, String>) -> Result<BTreeMap<RoleName, Millis>, ConfigError> {
        let role = |(role, longest): (&String, &String)| {
            let key = format!("roles.{role:?}");
            Ok((self.name(&key, role, RoleName::new)?, self.duration(&key, longest)?))
        };
        raw.iter().map(role).collect()
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

    fn require(&self, raw: &Require, keys: usize) -> Result<Requirements, ConfigError> {
        if raw.approvers > 10 {
            return Err(self.bad("require.approvers", "0 to 10", &raw.approvers.to_string()));
        }
        // Without keys nothing can be signed: the default stays without effect.
        let most = keys.max(1);
        if !(1..=most).contains(&(raw.signatures as usize)) {
            let expected = format!("1 to {most}, the number of approval_keys");
            return Err(self.bad("require.signatures", &expected, &raw.signatures.to_string()));
        }
        Ok(Requirements {
            request_number: raw.request_number,
            justification: raw.justification,
            approvers: raw.approvers,
            requester_not_approver: raw.requester_not_approver,
            signatures: raw.signatures,
        })
    }

    fn approval_keys(&self, raw: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut keys = BTreeMap::new();
        for (name, key) in raw {
            let at = format!("approval_keys.{name:?}");
            let bytes = URL_SAFE_NO_PAD.decode(key).unwrap_or_default();
            if bytes.len() != 32 {
                let expected =
                    "an Ed25519 public key: its 32 bytes in base64url without padding, `x` of its JWK";
                return Err(self.bad(&at, expected, key));
            }
            if keys.values().any(|known| known == key) {
                return Err(self.bad(&at, "a key of its own", "a key that another name has too"));
            }
            keys.insert(name.trim().to_owned(), key.clone());
        }
        Ok(keys)
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

    fn count(&self, key: &str, count: u32) -> Result<u32, ConfigError> {
        if (1..=10_000).contains(&count) {
            return Ok(count);
        }
        Err(self.bad(key, "1 to 10000", &count.to_string()))
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
            key: show::quotable(key),
            expected: expected.to_owned(),
            found: show::quotable(&format!("{found:?}")),
        }
    }
}
