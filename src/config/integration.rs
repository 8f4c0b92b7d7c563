//! The `[[integration]]` blocks.
//!
//! Refuses: two of one name, two that read the same connection (they would share one organization
//! without knowing of each other's budget, ledger streams and limits), and whatever [`super`] says.

use std::{collections::BTreeMap, fs};

use super::{
    ConfigError, Integration,
    duration::SECOND,
    proxy, raw,
    source::Said,
    template,
    validate::{Check, HOUR},
};
use crate::{
    engine::{
        ids::{Email, IntegrationId, RoleName},
        settings::{IntegrationSettings, RoleMode},
    },
    secrets::Source,
};

/// Keys that the connection's `options` may hold instead.
const SHARED: [&str; 7] =
    ["roles", "exclude_accounts", "role_mode", "email_template", "rate_limit", "page_size", "insights"];

pub(super) fn all(check: &Check<'_>, raw: &[raw::Integration]) -> Result<Vec<Integration>, ConfigError> {
    let mut integrations: Vec<Integration> = Vec::new();
    for (number, raw) in raw.iter().enumerate() {
        let at = format!("integration.{number}");
        let one = integration(check, &at, raw)?;
        for earlier in &integrations {
            if earlier.settings.id == one.settings.id {
                let found = format!("a second {:?}", raw.name);
                return Err(check.bad(&format!("{at}.name"), "a name of its own", &found));
            }
            if is_same(&earlier.connection, &one.connection) {
                let (key, shown) = shown(&one.connection);
                let found =
                    format!("{shown}, which integration {:?} reads too", earlier.settings.id.as_str());
                return Err(check.bad(&format!("{at}.{key}"), "a connection of its own", &found));
            }
        }
        integrations.push(one);
    }
    Ok(integrations)
}

fn integration(check: &Check<'_>, at: &str, raw: &raw::Integration) -> Result<Integration, ConfigError> {
    let key = |name: &str| format!("{at}.{name}");
    let role_mode = check.one_of(
        &key("role_mode"),
        &raw.role_mode,
        &[("single", RoleMode::Single), ("multiple", RoleMode::Multiple)],
    )?;
    check.one_of(&key("on_incomparable"), &raw.on_incomparable, &[("refuse", ())])?;
    let excluded = |text: &String| check.name(&key("exclude_accounts"), text, Email::new);
    let role = |text: &String| check.name(&key("roles"), text, RoleName::new);
    let roles: Vec<RoleName> = raw.roles.iter().map(role).collect::<Result<_, _>>()?;
    for (name, most, found) in [("rate_limit", 1000, raw.rate_limit), ("page_size", 100, raw.page_size)] {
        if !(1..=most).contains(&found) {
            return Err(check.bad(&key(name), &format!("1 to {most}"), &found.to_string()));
        }
    }
    if let Some(text) = &raw.email_template {
        template::check(text)
            .map_err(|expected| check.bad(&key("email_template"), &expected, &format!("{text:?}")))?;
    }
    let (proxy, proxy_auth) = way(check, at, raw)?;
    let said = SHARED.into_iter().filter_map(|name| Some((name, check.merged.origin(&key(name))?)));
    Ok(Integration {
        connection: connection(check, at, raw)?,
        proxy,
        proxy_auth,
        page_size: raw.page_size,
        insights: raw.insights,
        said: said.collect::<BTreeMap<_, _>>(),
        settings: IntegrationSettings {
            id: check.name(&key("name"), &raw.name, IntegrationId::new)?,
            role_mode,
            role_order: role_order(check, &key("role_order"), &raw.role_order)?,
            floor_role: check.name(&key("floor_role"), &raw.floor_role, RoleName::new)?,
            exclude_accounts: raw.exclude_accounts.iter().map(excluded).collect::<Result<_, _>>()?,
            offered_roles: Some(roles).filter(|roles| !roles.is_empty()),
            email_template: raw.email_template.clone(),
            observe_interval: check.duration(
                &key("observe_interval"),
                &raw.observe_interval,
                &(SECOND..=HOUR),
            )?,
            rate_per_second: raw.rate_limit,
        },
    })
}

fn way(
    check: &Check<'_>,
    at: &str,
    raw: &raw::Integration,
) -> Result<(proxy::Proxy, Option<Source>), ConfigError> {
    let auth = Said {
        at,
        of: "proxy_auth",
        file: raw.proxy_auth_file.as_ref(),
        credential: raw.proxy_auth_credential.as_ref(),
        command: raw.proxy_auth_command.as_ref(),
    };
    proxy::keys(check, raw.proxy.as_deref(), &auth)
}

fn connection(check: &Check<'_>, at: &str, raw: &raw::Integration) -> Result<Source, ConfigError> {
    let said = Said {
        at,
        of: "connection",
        file: raw.connection_file.as_ref(),
        credential: raw.connection_credential.as_ref(),
        command: raw.connection_command.as_ref(),
    };
    said.needed(check)
}

fn is_same(one: &Source, other: &Source) -> bool {
    match (one, other) {
        // Also by another way to the same file, if it is there already.
        (Source::File(one), Source::File(other)) => {
            let real = |path| fs::canonicalize(path).ok();
            one == other || real(one).is_some_and(|one| Some(one) == real(other))
        }
        (one, other) => one == other,
    }
}

fn shown(connection: &Source) -> (&'static str, String) {
    match connection {
        Source::File(path) => ("connection_file", format!("{:?}", path.display().to_string())),
        Source::Credential(name) => ("connection_credential", format!("{name:?}")),
        Source::Command(command) => ("connection_command", format!("the same call of {}", command.program())),
    }
}

fn role_order(
    check: &Check<'_>,
    key: &str,
    raw: &[Vec<String>],
) -> Result<Vec<(RoleName, RoleName)>, ConfigError> {
    let pair = |roles: &Vec<String>| {
        let [higher, lower] = roles.as_slice() else {
            let found = format!("{} roles", roles.len());
            return Err(check.bad(key, "pairs such as [[\"Higher\", \"Lower\"]]", &found));
        };
        if higher == lower {
            return Err(check.bad(key, "two different roles in a pair", &format!("{higher:?} twice")));
        }
        Ok((check.name(key, higher, RoleName::new)?, check.name(key, lower, RoleName::new)?))
    };
    raw.iter().map(pair).collect()
}
