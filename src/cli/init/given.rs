//! What is given before anything is asked: flags, and a file of answers with the same names.
//!
//! Refuses: unknown keys in the file, and secrets in either place. A key, a client secret and an agent
//! token are named by the file that holds them; no error quotes a line of the answers.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, str::FromStr};

use clap::ValueEnum;
use serde::{Deserialize, Deserializer};

/// Answers, as far as they were given. The names are those of the flags with `_` for `-`, except that
/// the lists are called `protected_accounts`, `allowed_accounts`, `roles` and `ephemeral_domains`.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    /// How the agent will run; found out when absent
    #[arg(long, value_name = "HOW")]
    pub(super) layout: Option<Layout>,
    /// Where configuration, policy and connection go
    #[arg(long, value_name = "DIR")]
    pub(super) config_dir: Option<PathBuf>,
    /// The global flag of this name is the flag for it.
    #[arg(skip)]
    pub(super) state_dir: Option<PathBuf>,
    /// What people call this agent; the control plane shows it
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// What jobs call this JumpCloud organization
    #[arg(long, value_name = "NAME")]
    pub(super) integration: Option<String>,
    /// Region of the JumpCloud organization
    #[arg(long, value_name = "REGION", conflicts_with = "url")]
    pub(super) region: Option<Region>,
    /// Instead of a region: the console's address
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// File that holds an administrator's API key; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "client_id")]
    pub(super) api_key_file: Option<PathBuf>,
    /// Instead of an API key: a service account's client id
    #[arg(long, value_name = "ID", requires = "client_secret_file")]
    pub(super) client_id: Option<String>,
    /// File that holds the service account's secret; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "client_id")]
    pub(super) client_secret_file: Option<PathBuf>,
    /// Organization id, for a key that sees several
    #[arg(long, value_name = "ID")]
    pub(super) org_id: Option<String>,
    /// Certificate authority of that address, PEM, if it is a private one
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Whether an administrator has one role or several
    #[arg(long, value_name = "MODE")]
    pub(super) role_mode: Option<RoleMode>,
    /// Account that is never raised; may be given several times
    #[arg(long = "protect", value_name = "EMAIL")]
    pub(super) protected_accounts: Option<Vec<String>>,
    /// Account, or whole domain as *@DOMAIN, that may be raised; several times
    #[arg(long = "allow", value_name = "EMAIL")]
    pub(super) allowed_accounts: Option<Vec<String>>,
    /// Role that may be granted and for how long, such as "Help Desk=4h"; several times
    #[arg(long = "role", value_name = "ROLE=TIME")]
    #[serde(deserialize_with = "roles")]
    pub(super) roles: Option<Vec<RoleTime>>,
    /// Longest duration of any grant
    #[arg(long, value_name = "TIME")]
    pub(super) max_duration: Option<String>,
    /// Plan only, or do it
    #[arg(long, value_name = "MODE")]
    pub(super) mode: Option<Mode>,
    /// Domain in which ephemeral accounts may be made; several times
    #[arg(long = "ephemeral-domain", value_name = "DOMAIN")]
    pub(super) ephemeral_domains: Option<Vec<String>>,
    /// File that holds the control plane's agent token; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) agent_token_file: Option<PathBuf>,
    /// Certificate authority of the control plane, PEM, if it is a private one
    #[arg(long, value_name = "FILE")]
    pub(super) control_ca_file: Option<PathBuf>,
}

/// How the agent will run, which decides paths, owners and the commands that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Layout {
    /// A system service: /etc/ephemerald and /var/lib/ephemerald.
    System,
    /// This user's own process, below the home directory.
    User,
    /// A container that has the configuration directory at /etc/ephemerald.
    Container,
}

/// A region of JumpCloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Region {
    /// United States.
    Us,
    /// European Union.
    Eu,
    /// India.
    In,
}

/// As `role_mode` of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RoleMode {
    /// One role each: a grant replaces it.
    Single,
    /// Several: a grant adds one.
    Multiple,
}

/// As `mode` of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Plan and report, raise nothing.
    DryRun,
    /// Raise what the policy allows.
    Enforce,
}

/// A role and how long it may be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleTime {
    pub(super) role: String,
    pub(super) longest: String,
}

