//! From the configuration and the connection files to clients: what either says of an integration is
//! put together here.
//!
//! A key may be said in the `[[integration]]` block or in the connection's `options`. Said in both, it
//! must say the same; `exclude_accounts` of both places count, because leaving one out would unprotect
//! somebody. Refuses to choose between two that differ: the integration is not used, and both places
//! are named.

use std::{collections::BTreeMap, sync::Arc, thread};

use aws_lc_rs::digest::Digest;

use crate::{
    clock,
    config::{Config, Integration, template},
    engine::{
        ids::{IntegrationId, RoleName},
        settings::{IntegrationSettings, Settings},
    },
    executor::{Clients, Keyed},
    jumpcloud::{self, Client, Connection, Insights, Setup},
    secrets::Source,
};

/// An integration as it is really used.
#[derive(Debug)]
pub struct Prepared {
    /// How it is reached, and as whom.
    pub connection: Connection,
    /// For the engine.
    pub settings: IntegrationSettings,
    /// For the client.
    pub setup: Setup,
    /// Whether Directory Insights is asked.
    pub insights: bool,
}

/// What became of all integrations.
pub(super) struct Connected {
    pub(super) settings: Settings,
    pub(super) clients: Arc<Clients>,
    /// What was read of each integration; nothing of a broken one.
    pub(super) prints: Vec<Option<Digest>>,
    /// Integrations that cannot be used, and why.
    pub(super) broken: BTreeMap<IntegrationId, String>,
}

/// Reads and checks everything that an integration needs.
///
/// # Errors
/// What is wrong, for the operator: the file or files, the key, what to do.
pub fn prepare(config: &Config, integration: &Integration) -> Result<Prepared, String> {
    let connection = connection(&integration.connection)?;
    let (settings, page_size, insights) = together(integration, &connection)?;
    let proxy = config.proxy_of(integration)?;
    let setup = Setup { proxy, page_size, rate_per_second: settings.rate_per_second, clock: clock::now };
    Ok(Prepared { connection, settings, setup, insights })
}

/// The engine's settings, with what those connections say that can be read.
#[must_use]
pub fn settings(config: &Config) -> Settings {
    let mut settings = config.settings();
    for (own, integration) in settings.integrations.iter_mut().zip(&config.integrations) {
        if let Ok(prepared) = prepare(config, integration) {
            *own = prepared.settings;
        }
    }
    settings
}

/// One broken connection never stops the others, nor the agent.
pub(super) fn connect(config: &Config) -> Connected {
    let ignored = config.ignored_variables();
    if !ignored.is_empty() {
        tracing::warn!(
            variables = ignored.join(", "),
            "proxy: variables of the environment are ignored; set control_plane.proxy to \"environment\" to use them, to a URL, or to \"direct\""
        );
    }
    let mut all = Connected {
        settings: config.settings(),
        clients: Arc::default(),
        prints: Vec::new(),
        broken: BTreeMap::new(),
    };
    for (number, prepared) in prepare_all(config).into_iter().enumerate() {
        let id = config.integrations[number].settings.id.clone();
        match prepared.and_then(|prepared| open(&prepared).map(|made| (prepared, made))) {
            Ok((prepared, (client, insights))) => {
                all.settings.integrations[number] = prepared.settings;
                let key = Keyed { client: Arc::new(client), insights: insights.map(Arc::new) };
                all.clients.put(&id, key, false);
                all.prints.push(Some(prepared.connection.print));
            }
            Err(problem) => {
                all.prints.push(None);
                tracing::error!(integration = %id, error = problem, "connection: cannot be used; nothing can be raised or ended there until there is a good one, which is looked for again");
                all.broken.insert(id, problem);
            }
        }
    }
    all
}

/// All at the same time: a program that is waited for delays no other one.
fn prepare_all(config: &Config) -> Vec<Result<Prepared, String>> {
    thread::scope(|scope| {
        let start = |integration| scope.spawn(move || prepare(config, integration));
        let started: Vec<_> = config.integrations.iter().map(start).collect();
        let lost = |_| Err("connection: the thread that read it was lost".to_owned());
        started.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    })
}

