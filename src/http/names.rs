//! Names to addresses, by the system's resolver, told as what it is when it fails.
//!
//! Refuses to wait longer than its share of the time to a connection, so that a resolver which is silent is
//! not taken for a server which is. Nothing is remembered: an address that changed is found at the next
//! connection.

use std::{fmt, net::SocketAddr, time::Duration};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{net::lookup_host, time::timeout};

/// The system's resolver.
#[derive(Debug)]
pub(super) struct Resolver {
    patience: Duration,
}

impl Resolver {
    /// One that leaves a fifth of this time for the connection itself.
    pub(super) fn within(connect: Duration) -> Self {
        Self { patience: connect.mul_f64(0.8) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let patience = self.patience;
        Box::pin(async move {
            let found = addresses(name.as_str(), 0, patience).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, or of a literal one.
///
/// # Errors
/// [`NoAddress`] says how the resolver failed.
pub(super) async fn addresses(
    name: &str,
    port: u16,
    patience: Duration,
) -> Result<Vec<SocketAddr>, NoAddress> {
    let failed = |how| NoAddress { name: name.to_owned(), how };
    let Ok(found) = timeout(patience, lookup_host((name, port))).await else {
        return Err(failed(How::Silent(patience)));
    };
    let found: Vec<_> = found.map_err(|error| failed(How::of(&error.to_string())))?.collect();
    if found.is_empty() { Err(failed(How::Unknown("no address".to_owned()))) } else { Ok(found) }
}

/// Why a name has no address.
#[derive(Debug)]
pub(super) struct NoAddress {
    name: String,
    how: How,
}

#[derive(Debug)]
enum How {
    /// The resolver knows that there is none.
    Unknown(String),
    /// The resolver could not find out.
    Broken(String),
    /// It did not even say that.
    Silent(Duration),
    Other(String),
}

impl How {
    /// By the words of glibc and musl: the codes of `getaddrinfo` do not come through.
    fn of(said: &str) -> Self {
        let said = said.rsplit(": ").next().unwrap_or(said).to_owned();
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&["not known", "does not resolve", "No address associated", "has no usable address"]) {
            return Self::Unknown(said);
        }
        if has(&["Temporary failure", "Try again", "Non-recoverable", "Unrecoverable"]) {
            return Self::Broken(said);
        }
        Self::Other(said)
    }
}

impl std::error::Error for NoAddress {}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.how {
            How::Unknown(said) => write!(
                f,
                "DNS knows no address of {name} ({said}): check the spelling, and that this machine's resolver may know it"
            ),
            How::Broken(said) => write!(
                f,
                "DNS failed for {name} ({said}): this machine's resolver does not answer, or answers with a failure (SERVFAIL)"
            ),
            How::Silent(patience) => write!(
                f,
                "DNS did not answer for {name} within {patience:?}: can this machine reach its resolver?"
            ),
            How::Other(said) => write!(f, "DNS failed for {name} ({said})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_literal_address_needs_no_resolver_and_the_name_below_invalid_has_none() {
        let found = addresses("::1", 443, Duration::from_secs(5)).await.unwrap();
        assert_eq!(found, ["[::1]:443".parse().unwrap()]);
        let error = addresses("jumpcloud.invalid", 443, Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().contains("jumpcloud.invalid"), "{error}");
    }

    #[test]
    fn each_answer_of_a_resolver_is_told_apart() {
        let said = |text: &str| NoAddress { name: "a.example".to_owned(), how: How::of(text) }.to_string();
        let gai = "failed to lookup address information: ";
        for (text, words) in [
            ("Name or service not known", "knows no address"),
            ("Name does not resolve", "knows no address"),
            ("No address associated with hostname", "knows no address"),
            ("Temporary failure in name resolution", "SERVFAIL"),
            ("Try again", "SERVFAIL"),
            ("something else", "DNS failed for a.example (something else)"),
        ] {
            let said = said(&format!("{gai}{text}"));
            assert!(said.contains(words) && said.contains(text) && said.contains("a.example"), "{said}");
        }
    }
}