impl Region {
    /// The console's origin (the hosts that JumpCloud's own module connects to, `Connect-JCOnline`).
    pub(super) fn url(self) -> &'static str {
        match self {
            Self::Us => "https://console.jumpcloud.com",
            Self::Eu => "https://console.eu.jumpcloud.com",
            Self::In => "https://console.in.jumpcloud.com",
        }
    }
}

impl RoleMode {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Multiple => "multiple",
        }
    }
}

impl Mode {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::Enforce => "enforce",
        }
    }
}

impl FromStr for RoleTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, longest) = text.rsplit_once('=').ok_or("expected ROLE=TIME, such as \"Help Desk=4h\"")?;
        Ok(Self { role: role.trim().to_owned(), longest: longest.trim().to_owned() })
    }
}

/// In a file they are a table, as in the policy.
fn roles<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<RoleTime>>, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(from)?;
    Ok(Some(table.into_iter().map(|(role, longest)| RoleTime { role, longest }).collect()))
}

impl Given {
    /// Reads a file of answers.
    ///
    /// # Errors
    /// The file, the line and what is wrong; never the line itself, which may hold a misplaced secret.
    pub(super) fn of_file(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let at = |line: usize, what: &str| format!("{}: line {line}: {what}", path.display());
        let syntax = |error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            at(before.matches('\n').count() + 1, error.message())
        };
        let mut unknown: Option<String> = None;
        let source = toml::Deserializer::parse(&text).map_err(syntax)?;
        let read = serde_ignored::deserialize(source, |key| {
            unknown.get_or_insert_with(|| key.to_string());
        });
        let read = read.map_err(syntax)?;
        let Some(key) = unknown else { return Ok(read) };
        let likeness = |known: &&str| strsim::jaro_winkler(known, &key);
        let nearest = KEYS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let nearest = nearest.filter(|known| likeness(known) > 0.75);
        let hint = nearest.map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
        Err(format!("{}: unknown key `{key}`{hint}", path.display()))
    }

    /// What is given here, and for the rest what `file` gives. An address or a credential here
    /// replaces the other kind there.
    pub(super) fn over(self, mut file: Self) -> Self {
        if self.url.is_some() || self.region.is_some() {
            (file.url, file.region) = (None, None);
        }
        if self.api_key_file.is_some() || self.client_id.is_some() {
            (file.api_key_file, file.client_id, file.client_secret_file) = (None, None, None);
        }
        self.or(file)
    }
}

macro_rules! keys {
    ($($key:ident)*) => {
        /// Every key that a file of answers may have.
        const KEYS: &[&str] = &[$(stringify!($key)),*];

        impl Given {
            fn or(self, other: Self) -> Self {
                Self { $($key: self.$key.or(other.$key)),* }
            }
        }
    };
}

keys!(layout config_dir state_dir name integration region url api_key_file client_id
    client_secret_file org_id ca_file role_mode protected_accounts allowed_accounts roles
    max_duration mode ephemeral_domains agent_token_file control_ca_file);

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Given, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answers.toml");
        fs::write(&path, text).unwrap();
        Given::of_file(&path)
    }

    #[test]
    fn a_flag_is_stronger_than_the_file_and_an_address_replaces_a_region() {
        let given = file("region = \"eu\"\nmode = \"dry_run\"\n[roles]\n\"Help Desk\" = \"4h\"").unwrap();
        let flags = Given { url: Some("https://jc.example".into()), ..Given::default() };
        let both = flags.over(given);
        assert_eq!((both.region, both.url.as_deref()), (None, Some("https://jc.example")));
        assert_eq!(both.mode, Some(Mode::DryRun));
        assert_eq!(both.roles, Some(vec!["Help Desk=4h".parse().unwrap()]));
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        for (text, words) in [
            ("api_key = \"canary-5f\"", "unknown key `api_key`; did you mean `api_key_file`?"),
            ("client_secret = \"canary-5f\"", "did you mean `client_secret_file`?"),
            ("\nurl = \"canary-5f", "answers.toml: line 2"),
            ("\n\nname = [\"canary-5f\"]", "answers.toml: line 3"),
        ] {
            let said = file(text).unwrap_err();
            assert!(said.contains(words) && !said.contains("canary"), "{said}");
        }
    }
}
