//! Receipts: text that only the tag key can have made, with what it authenticates inside. The control plane
//! keeps them and gives them back after a loss of the ledger.
//!
//! Refuses to read a receipt that another key made, or one byte of which is another.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::TagKey;

const LABEL: &[u8] = b"ephemerald receipt v2";
const PREFIX: &str = "r2.";
/// Longer ones are none of ours.
const MAX_CHARS: usize = 16 * 1024;

impl TagKey {
    /// Seals bytes into a receipt. They are not hidden.
    #[must_use]
    pub fn seal(&self, content: &[u8]) -> String {
        let mac = self.mac(&[LABEL, content]);
        format!("{PREFIX}{}.{}", URL_SAFE_NO_PAD.encode(content), URL_SAFE_NO_PAD.encode(mac))
    }

    /// The bytes that this key sealed; `None` for any other text.
    #[must_use]
    pub fn unseal(&self, receipt: &str) -> Option<Vec<u8>> {
        let (content, mac) = receipt.strip_prefix(PREFIX)?.split_once('.')?;
        if receipt.len() > MAX_CHARS {
            return None;
        }
        let (content, mac) = (URL_SAFE_NO_PAD.decode(content).ok()?, URL_SAFE_NO_PAD.decode(mac).ok()?);
        verify_slices_are_equal(&self.mac(&[LABEL, &content]), &mac).ok()?;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::AtRest;

    #[test]
    fn only_the_key_that_sealed_a_receipt_reads_it_and_no_byte_of_it_may_change() {
        let dir = tempfile::tempdir().unwrap();
        let key = TagKey::load_or_create(&dir.path().join("tag.key"), &AtRest::Plain).unwrap();
        let receipt = key.seal(b"{\"role\":\"Help Desk\"}");
        assert_eq!(key.unseal(&receipt).as_deref(), Some(&b"{\"role\":\"Help Desk\"}"[..]));
        let other = TagKey::load_or_create(&dir.path().join("other.key"), &AtRest::Plain).unwrap();
        assert_eq!(other.unseal(&receipt), None);
        for at in 0..receipt.len() {
            let mut text = receipt.clone().into_bytes();
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.unseal(std::str::from_utf8(&text).unwrap()), None, "byte {at}");
        }
        for text in ["", "r2.", "r2..", "r2.AA", "r1.AAAA.AAAA"] {
            assert_eq!(key.unseal(text), None, "{text}");
        }
    }
}
