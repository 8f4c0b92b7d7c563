//! Looks for a secret in bytes, in each form in which a program might have written it.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// A secret and what to call it.
pub(crate) struct Canary {
    name: String,
    forms: Vec<(String, Vec<u8>)>,
}

impl Canary {
    pub(crate) fn new(name: &str, secret: &[u8]) -> Self {
        assert!(secret.len() >= 12, "{name}: too short to be looked for");
        Self { name: name.to_owned(), forms: forms(secret) }
    }

    /// The secret's text without the white space around it.
    pub(crate) fn text(name: &str, secret: &str) -> Self {
        Self::new(name, secret.trim().as_bytes())
    }

    /// In which form it is there, if it is.
    fn in_bytes(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.forms.iter().find(|(_, form)| contains(bytes, form));
        found.map(|(name, _)| name.as_str())
    }

    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.in_bytes(bytes).is_some()
    }
}

/// What a way out showed, and something that it must have shown.
pub(crate) struct Outlet {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) marker: &'static str,
}

impl Outlet {
    pub(crate) fn new(name: &str, bytes: impl Into<Vec<u8>>, marker: &'static str) -> Self {
        Self { name: name.to_owned(), bytes: bytes.into(), marker }
    }
}

/// Every secret that is seen at a way out.
pub(crate) fn seen(outlets: &[Outlet], canaries: &[Canary]) -> Vec<String> {
    let mut seen = Vec::new();
    for outlet in outlets {
        for canary in canaries {
            if let Some(form) = canary.in_bytes(&outlet.bytes) {
                seen.push(format!("{} ({form}) at {}", canary.name, outlet.name));
            }
        }
    }
    seen
}

/// No secret at any way out, each of which has shown what it shows, and would have shown a secret.
pub(crate) fn assert_clean(outlets: &[Outlet], canaries: &[Canary]) {
    let empty = outlets.iter().filter(|outlet| !contains(&outlet.bytes, outlet.marker.as_bytes()));
    let empty: Vec<String> = empty
        .map(|outlet| {
            let text = String::from_utf8_lossy(&outlet.bytes[..outlet.bytes.len().min(1_000)]);
            format!("{} does not show {:?}, so it proves nothing: {text}", outlet.name, outlet.marker)
        })
        .collect();
    assert!(empty.is_empty(), "{}", empty.join("\n\n"));
    let seen = seen(outlets, canaries);
    assert!(seen.is_empty(), "SEEN: {}", seen.join("; "));
    assert_planted_ones_are_found(outlets, canaries);
}

/// Each form of each secret, put into what a way out showed, is found there.
fn assert_planted_ones_are_found(outlets: &[Outlet], canaries: &[Canary]) {
    for outlet in outlets {
        // A few bytes of it are enough: there are many forms.
        let (before, after) =
            outlet.bytes[..outlet.bytes.len().min(128)].split_at(outlet.bytes.len().min(128) / 2);
        for canary in canaries {
            for (form, planted) in &canary.forms {
                let bytes = [before, planted, after].concat();
                assert!(canary.is_in(&bytes), "{form} of {} is not found at {}", canary.name, outlet.name);
            }
        }
    }
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    position(bytes, form).is_some()
}

/// Where it begins. By its first byte first: outlets are megabytes, and there are many forms.
fn position(bytes: &[u8], form: &[u8]) -> Option<usize> {
    let Some(&first) = form.first() else { return Some(0) };
    let last = bytes.len().checked_sub(form.len())?;
    let mut from = 0;
    while from <= last {
        let at = from + bytes[from..=last].iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(form) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn forms(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![("as it is".to_owned(), secret.to_vec())];
    for upper in [false, true] {
        let hex = secret.iter().fold(String::new(), |mut hex, byte| {
            let _ = if upper { write!(hex, "{byte:02X}") } else { write!(hex, "{byte:02x}") };
            hex
        });
        forms.push(("hexadecimal".to_owned(), hex.into_bytes()));
    }
    for behind in 0..3 {
        for (alphabet, text) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            // What depends on the bytes around it is cut off at both ends.
            let text = text.encode([&vec![0; behind], secret].concat());
            let from = [0, 2, 3][behind];
            let to = text.len() - usize::from(!(behind + secret.len()).is_multiple_of(3));
            forms.push((format!("{alphabet} behind {behind} bytes"), text[from..to].into()));
        }
    }
    if let Ok(text) = str::from_utf8(secret) {
        let percent = |every: bool| {
            text.bytes().fold(String::new(), |mut out, byte| {
                let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                let _ = if plain && !every {
                    write!(out, "{}", char::from(byte))
                } else {
                    write!(out, "%{byte:02X}")
                };
                out
            })
        };
        forms.push(("percent-encoded".to_owned(), percent(false).into_bytes()));
        forms.push(("percent-encoded throughout".to_owned(), percent(true).into_bytes()));
        let json = serde_json::to_string(text).unwrap();
        forms.push(("as JSON".to_owned(), json[1..json.len() - 1].into()));
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        forms.push(("as JSON escapes".to_owned(), escaped.into_bytes()));
    }
    forms.sort();
    forms.dedup_by(|a, b| a.1 == b.1);
    forms
}

#[test]
fn the_scan_finds_a_secret_at_each_offset_and_no_other() {
    let (secret, other) =
        (b"jca_+/\xc3\xa9 \"x\" 0123456789".as_slice(), b"jca_+/\xc3\xa9 \"x\" 0123456709".as_slice());
    let canary = Canary::new("canary", secret);
    for behind in 0..6 {
        let written = |secret: &[u8]| [&b"prefix"[..behind], secret, b"suffix"].concat();
        for encode in [|b: Vec<u8>| STANDARD_NO_PAD.encode(b), |b: Vec<u8>| URL_SAFE_NO_PAD.encode(b)] {
            assert!(canary.is_in(encode(written(secret)).as_bytes()), "{behind}");
            assert!(!canary.is_in(encode(written(other)).as_bytes()), "{behind}");
        }
    }
    assert_eq!(canary.in_bytes(b"nothing at all"), None);
    assert_eq!(canary.in_bytes(b""), None);
}
