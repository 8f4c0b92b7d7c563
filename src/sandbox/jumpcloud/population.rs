//! Who there is at the start, unless somebody wrote a population by hand.
//!
//! Refuses addresses outside `example.com`, `example.net` and `example.org`: nobody must get mail.

use super::{
    account::Account,
    roles::BILLING_ADMIN,
    state::State,
    tenancy::{Organization, Provider},
};

/// Identifier of the first organization.
pub(super) fn first_organization() -> String {
    "5f00c0de00000000000000aa".to_owned()
}

/// Its name.
pub(super) fn first_organization_name() -> String {
    "Simulated Organization".to_owned()
}

/// One organization with ten administrators; the owner has `api_key`.
pub(super) fn one_organization(api_key: &str, now_ms: i64) -> State {
    let mut state = State::empty();
    for (email, firstname, lastname, role) in PEOPLE {
        let mut account = person(&mut state, email, role, now_ms);
        firstname.clone_into(&mut account.firstname);
        lastname.clone_into(&mut account.lastname);
        state.accounts.push(account);
    }
    state.accounts[0].api_key = Some(api_key.to_owned());
    state.accounts[0].api_key_allowed = true;
    state
}

/// The same organization and two more under a provider. `provider@example.com` has `api_key`, which
/// sees the first two organizations and needs `x-org-id`; nobody else has a key.
pub(super) fn provider(api_key: &str, now_ms: i64) -> State {
    let mut state = one_organization(api_key, now_ms);
    let provider =
        Provider { id: "5f00c0de000000000000a5a5".to_owned(), name: "Simulated Provider".to_owned() };
    state.provider = Some(provider);
    for (id, name, domain) in FURTHER {
        state.organizations.push(Organization { id: id.to_owned(), name: name.to_owned() });
        for (local, role) in [("owner", BILLING_ADMIN), ("ines", "Help Desk"), ("jonas", "Read Only")] {
            let mut account = person(&mut state, &format!("{local}@{domain}"), role, now_ms);
            account.organization = Some(id.to_owned());
            state.accounts.push(account);
        }
    }
    let mut owner = person(&mut state, "provider@example.com", BILLING_ADMIN, now_ms);
    owner.provider = true;
    owner.links = vec![state.organization.clone(), FURTHER[0].0.to_owned()];
    owner.api_key_allowed = true;
    owner.api_key = state.accounts[0].api_key.take();
    state.accounts[0].api_key_allowed = false;
    state.accounts.push(owner);
    state
}

fn person(state: &mut State, email: &str, role: &str, now_ms: i64) -> Account {
    let mut account = state.blank(email, now_ms);
    account.roles = vec![role.to_owned()];
    account.totp_enrolled = true;
    account.registered = true;
    account
}

const FURTHER: [(&str, &str, &str); 2] = [
    ("5f00c0de00000000000000bb", "Second Simulated Organization", "example.net"),
    ("5f00c0de00000000000000cc", "Third Simulated Organization", "example.org"),
];

const PEOPLE: [(&str, &str, &str, &str); 10] = [
    ("owner@example.com", "Olivia", "Owner", BILLING_ADMIN),
    ("breakglass@example.com", "Bela", "Breakglass", BILLING_ADMIN),
    ("amara@example.com", "Amara", "Okafor", "Read Only"),
    ("bruno@example.com", "Bruno", "Silva", "Read Only"),
    ("chiara@example.com", "Chiara", "Ricci", "Read Only"),
    ("dmitri@example.com", "Dmitri", "Volkov", "Help Desk"),
    ("elif@example.com", "Elif", "Demir", "Help Desk"),
    ("farid@example.com", "Farid", "Haddad", "Help Desk"),
    ("greta@example.com", "Greta", "Lind", "Manager"),
    ("hana@example.com", "Hana", "Sato", "Manager"),
];
