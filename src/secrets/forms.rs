//! The forms in which a secret might be written: by our own code, by a library, by a person who encoded it.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose};

/// What a search begins with: no shorter form is looked for.
pub(crate) const ANCHOR: usize = 8;

/// As it is, and as encodings show it: within a text of JSON, and that in a text of JSON; in hexadecimal; in a URL or a form;
/// in the base64 of itself or of something longer, such as `user:password`.
pub(crate) fn of(secret: &str) -> Vec<String> {
    let (once, twice) = (within_json(secret), within_json(&within_json(secret)));
    let slashes = once.replace('/', "\\/");
    let hex = hex(secret.as_bytes());
    let mut forms = vec![secret.to_owned(), once, twice, slashes, hex.to_uppercase(), hex];
    forms.extend(in_urls(secret));
    forms.extend((0..3).flat_map(|before| within_base64(secret.as_bytes(), before)));
    forms
}

/// The same of bytes that are no text.
pub(crate) fn of_bytes(secret: &[u8]) -> Vec<String> {
    let hex = hex(secret);
    let mut forms = vec![hex.to_uppercase(), hex];
    forms.extend((0..3).flat_map(|before| within_base64(secret, before)));
    forms
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What JSON writes between the quotation marks.
fn within_json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// Percent-encoded as a part of a path (RFC 3986) in both cases, and as a value of a form.
fn in_urls(secret: &str) -> [String; 3] {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encoded = |upper: bool| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            let _ = match byte {
                byte if plain(&byte) => write!(text, "{}", char::from(byte)),
                byte if upper => write!(text, "%{byte:02X}"),
                byte => write!(text, "%{byte:02x}"),
            };
            text
        })
    };
    let form = encoded(true).replace("%20", "+").replace("%2A", "*").replace('~', "%7E");
    [encoded(true), encoded(false), form]
}

/// The groups of base64 that hold nothing but the secret, when so many bytes stand before it modulo 3.
fn within_base64(secret: &[u8], before: usize) -> Vec<String> {
    let own = secret.get((3 - before) % 3..).unwrap_or_default();
    let groups = &own[..own.len() / 3 * 3];
    vec![general_purpose::STANDARD_NO_PAD.encode(groups), general_purpose::URL_SAFE_NO_PAD.encode(groups)]
}