/// The clients of a prepared integration.
///
/// # Errors
/// What is wrong with an origin, the authorities or the proxy.
pub fn open(prepared: &Prepared) -> Result<(Client, Option<Insights>), String> {
    let client = Client::new(&prepared.connection, &prepared.setup).map_err(|e| e.to_string())?;
    if !prepared.insights {
        return Ok((client, None));
    }
    let insights = client.insights(&prepared.connection, &prepared.setup).map_err(|e| e.to_string())?;
    let unknown = || {
        let origin = &prepared.connection.origin;
        format!(
            "connection {origin}: `insights_url`: expected the host of Directory Insights of this console's region, which this version does not know; or set insights = false"
        )
    };
    Ok((client, Some(insights.ok_or_else(unknown)?)))
}

fn connection(source: &Source) -> Result<Connection, String> {
    let json = source.read().map_err(|e| e.to_string())?;
    Connection::parse(&json, &source.to_string()).map_err(|e| e.to_string())
}

fn together(
    integration: &Integration,
    connection: &Connection,
) -> Result<(IntegrationSettings, u32, bool), String> {
    let jumpcloud::Options {
        roles,
        exclude_accounts,
        role_mode,
        email_template,
        rate_limit,
        page_size,
        insights,
    } = connection.options.clone();
    let both = Both { said: &integration.said, file: &connection.origin };
    let mut settings = integration.settings.clone();
    let template = |text: &String| template::check(text).err();
    if let Some(expected) = email_template.as_ref().and_then(template) {
        return Err(format!(
            "connection {}: `options.email_template`: expected {expected}",
            connection.origin
        ));
    }
    let offered = roles.map(|roles| Some(roles).filter(|roles| !roles.is_empty()).map(sorted));
    let configured = settings.offered_roles.take().map(sorted);
    settings.offered_roles = both.one("roles", configured, offered)?;
    settings.role_mode = both.one("role_mode", settings.role_mode, role_mode)?;
    settings.email_template =
        both.one("email_template", settings.email_template, email_template.map(Some))?;
    settings.rate_per_second = both.one("rate_limit", settings.rate_per_second, rate_limit)?;
    for account in exclude_accounts.into_iter().flatten() {
        if !settings.exclude_accounts.iter().any(|known| known.same_mailbox(&account)) {
            settings.exclude_accounts.push(account);
        }
    }
    let page_size = both.one("page_size", integration.page_size, page_size)?;
    Ok((settings, page_size, both.one("insights", integration.insights, insights)?))
}

/// The two places where a key may be said.
struct Both<'a> {
    said: &'a BTreeMap<&'static str, String>,
    file: &'a str,
}

impl Both<'_> {
    fn one<T: PartialEq>(&self, key: &str, configured: T, option: Option<T>) -> Result<T, String> {
        let Some(option) = option else { return Ok(configured) };
        match self.said.get(key) {
            Some(place) if configured != option => Err(format!(
                "`{key}` is said twice and not the same: `integration.{key}` in {place} and `options.{key}` in connection {}: remove one of the two",
                self.file
            )),
            _ => Ok(option),
        }
    }
}

