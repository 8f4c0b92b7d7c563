//! Looks for a secret in bytes, in each form in which a program might have written it.
//!
//! Written apart from the guard of the program (`src/secrets`), and shares no code with it: what the one forgets, the other may
//! see.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// The shortest text that is looked for: a shorter one stands in other words by chance.
const SHORTEST: usize = 12;

/// A secret and what to call it.
pub(crate) struct Canary {
    pub(crate) name: String,
    /// What each is called, and its bytes.
    pub(crate) forms: Vec<(String, Vec<u8>)>,
    /// Whether a form begins with these two bytes.
    begins: Vec<bool>,
}

impl Canary {
    pub(crate) fn new(name: &str, secret: &[u8]) -> Self {
        assert!(is_long_enough(secret), "{name}: too short to be looked for");
        let forms = forms(secret);
        let mut begins = vec![false; 1 << 16];
        for (_, form) in &forms {
            begins[pair(form)] = true;
        }
        Self { name: name.to_owned(), forms, begins }
    }

    /// The secret's text without the white space around it.
    pub(crate) fn text(name: &str, secret: &str) -> Self {
        Self::new(name, secret.trim().as_bytes())
    }

    /// In which form it is there, if it is. In one pass: ways out are megabytes, and there are many forms.
    pub(crate) fn in_bytes(&self, bytes: &[u8]) -> Option<&str> {
        let mut starts = (0..bytes.len().saturating_sub(1)).filter(|at| self.begins[pair(&bytes[*at..])]);
        starts.find_map(|at| {
            let here = |(_, form): &&(String, Vec<u8>)| bytes[at..].starts_with(form);
            self.forms.iter().find(here).map(|(name, _)| name.as_str())
        })
    }

    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.in_bytes(bytes).is_some()
    }
}

pub(crate) fn is_long_enough(secret: &[u8]) -> bool {
    secret.len() >= SHORTEST
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn forms(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![("as it is".to_owned(), secret.to_vec())];
    let mut add = |name: &str, form: String| forms.push((name.to_owned(), form.into_bytes()));
    let each = |written: fn(u8) -> String| secret.iter().map(|byte| written(*byte)).collect::<String>();
    add("hexadecimal", each(|byte| format!("{byte:02x}")));
    add("hexadecimal", each(|byte| format!("{byte:02X}")));
    // What `Debug` makes of bytes, and JSON.
    for between in [", ", ","] {
        add("as a list of numbers", secret.iter().map(u8::to_string).collect::<Vec<_>>().join(between));
    }
    for behind in 0..3 {
        for (alphabet, text) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            // What depends on the bytes around it is cut off at both ends.
            let text = text.encode([&vec![0; behind], secret].concat());
            let from = [0, 2, 3][behind];
            let to = text.len() - usize::from(!(behind + secret.len()).is_multiple_of(3));
            add(&format!("{alphabet} behind {behind} bytes"), text[from..to].to_owned());
        }
    }
    if let Ok(text) = str::from_utf8(secret) {
        for upper in [false, true] {
            add("percent-encoded", percent(text, upper, false));
            add("percent-encoded throughout", percent(text, upper, true));
            // As browsers write a form's values, which leave a star alone and not a tilde.
            let value = percent(text, upper, false).replace("%20", "+").replace('~', "%7E");
            add("as a value of a form", value.replace("%2A", "*").replace("%2a", "*"));
        }
        let (once, twice) = (quoted(text), quoted(&quoted(text)));
        add("as JSON with escaped slashes", once.replace('/', "\\/"));
        add("as JSON", once);
        add("as JSON within JSON", twice);
        let units = || text.encode_utf16();
        add("as JSON escapes", units().map(|unit| format!("\\u{unit:04x}")).collect());
        add("as JSON escapes", units().map(|unit| format!("\\u{unit:04X}")).collect());
    }
    forms.sort();
    forms.dedup_by(|a, b| a.1 == b.1);
    forms
}

fn percent(text: &str, upper: bool, every: bool) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let _ = match (plain && !every, upper) {
            (true, _) => write!(out, "{}", char::from(byte)),
            (false, true) => write!(out, "%{byte:02X}"),
            (false, false) => write!(out, "%{byte:02x}"),
        };
        out
    })
}

fn quoted(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap();
    json[1..json.len() - 1].to_owned()
}
