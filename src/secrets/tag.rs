//! The tag key: makes addresses of ephemeral accounts recognisable as ours by the key alone, and
//! authenticates receipts. It is part of the backup: without it our own accounts are strangers.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{digest, hmac, rand};
use zeroize::Zeroizing;

use super::{AtRest, SealError, SecretError, guard::Watch, read_private_bytes};
use crate::engine::ids::{BadName, Email, GrantId, OrgId};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 5;
const MAC_BYTES: usize = 10;
/// 15 bytes in base 32.
const TAG_CHARS: usize = 24;
/// RFC 5321, 4.5.3.1.1.
const MAX_LOCAL: usize = 64;
/// Lower-case base 32 without look-alikes at the end: what a local part may hold everywhere.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The key.
pub struct TagKey {
    key: hmac::Key,
    _watch: Watch,
}

/// Why there is no tag key.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// The file is not usable.
    #[error("tag key: {0}")]
    File(#[from] SecretError),
    /// It is sealed, and cannot be opened.
    #[error("tag key: {path} {problem}", path = path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: SealError,
    },
    /// It has another length.
    #[error("tag key {path}: expected {KEY_BYTES} bytes, found {found}: restore it from the backup", path = path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
    /// It cannot be made.
    #[error("tag key {path}: cannot be made: {problem}", path = path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
}

impl TagKey {
    /// Under which label it is sealed.
    pub const LABEL: &str = "tag key";

    /// Reads the key, or makes one: under a temporary name, synced, then renamed.
    ///
    /// # Errors
    /// [`TagError`]; an existing file that cannot be used is never replaced.
    pub fn load_or_create(path: &Path, rest: &AtRest) -> Result<Self, TagError> {
        // A link that leads nowhere, or a file that cannot be seen, is an error below and never replaced.
        if matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            create(path, rest).map_err(|problem| TagError::Make { path: path.to_owned(), problem })?;
        }
        let stored = read_private_bytes(path)?;
        let bytes = rest
            .open(Self::LABEL, stored)
            .map_err(|problem| TagError::Sealed { path: path.to_owned(), problem })?;
        if bytes.len() != KEY_BYTES {
            return Err(TagError::Length { path: path.to_owned(), found: bytes.len() });
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), _watch: Watch::of_key(&bytes) })
    }

    /// The tag of a grant in an organization: nonce ‖ HMAC, the same at every retry.
    #[must_use]
    pub fn tag(&self, org: &OrgId, grant: &GrantId) -> String {
        let nonce = digest::digest(&digest::SHA256, grant.as_str().as_bytes());
        let nonce = &nonce.as_ref()[..NONCE_BYTES];
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(
            &self.mac(&[b"ephemerald tag v1", org.as_str().as_bytes(), nonce])[..MAC_BYTES],
        );
        base32(&bytes)
    }

    /// The address of an ephemeral account, from a template of `{requester}`, `{tag}` and `{domain}`.
    ///
    /// # Errors
    /// [`BadName`] if what comes out is no address.
    pub fn address(
        &self,
        template: &str,
        requester: &Email,
        domain: &str,
        org: &OrgId,
        grant: &GrantId,
    ) -> Result<Email, BadName> {
        // The requester goes in last: braces are legal in an address, and must stay what they are.
        let text = template
            .replace("{tag}", &self.tag(org, grant))
            .replace("{domain}", domain)
            .replace("{requester}", requester.local());
        let address = Email::new(&text)?;
        if address.local().len() > MAX_LOCAL {
            return Err(BadName {
                what: "e-mail",
                problem: "its local part would be longer than 64 characters".to_owned(),
            });
        }
        Ok(address)
    }

    /// Whether an address carries a tag that this key made for the organization.
    #[must_use]
    pub fn verify(&self, org: &OrgId, address: &Email) -> bool {
        // At every place: the template may put letters right beside the tag.
        let local = address.local().as_bytes();
        local.len() <= MAX_LOCAL && local.windows(TAG_CHARS).any(|text| self.is_tag(org, text))
    }

    fn is_tag(&self, org: &OrgId, text: &[u8]) -> bool {
        let Some(bytes) = unbase32(text) else { return false };
        let (nonce, mac) = bytes.split_at(NONCE_BYTES);
        let expected = self.mac(&[b"ephemerald tag v1", org.as_str().as_bytes(), nonce]);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected[..MAC_BYTES], mac).is_ok()
    }

    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagKey(***)")
    }
}

fn create(path: &Path, rest: &AtRest) -> Result<(), String> {
    let mut key = Zeroizing::new([0u8; KEY_BYTES]);
    rand::fill(key.as_mut()).map_err(|_| "no entropy".to_owned())?;
    let stored = rest.seal(TagKey::LABEL, key.as_ref()).map_err(|error| format!("it {error}"))?;
    let temporary = path.with_extension("tmp");
    let _ = fs::remove_file(&temporary);
    let text = |e: io::Error| e.to_string();
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(text)?;
    file.write_all(&stored).and_then(|()| file.sync_all()).map_err(text)?;
    fs::rename(&temporary, path).map_err(text)?;
    let dir = path.parent().unwrap_or_else(|| Path::new("/"));
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(text)
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut word = [0u8; 8];
        word[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(word);
        let digits = (chunk.len() * 8).div_ceil(5);
        text.extend((0..digits).map(|i| char::from(ALPHABET[(bits >> (35 - 5 * i) & 31) as usize])));
    }
    text
}