fn sorted(mut roles: Vec<RoleName>) -> Vec<RoleName> {
    roles.sort();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;
    use crate::{config::Sources, engine::settings::RoleMode};

    /// The integration of this block with these options, and the folder that both lie in.
    fn prepared(block: &str, options: &str) -> Result<Prepared, String> {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), block, options);
        prepare(&config, &config.integrations[0])
    }

    fn config(dir: &Path, block: &str, options: &str) -> Config {
        let (main, file) = (dir.join("ephemerald.toml"), dir.join("main.json"));
        fs::write(&file, format!(r#"{{"region": "eu", "token": "canary", "options": {options}}}"#)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&main, format!("[[integration]]\nname = \"main\"\nconnection_file = {file:?}\n{block}"))
            .unwrap();
        Config::load(&Sources { file: Some(main), ..Sources::default() }).unwrap().config
    }

    #[test]
    fn what_only_one_place_says_holds_and_a_default_contradicts_nothing() {
        let options = r#"{"roles": ["B", "A", "B"], "role_mode": "multiple", "rate_limit": 3, "page_size": 7,
            "insights": true, "email_template": "x+{tag}@{domain}"}"#;
        let found = prepared("", options).unwrap();
        assert_eq!(found.settings.role_mode, RoleMode::Multiple);
        assert_eq!((found.settings.rate_per_second, found.setup.rate_per_second), (3, 3));
        assert_eq!((found.setup.page_size, found.insights), (7, true));
        assert_eq!(found.settings.email_template.as_deref(), Some("x+{tag}@{domain}"));
        let roles: Vec<_> = found.settings.offered_roles.iter().flatten().map(|r| r.as_str()).collect();
        assert_eq!(roles, ["A", "B"]);
        let found = prepared("role_mode = \"multiple\"\nrate_limit = 4\ninsights = true", "{}").unwrap();
        assert_eq!((found.settings.role_mode, found.settings.rate_per_second), (RoleMode::Multiple, 4));
        assert!(found.insights);
    }

    #[test]
    fn what_both_say_alike_holds() {
        let block = "role_mode = \"multiple\"\nrate_limit = 4\nroles = [\"B\", \"A\"]\npage_size = 100";
        let options = r#"{"role_mode": "multiple", "rate_limit": 4, "roles": ["A", "B"], "page_size": 100}"#;
        assert_eq!(prepared(block, options).unwrap().settings.rate_per_second, 4);
    }

    #[test]
    fn what_both_say_differently_is_refused_and_both_places_are_named() {
        for (key, block, option) in [
            ("roles", "roles = [\"A\"]", r#"["B"]"#),
            ("roles", "roles = []", r#"["B"]"#),
            ("role_mode", "role_mode = \"single\"", r#""multiple""#),
            ("email_template", "email_template = \"a+{tag}@{domain}\"", r#""b+{tag}@{domain}""#),
            ("rate_limit", "rate_limit = 10", "9"),
            ("page_size", "page_size = 100", "99"),
            ("insights", "insights = false", "true"),
        ] {
            let said = prepared(block, &format!(r#"{{"{key}": {option}}}"#)).unwrap_err();
            for words in [format!("`integration.{key}`"), format!("`options.{key}`")] {
                assert!(said.contains(&words), "{said}");
            }
            assert!(
                said.contains("ephemerald.toml") && said.contains("main.json") && !said.contains("canary"),
                "{said}"
            );
        }
    }

    #[test]
    fn excluded_accounts_of_both_places_are_excluded() {
        let block = "exclude_accounts = [\"a@example.com\", \"b@example.com\"]";
        let found = prepared(block, r#"{"exclude_accounts": ["B@example.com", "c@example.com"]}"#).unwrap();
        let all: Vec<_> = found.settings.exclude_accounts.iter().map(|e| e.as_str()).collect();
        assert_eq!(all, ["a@example.com", "b@example.com", "c@example.com"]);
    }

    #[test]
    fn a_template_of_the_connection_is_checked_as_the_policy_s_is() {
        let said = prepared("", r#"{"email_template": "x@{domain}"}"#).unwrap_err();
        assert!(said.contains("main.json") && said.contains("holds {tag} once"), "{said}");
    }

    #[test]
    fn a_program_that_is_waited_for_delays_no_other_connection() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        let json = r#"{"region": "eu", "token": "canary"}"#;
        // The first ends only after the second has run.
        let block = |name: &str, script: &str| {
            let script = format!("{script} && echo '{json}'");
            format!(
                "[[integration]]\nname = {name:?}\nconnection_command = [\"/bin/sh\", \"-c\", {script:?}]\n"
            )
        };
        let waits = format!("until [ -e {} ]; do :; done", there.display());
        let both = block("first", &waits) + &block("second", &format!("touch {}", there.display()));
        let connected = connect(&config(dir.path(), &both, "{}"));
        assert!(connected.broken.is_empty(), "{:?}", connected.broken);
        assert_eq!(connected.clients.all().len(), 3);
    }

    #[test]
    fn one_broken_integration_is_named_and_the_others_are_connected() {
        let dir = tempfile::tempdir().unwrap();
        let block = "[[integration]]\nname = \"gone\"\nconnection_file = \"/nonexistent/jc.json\"\n";
        let connected = connect(&config(dir.path(), block, r#"{"rate_limit": 2, "insights": true}"#));
        let all = connected.clients.all();
        assert_eq!(all.keys().map(IntegrationId::as_str).collect::<Vec<_>>(), ["main"]);
        assert!(all.values().all(|key| key.insights.is_some()));
        assert!(matches!(connected.prints.as_slice(), [Some(_), None]));
        assert!(connected.broken[&IntegrationId::new("gone").unwrap()].contains("/nonexistent/jc.json"));
        assert_eq!(connected.settings.integrations.len(), 2, "the engine knows both");
        assert_eq!(connected.settings.integrations[0].rate_per_second, 2);
    }
}
