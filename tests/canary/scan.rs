//! Every secret that is seen at a way out, and the proof that a look at it would have shown one.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

pub(crate) use crate::process::scan::Canary;

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

    fn shows_its_marker(&self) -> bool {
        let marker = self.marker.as_bytes();
        marker.is_empty() || self.bytes.windows(marker.len()).any(|text| text == marker)
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
    let empty = outlets.iter().filter(|outlet| !outlet.shows_its_marker());
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

/// Written by Python's `json`, `urllib.parse` and `base64`.
#[test]
fn the_scan_finds_what_another_language_has_encoded() {
    const SECRET: &str = r#"jca_+/é "x\~* 0123456789"#;
    let written = [
        r#"6a63615f2b2fc3a92022785c7e2a2030313233343536373839"#,
        r#"6A63615F2B2FC3A92022785C7E2A2030313233343536373839"#,
        r#"jca_%2B%2F%C3%A9%20%22x%5C~%2A%200123456789"#,
        r#"jca_%2B%2F%C3%A9+%22x%5C%7E*+0123456789"#,
        r#"jca_+/é \"x\\~* 0123456789"#,
        r#"jca_+/é \\\"x\\\\~* 0123456789"#,
        r#"jca_+\/é \"x\\~* 0123456789"#,
        r#"\u006a\u0063\u0061\u005f\u002b\u002f\u00e9\u0020\u0022\u0078\u005c\u007e\u002a\u0020\u0030\u0031\u0032\u0033\u0034\u0035\u0036\u0037\u0038\u0039"#,
        r#"\u006A\u0063\u0061\u005F\u002B\u002F\u00E9\u0020\u0022\u0078\u005C\u007E\u002A\u0020\u0030\u0031\u0032\u0033\u0034\u0035\u0036\u0037\u0038\u0039"#,
        r#"%6A%63%61%5F%2B%2F%C3%A9%20%22%78%5C%7E%2A%20%30%31%32%33%34%35%36%37%38%39"#,
        r#"%6a%63%61%5f%2b%2f%c3%a9%20%22%78%5c%7e%2a%20%30%31%32%33%34%35%36%37%38%39"#,
        r#"jca_%2b%2f%c3%a9%20%22x%5c~%2a%200123456789"#,
        r#"amNhXysvw6kgInhcfiogMDEyMzQ1Njc4OWVuZA=="#,
        r#"amNhXysvw6kgInhcfiogMDEyMzQ1Njc4OQ=="#,
        r#"YWpjYV8rL8OpICJ4XH4qIDAxMjM0NTY3ODllbmQ="#,
        r#"YWpjYV8rL8OpICJ4XH4qIDAxMjM0NTY3ODk="#,
        r#"YWJqY2FfKy/DqSAieFx+KiAwMTIzNDU2Nzg5ZW5k"#,
        r#"YWJqY2FfKy_DqSAieFx-KiAwMTIzNDU2Nzg5"#,
    ];
    let canary = Canary::text("canary", SECRET);
    for text in written {
        assert!(canary.is_in(format!("before {text} after").as_bytes()), "{text}");
    }
}
