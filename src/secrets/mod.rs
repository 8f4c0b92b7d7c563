//! Secrets: one type that cannot be printed, the places they come from, the tag key, and the state key that seals
//! what lies on the disk.
//!
//! Refuses: a secret in argv, environment or configuration; a secret file that others can read; a program
//! that others can change.

mod at_rest;
mod command;
mod file;
pub(crate) mod forms;
pub mod guard;
mod receipt;
mod source;
mod state_key;
mod tag;

use zeroize::Zeroize;

pub use at_rest::{AtRest, SealError};
pub use command::{Command, CommandError, KEPT, PATH};
pub use file::{SecretError, credential, read_private, read_private_bytes, trust_owner_of};
pub use source::Source;
pub use state_key::{CannotUnseal, NoStateKey, StateKey};
pub use tag::{TagError, TagKey};

/// Text that must not be seen. Not `Clone`, not `Display`, not `Serialize`; `Debug` shows nothing;
/// wiped when dropped. HTTP and TLS libraries keep copies in buffers that we cannot wipe. As long as it lives, the
/// [`guard`] knows it.
pub struct Secret {
    text: Box<str>,
    _watch: guard::Watch,
}

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { _watch: guard::Watch::new(&text), text: text.into_boxed_str() }
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// A second copy, on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::new(self.text.to_string())
    }

    /// Names the secret without telling it: the first 8 hexadecimal digits of the SHA-256 of the whole of it.
    #[must_use]
    pub fn digest(&self) -> String {
        short(self.sha256().as_ref())
    }

    /// Tells one secret from another without keeping it.
    #[must_use]
    pub fn sha256(&self) -> aws_lc_rs::digest::Digest {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.text.as_bytes())
    }

    /// Compares in constant time.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.text.as_bytes(), other.text.as_bytes()).is_ok()
    }
}

/// The beginning of a digest: enough to tell two keys apart, too little to be one.
fn short(sum: &[u8]) -> String {
    sum.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_and_compares() {
        let secret = Secret::new("canary-7f3a".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert!(secret.same_as(&secret.duplicate()));
        assert!(!secret.same_as(&Secret::new("canary-7f3b".to_owned())));
    }

    #[test]
    fn a_secret_is_named_by_the_digest_of_the_whole_of_it() {
        // `printf canary-7f3a | sha256sum`
        assert_eq!(Secret::new("canary-7f3a".to_owned()).digest(), "59fb5173");
        assert_ne!(Secret::new("canary-7f3b".to_owned()).digest(), "59fb5173");
    }
}