/// Whole groups only, as our tags are; case is folded, as mail systems do.
fn unbase32(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for group in text.chunks_exact(8) {
        let mut bits = 0u64;
        for c in group {
            let digit = ALPHABET.iter().position(|a| a == &c.to_ascii_lowercase())?;
            bits = bits << 5 | digit as u64;
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_recognised_by_the_key_alone_and_by_no_other_key() {
        let dir = tempfile::tempdir().unwrap();
        let key = TagKey::load_or_create(&dir.path().join("tag.key"), &AtRest::Plain).unwrap();
        let (org, grant) = (OrgId::new("5f01").unwrap(), GrantId::new("g-1").unwrap());
        let ada = Email::new("ada@example.com").unwrap();
        let address = key.address("{requester}+{tag}@{domain}", &ada, "example.com", &org, &grant).unwrap();
        assert!(address.as_str().starts_with("ada+") && address.as_str().ends_with("@example.com"));
        let again = TagKey::load_or_create(&dir.path().join("tag.key"), &AtRest::Plain).unwrap();
        assert_eq!(
            again.address("{requester}+{tag}@{domain}", &ada, "example.com", &org, &grant).unwrap(),
            address
        );
        assert!(again.verify(&org, &address));
        assert!(!again.verify(&OrgId::new("5f02").unwrap(), &address), "bound to the organization");
        let other = TagKey::load_or_create(&dir.path().join("other.key"), &AtRest::Plain).unwrap();
        assert!(!other.verify(&org, &address));
        assert!(!again.verify(&org, &ada));
    }

    #[test]
    fn a_key_of_another_length_is_never_replaced() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tag.key");
        fs::write(&path, b"short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            TagKey::load_or_create(&path, &AtRest::Plain),
            Err(TagError::Length { found: 5, .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }

    #[test]
    fn a_tag_is_found_wherever_the_template_puts_it_and_in_any_case() {
        let dir = tempfile::tempdir().unwrap();
        let key = TagKey::load_or_create(&dir.path().join("tag.key"), &AtRest::Plain).unwrap();
        let (org, grant) = (OrgId::new("5f01").unwrap(), GrantId::new("g-1").unwrap());
        let ada = Email::new("ada@example.com").unwrap();
        for template in ["{tag}@{domain}", "jit-{tag}-{requester}@{domain}", "{requester}{tag}x@{domain}"] {
            let address = key.address(template, &ada, "d.example", &org, &grant).unwrap();
            assert!(key.verify(&org, &address), "{address}");
            assert!(key.verify(&org, &Email::new(&address.as_str().to_ascii_uppercase()).unwrap()));
        }
    }

    #[test]
    fn one_other_letter_in_a_tag_makes_it_a_stranger() {
        let dir = tempfile::tempdir().unwrap();
        let key = TagKey::load_or_create(&dir.path().join("tag.key"), &AtRest::Plain).unwrap();
        let (org, grant) = (OrgId::new("5f01").unwrap(), GrantId::new("g-1").unwrap());
        let tag = key.tag(&org, &grant);
        assert_eq!(tag.len(), TAG_CHARS);
        for at in 0..TAG_CHARS {
            let mut other = tag.clone().into_bytes();
            other[at] = if other[at] == b'a' { b'b' } else { b'a' };
            let text = format!("ada+{}@example.com", std::str::from_utf8(&other).unwrap());
            assert!(!key.verify(&org, &Email::new(&text).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_requester_is_never_shortened_and_never_taken_for_a_placeholder() {
        let dir = tempfile::tempdir().unwrap();
        let key = TagKey::load_or_create(&dir.path().join("tag.key"), &AtRest::Plain).unwrap();
        let (org, grant) = (OrgId::new("5f01").unwrap(), GrantId::new("g-1").unwrap());
        let made = |requester: String| {
            let requester = Email::new(&format!("{requester}@example.com")).unwrap();
            key.address("{requester}+{tag}@{domain}", &requester, "example.com", &org, &grant)
        };
        assert_eq!(made("a".repeat(MAX_LOCAL - TAG_CHARS - 1)).unwrap().local().len(), MAX_LOCAL);
        assert!(made("a".repeat(MAX_LOCAL - TAG_CHARS)).is_err());
        assert!(made("{domain}".to_owned()).unwrap().as_str().starts_with("{domain}+"));
    }

    #[test]
    fn a_key_behind_a_dangling_link_is_an_error_and_the_link_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tag.key");
        std::os::unix::fs::symlink(dir.path().join("unmounted/tag.key"), &path).unwrap();
        assert!(TagKey::load_or_create(&path, &AtRest::Plain).is_err());
        assert!(path.symlink_metadata().unwrap().file_type().is_symlink());
    }
}
