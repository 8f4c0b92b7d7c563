//! JSON as signed objects must be: no key twice, no deep nesting, nothing after the end.
//!
//! Refuses what two parsers could read differently; serde keeps the last of two equal keys, other
//! readers the first, and a signature would cover both.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: u8 = 16;

/// Why a text is not JSON that can be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not strict JSON at line {line}, column {column}: a key twice, nested too deeply, or malformed")]
pub struct NotStrict {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Checks a whole text.
///
/// # Errors
/// [`NotStrict`], with the place and nothing of the text.
pub fn check(json: &[u8]) -> Result<(), NotStrict> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Value(MAX_DEPTH)
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| NotStrict { line: error.line(), column: error.column() })
}

struct Value(u8);

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = self.0.checked_sub(1).ok_or_else(|| A::Error::custom("nested too deeply"))?;
        while items.next_element_seed(Self(below))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let below = self.0.checked_sub(1).ok_or_else(|| A::Error::custom("nested too deeply"))?;
        let mut seen = HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("a key twice"));
            }
            fields.next_value_seed(Self(below))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_is_refused_at_any_depth() {
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":1,"b":2}]}"#, "{\"a\":1,\"\\u0061\":2}"] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(check(br#"{"a":{"a":1},"b":[{"a":null},{"a":-1.5}]}"#), Ok(()));
    }

    #[test]
    fn nesting_and_trailing_text_are_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check(nested(16).as_bytes()), Ok(()));
        assert!(check(nested(17).as_bytes()).is_err());
        assert!(check(nested(50_000).as_bytes()).is_err());
        assert!(check(b"{} {}").is_err());
        assert!(check(b"").is_err());
    }
}
