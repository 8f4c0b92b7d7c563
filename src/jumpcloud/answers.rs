//! The bodies of JumpCloud's answers, read without a request: exactly what the client makes of them.
//!
//! For whoever has an answer at hand, in a file or from a fuzzer. Refuses what the client refuses, and like
//! it gives no text back that JumpCloud chose beyond names, addresses and ids.

use super::{Me, auth, wire};
use crate::{
    engine::{
        ids::OrgId,
        observed::{DiscoveredRole, FaultClass, ObservedAccount, WhoAmI},
        time::{Millis, Timestamp},
    },
    secrets::Secret,
};

/// A page of something, and the total that it states.
pub type Page<T> = (Vec<T>, Option<u64>);

/// One administrator; `None`: the answer cannot be used.
#[must_use]
pub fn account(body: &[u8]) -> Option<ObservedAccount> {
    wire::account(body).ok()
}

/// A page of administrators; `None`: the answer cannot be used.
#[must_use]
pub fn accounts(body: &[u8]) -> Option<Page<ObservedAccount>> {
    wire::accounts(body).ok()
}

/// A page of roles; `None`: the answer cannot be used.
#[must_use]
pub fn roles(body: &[u8]) -> Option<Page<DiscoveredRole>> {
    wire::roles(body).ok()
}

/// A page of organizations; `None`: the answer cannot be used.
#[must_use]
pub fn organizations(body: &[u8]) -> Option<Page<OrgId>> {
    wire::organizations(body).ok().map(|page| (page.ids, page.total))
}

/// The answer of getSelf; `None`: it cannot be used.
#[must_use]
pub fn own(body: &[u8]) -> Option<Me> {
    let own = wire::own(body).ok()?;
    let who = WhoAmI { account: own.account, email: own.email, role: own.role, org: own.org };
    Some(Me { who, key_ends: own.key_ends })
}

/// The access token of a token endpoint's 2xx answer that came at `now`, and how long it is used.
///
/// # Errors
/// What is wrong with it, without any of its text.
pub fn token(body: &[u8], now: Timestamp) -> Result<(Secret, Millis), &'static str> {
    auth::granted(body, now).map(|(token, lives)| (Secret::new(token.to_string()), lives))
}

/// What another answer of a token endpoint means.
#[must_use]
pub fn token_refused(status: u16, body: &[u8]) -> FaultClass {
    auth::refused(status, body)
}
