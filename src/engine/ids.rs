//! Names that come from outside, checked once: past this module an id can be put into a URL,
//! a log line or a record without another look.
//!
//! Refuses: empty names, names beyond their length, control characters, and (for everything that
//! may become part of a path) any character outside a small alphabet.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct BadName {
    /// Which kind of name, as the operator knows it ("job id", "role").
    pub what: &'static str,
    /// What is wrong with it; never quotes the value.
    pub problem: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// [`BadName`] says which rule the text breaks; the text itself is not quoted.
            pub fn new(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text).map_err(|problem| BadName { what: $what, problem })?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn slug(text: &str, max: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > max {
        return Err(format!("must have 1 to {max} characters, has {}", text.len()));
    }
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.chars().all(ok) {
        return Err("may hold only letters, digits, '-', '_' and '.'".to_owned());
    }
    if text.starts_with('.') {
        return Err("must not start with '.'".to_owned());
    }
    Ok(())
}

fn line(text: &str, max: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > max {
        return Err(format!("must have 1 to {max} bytes, has {}", text.len()));
    }
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err("must not hold control characters or start or end with a space".to_owned());
    }
    Ok(())
}

fn account_id(text: &str) -> Result<(), String> {
    // 24 hexadecimal digits in every published example; other alphanumeric forms are let through
    // because the id is JumpCloud's to choose, path and query characters are not.
    if text.is_empty() || text.len() > 64 || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("must have 1 to 64 letters, digits or '-'".to_owned());
    }
    Ok(())
}

fn email(text: &str) -> Result<(), String> {
    line(text, 1024)?;
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Err("must contain '@'".to_owned());
    };
    let plain =
        |c: char| !c.is_whitespace() && !matches!(c, '<' | '>' | '"' | ',' | ';' | '@' | '(' | ')' | '\\');
    if local.is_empty() || domain.is_empty() || !local.chars().all(plain) || !domain.chars().all(plain) {
        return Err("must be a plain address: local@domain".to_owned());
    }
    Ok(())
}

name!(/** One configured JumpCloud organization, by the name that the configuration gives it. */ IntegrationId, "integration", |t| slug(t, 64));
name!(/** The agent's id, given by the control plane at enrolment. */ AgentId, "agent id", |t| slug(t, 128));
name!(/** A job's id, given by the control plane; also the idempotency key. */ JobId, "job id", |t| slug(t, 128));
name!(/** A grant's id, given by the control plane in the grant job. */ GrantId, "grant id", |t| slug(t, 128));
name!(/** A JumpCloud administrator's id (`_id`). */ AccountId, "account id", account_id);
name!(/** A JumpCloud organization's id. */ OrgId, "organization id", account_id);
name!(/** An admin role's name, exactly as JumpCloud spells it. */ RoleName, "role", |t| line(t, 256));
name!(/** An e-mail address as given; compare with [`Email::same_mailbox`]. */ Email, "e-mail", email);

name!(/** What an operator said why: one line, at most 500 bytes. */ Remark, "reason", |t| line(t, 500));

impl Email {
    /// Whether two addresses name the same mailbox for our purposes: ASCII case is ignored.
    #[must_use]
    pub fn same_mailbox(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The part behind the last `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> String {
        self.0.rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_ascii_lowercase())
    }

    /// The part before the last `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_longest_length_is_taken_and_one_of_a_character_more_is_not() {
        for (longest, takes) in [
            (128, (|t: &str| GrantId::new(t).is_ok()) as fn(&str) -> bool),
            (256, |t| RoleName::new(t).is_ok()),
            (64, |t| AccountId::new(t).is_ok()),
            (500, |t| Remark::new(t).is_ok()),
        ] {
            assert!(takes(&"a".repeat(longest)), "{longest}");
            assert!(!takes(&"a".repeat(longest + 1)), "{longest} and one");
            assert!(!takes(""), "nothing");
        }
    }
}
