//! What is unknown about the real JumpCloud, each as a switch; the default is the reading that
//! clients of JumpCloud bear out or, where none does, the harmless one.
//!
//! A switch is a lasting property of the simulated service; what happens now and then is a fault.
//! Refuses unknown names, so that a misspelt switch does not pass for a tested behaviour.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// `name: type = default, [other values worth testing];`, so that no switch can be left out of
/// [`Switches::domain`].
macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr, [$($other:expr),*];)*) => {
        /// How the simulated service behaves where the real one's behaviour is not published.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Switches {
            $($(#[$doc])* pub $name: $kind,)*
        }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Switches {
            /// Every switch with the values worth testing, the default first; of numbers and names
            /// some, of everything else all. What each means is in `docs/sandbox.md`.
            #[must_use]
            pub fn domain() -> Vec<(&'static str, Vec<Value>)> {
                vec![$((stringify!($name), vec![value::<$kind>($default), $(value::<$kind>($other)),*])),*]
            }
        }
    };
}

mod list;
mod values;

pub use self::{list::Switches, values::*};

fn value<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).expect("a switch is a number, a text, a list of texts or nothing")
}

impl Switches {
    /// These switches with `settings` changed, each `NAME=VALUE`; the value is JSON or a bare word.
    ///
    /// # Errors
    /// The setting that is none, and why.
    pub fn with(self, settings: &[String]) -> Result<Self, String> {
        let mut switches = value(self);
        for setting in settings {
            let (name, given) =
                setting.split_once('=').ok_or_else(|| format!("{setting:?}: expected NAME=VALUE"))?;
            let given = serde_json::from_str(given).unwrap_or_else(|_| json!(given));
            switches[name] = given;
            read::<Self>(switches.clone()).map_err(|error| format!("{setting:?}: {error}"))?;
        }
        read(switches)
    }
}

fn read<T: DeserializeOwned>(switches: Value) -> Result<T, String> {
    serde_json::from_value(switches).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_domain_has_every_switch_and_each_of_its_values_can_be_set() {
        let Value::Object(default) = value(Switches::default()) else { panic!("switches are an object") };
        let domain = Switches::domain();
        let named: BTreeSet<&str> = domain.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, default.keys().map(String::as_str).collect());
        for (name, values) in &domain {
            assert_eq!(values[0], default[*name], "the default of {name} comes first");
            assert!(values.len() > 1, "{name} has but one value");
            for value in values {
                let set: Switches = serde_json::from_value(json!({*name: value})).unwrap();
                assert_eq!(&serde_json::to_value(set).unwrap()[*name], value, "{name}");
            }
        }
    }

    #[test]
    fn a_misspelt_switch_is_refused() {
        assert!(serde_json::from_value::<Switches>(json!({"role_nam": "adds"})).is_err());
    }

    #[test]
    fn a_switch_is_set_by_a_word_or_by_json() {
        let set = |setting: &str| Switches::default().with(&[setting.to_owned()]);
        assert_eq!(set("role_name=adds").unwrap().role_name, RoleNameWrite::Adds);
        assert_eq!(set("read_lag_ms=20").unwrap().read_lag_ms, 20);
        assert_eq!(set("default_role=null").unwrap().default_role, None);
        assert_eq!(set("create_requires=[\"email\",\"roleName\"]").unwrap().create_requires.len(), 2);
        for wrong in ["role_nam=adds", "role_name=multiplies", "read_lag_ms=soon", "role_name"] {
            let said = set(wrong).unwrap_err();
            assert!(said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn the_guide_has_a_row_for_every_switch_with_its_default() {
        let guide = include_str!("../../../../docs/sandbox.md");
        for (name, values) in Switches::domain() {
            let default = match &values[0] {
                Value::String(word) => word.clone(),
                other => other.to_string(),
            };
            let row = guide.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/sandbox.md has no row for the switch {name}"));
            let shown = row.split('|').nth(2).unwrap().trim().trim_matches('`').trim_matches('"').to_owned();
            assert_eq!(shown, default.trim_matches('"'), "the default of {name} in docs/sandbox.md");
        }
        let rows = guide.lines().skip_while(|line| *line != "## Switches").filter(|l| l.starts_with("| `"));
        for row in rows {
            let name = row.split('`').nth(1).unwrap();
            assert!(Switches::domain().iter().any(|(known, _)| *known == name), "no switch is called {name}");
        }
    }
}
