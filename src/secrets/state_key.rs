//! The state key: authenticates what the agent keeps in its state directory and seals the keys that lie there. It lies
//! elsewhere, so that whoever has the disk, or can write to it, has nothing and can forge nothing.
//!
//! Refuses anything but 32 bytes, and to use one key for two purposes: each has one of its own, derived by its name.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    constant_time::verify_slices_are_equal,
    hmac,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::{Secret, guard::Watch};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// What a sealed file begins with.
const HEADER: &[u8] = b"ephemerald sealed v1\n";
/// Padded or not, and whatever the bits say that stand for nothing.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&alphabet::STANDARD, LENIENT), GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT)];

/// The key.
pub struct StateKey {
    key: hmac::Key,
    _watches: [Watch; 2],
}

/// What is written in its place is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 64 hexadecimal digits, or base64 of 32 bytes, found something else; make one with: openssl rand -hex 32"
)]
pub struct NoStateKey;

/// Sealed bytes that cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is sealed with another state key, or was changed")]
pub struct CannotUnseal;

impl StateKey {
    /// Reads the text of a key.
    ///
    /// # Errors
    /// [`NoStateKey`]; it shows nothing of the text.
    pub fn parse(text: &Secret) -> Result<Self, NoStateKey> {
        let trimmed = text.expose().trim();
        let bytes = unhex(trimmed)
            .or_else(|| BASE64.iter().find_map(|engine| engine.decode(trimmed).ok().map(Zeroizing::new)));
        let bytes = bytes.filter(|bytes| bytes.len() == KEY_BYTES).ok_or(NoStateKey)?;
        let _watches = [Watch::of_key(&bytes), Watch::new(trimmed)];
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), _watches })
    }

    /// What only this key makes of these parts; the first one names the purpose.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// A key for one purpose.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.mac(&[b"ephemerald state key derive v1", purpose.as_bytes()]))
    }

    /// Seals bytes that are kept under this label, and opens under no other.
    #[must_use]
    pub fn seal(&self, label: &str, content: &[u8]) -> Vec<u8> {
        let mut sealed = content.to_vec();
        let nonce = self
            .cipher()
            .seal_in_place_append_tag(Aad::from(label.as_bytes()), &mut sealed)
            .expect("a random nonce and a short content");
        [HEADER, nonce.as_ref(), &sealed].concat()
    }

    /// The bytes that were sealed under this label.
    ///
    /// # Errors
    /// [`CannotUnseal`]: another key, another label, or one other byte.
    pub fn unseal(&self, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotUnseal> {
        let rest = sealed.strip_prefix(HEADER).ok_or(CannotUnseal)?;
        let (nonce, content) = rest.split_at_checked(NONCE_BYTES).ok_or(CannotUnseal)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotUnseal)?;
        let mut content = Zeroizing::new(content.to_vec());
        let length = content.len().checked_sub(TAG_BYTES).ok_or(CannotUnseal)?;
        self.cipher()
            .open_in_place(nonce, Aad::from(label.as_bytes()), &mut content)
            .map_err(|_| CannotUnseal)?;
        content.truncate(length);
        Ok(content)
    }

    /// Whether two are one, in constant time.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let label: &[&[u8]] = &[b"ephemerald state key same v1"];
        verify_slices_are_equal(&self.mac(label), &other.mac(label)).is_ok()
    }

    fn cipher(&self) -> RandomizedNonceKey {
        let key = self.derive("sealed files");
        RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).expect("32 bytes are a key of AES-256")
    }
}

/// Whether bytes begin as sealed ones do.
#[must_use]
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER)
}

impl std::fmt::Debug for StateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateKey(***)")
    }
}

/// 64 digits in either case; nothing else.
fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    text.as_bytes().chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::guard::{self, Outlet};

    fn key(text: &str) -> Result<StateKey, NoStateKey> {
        StateKey::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_key_is_64_digits_or_base64_of_32_bytes_in_any_alphabet_and_nothing_else() {
        let bytes: Vec<u8> = (0..32).map(|n| 0xf8 | n).collect();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let all = [
            hex.clone(),
            hex.to_uppercase(),
            format!("  {hex}\n"),
            base64::engine::general_purpose::STANDARD.encode(&bytes),
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes),
            base64::engine::general_purpose::URL_SAFE.encode(&bytes),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
        ];
        assert!(all[3].contains('/') && all[5].contains('_'), "the alphabets differ");
        let first = key(&all[0]).unwrap();
        assert!(all.iter().all(|text| key(text).unwrap().same_as(&first)));
        for wrong in [&hex[2..], &format!("{hex}00"), "", "hunter2-hunter2", &all[3][4..], &"g".repeat(64)] {
            let error = key(wrong).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal") && error.contains("openssl"), "{error}");
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_and_label_only_and_no_byte_of_it_may_change() {
        let (ours, theirs) = (key(&"ab".repeat(32)).unwrap(), key(&"cd".repeat(32)).unwrap());
        let sealed = ours.seal("tag key", b"content");
        assert!(is_sealed(&sealed) && !is_sealed(b"content"));
        assert!(!sealed.windows(7).any(|bytes| bytes == b"content"));
        assert_eq!(ours.unseal("tag key", &sealed).unwrap().as_slice(), b"content");
        assert_ne!(ours.seal("tag key", b"content"), sealed, "each time another nonce");
        assert_eq!(ours.unseal("agent key", &sealed), Err(CannotUnseal));
        assert_eq!(theirs.unseal("tag key", &sealed), Err(CannotUnseal));
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(ours.unseal("tag key", &other), Err(CannotUnseal), "byte {at}");
            assert_eq!(ours.unseal("tag key", &sealed[..at]), Err(CannotUnseal), "cut at {at}");
        }
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own_and_none_is_shown() {
        let key = key(&"ab".repeat(32)).unwrap();
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        assert_eq!(format!("{key:?}"), "StateKey(***)");
    }

    #[test]
    fn the_guard_knows_it_in_its_text_and_in_its_bytes() {
        let text = "00112233445566778899aabbccddeeffMTIzNDU2Nzg=";
        let bytes = BASE64[0].decode(text).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(guard::judge(Outlet::Log, hex.as_bytes(), None).is_ok());
        let _key = key(text).unwrap();
        for seen in [text.to_owned(), hex] {
            assert!(guard::judge(Outlet::Log, format!("x {seen} y").as_bytes(), None).is_err(), "{seen}");
        }
    }
}
