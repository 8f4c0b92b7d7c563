//! How the simulated API shows an administrator.
//!
//! Refuses to show an API key: the answer carries its prefix only, as JumpCloud's does. What an
//! account does not have is left out, not null: JumpCloud's documents know no null.

use serde_json::{Value, json};

use super::{
    account::Account,
    state::{State, hex_digest},
    switches::{IdKey, PluralRoles, RoleNameOfSeveral, RoleShown, Switches},
};

/// The object that `/api/users` answers.
pub(super) fn admin(account: &Account, state: &State, switches: &Switches) -> Value {
    let mut shown = json!({
        "email": account.email,
        "firstname": account.firstname,
        "lastname": account.lastname,
        "enableMultiFactor": account.enable_multi_factor,
        "totpEnrolled": account.totp_enrolled,
        "created": rfc3339(account.created_ms),
        "sessionCount": account.sessions,
    });
    put_id(&mut shown, switches.id_key, &account.id);
    put_roles(&mut shown, account, state, switches);
    put_key(&mut shown, account, switches);
    if switches.suspended_shown {
        shown["suspended"] = json!(account.suspended);
    }
    if account.provider {
        shown["provider"] = json!(state.provider.as_ref().map_or("", |provider| &provider.id));
    } else if switches.organization_shown {
        shown["organization"] = json!(state.home_of(account));
    }
    shown
}

/// The object that the routes of a provider answer (`Administrator` of the V2 document).
pub(super) fn provider_admin(account: &Account, state: &State, switches: &Switches) -> Value {
    let mut shown = json!({
        "email": account.email,
        "firstname": account.firstname,
        "lastname": account.lastname,
        "enableMultiFactor": account.enable_multi_factor,
        "registered": account.registered,
        "organizationAccessTotal": account.links.len(),
    });
    put_id(&mut shown, switches.provider_id_key, &account.id);
    put_roles(&mut shown, account, state, switches);
    put_key(&mut shown, account, switches);
    if switches.suspended_shown {
        shown["suspended"] = json!(account.suspended);
    }
    shown
}

/// The object for the sandbox's own control API: everything, and a digest of the key.
pub(super) fn admin_to_the_sandbox(account: &Account, state: &State) -> Value {
    let mut shown = admin(account, state, &Switches::default());
    shown["apiKeyDigest"] = json!(account.api_key.as_deref().map(hex_digest));
    shown["registered"] = json!(account.registered);
    if account.provider {
        shown["links"] = json!(account.links);
    }
    shown
}

/// Puts an identifier under its key or keys.
pub(super) fn put_id(shown: &mut Value, key: IdKey, id: &str) {
    if key != IdKey::V2 {
        shown["_id"] = json!(id);
    }
    if key != IdKey::V1 {
        shown["id"] = json!(id);
    }
}

fn put_roles(shown: &mut Value, account: &Account, state: &State, switches: &Switches) {
    let names = &account.roles;
    let id = |name: &String| state.role(name).map(|role| role.id.clone());
    let lone = match switches.role_name_of_several {
        RoleNameOfSeveral::Absent if names.len() > 1 => None,
        RoleNameOfSeveral::Last => names.last(),
        _ => names.first(),
    };
    if let Some(name) = lone {
        shown["roleName"] = json!(name);
        let role = match switches.role_shown {
            RoleShown::Id => id(name),
            RoleShown::Name => Some(name.clone()),
            RoleShown::Absent => None,
        };
        if let Some(role) = role {
            shown["role"] = json!(role);
        }
    }
    let (ids, names): (Vec<String>, &[String]) = match switches.plural_roles {
        _ if !switches.plural_roles_shown => return,
        PluralRoles::WithSeveral if names.len() < 2 => return,
        PluralRoles::Empty => (Vec::new(), &[]),
        _ => (names.iter().filter_map(id).collect(), names),
    };
    shown["roles"] = json!(ids);
    shown["roleNames"] = json!(names);
}

fn put_key(shown: &mut Value, account: &Account, switches: &Switches) {
    shown["apiKeyAllowed"] = json!(account.api_key_allowed);
    shown["apiKeySet"] = json!(account.api_key.is_some());
    let Some(key) = &account.api_key else { return };
    let prefix: String = key.chars().take(8).collect();
    let mut hash = json!({"prefix": prefix, "createdAt": rfc3339(account.created_ms)});
    if let Some(end) = account.api_key_expires_ms.filter(|_| switches.key_expiry_shown) {
        hash["expireAt"] = json!(rfc3339(end));
    }
    shown["apiKeyHash"] = hash;
}

/// A moment as JumpCloud writes it.
pub(super) fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}
