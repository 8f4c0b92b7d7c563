//! What is unknown about the real JumpCloud, each as a switch; the default is the reading that
//! clients of JumpCloud bear out or, where none does, the harmless one.
//!
//! A switch is a lasting property of the simulated service; what happens now and then is a fault.
//! Refuses unknown names, so that a misspelt switch does not pass for a tested behaviour.

mod values;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::values::{BothWritten, ErrorBody, RoleNameWrite, RoleNamesWrite};

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

fn value<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).expect("a switch is a number, a text, a list of texts or nothing")
}

switches! {
    /// Whether answers carry `roles` and `roleNames`.
    plural_roles_shown: bool = true, [false];
    /// What a written `roleNames` does.
    role_names: RoleNamesWrite = RoleNamesWrite::Replaces, [RoleNamesWrite::Adds, RoleNamesWrite::Ignored, RoleNamesWrite::Refused];
    /// What a written `roleName` does without `roleNames` beside it.
    role_name: RoleNameWrite = RoleNameWrite::ReplacesAll, [RoleNameWrite::ReplacesFirst, RoleNameWrite::Adds, RoleNameWrite::IgnoredWithSeveral];
    /// Which of the two counts if both are written.
    both: BothWritten = BothWritten::RoleNamesWins, [BothWritten::RoleNameWins];
    /// Whether role names are matched without regard to case.
    role_case_ignored: bool = false, [true];
    /// Whether `roleNames: []` takes every role away; otherwise it is refused with 400.
    empty_roles_accepted: bool = false, [true];
    /// The role of a new administrator if none is written; without one, such a request is refused.
    default_role: Option<String> = Some("Administrator".to_owned()), [Some("Read Only".to_owned()), None];
    /// The status of a successful `POST /api/users`.
    create_status: u16 = 200, [201];
    /// Whether `DELETE` answers 200 with the deleted account; otherwise 204.
    delete_shows_account: bool = true, [false];
    /// Whether `/api/users/getSelf` exists.
    get_self: bool = true, [false];
    /// Whether `/api/v2/roles` exists.
    roles_route: bool = true, [false];
    /// Whether `filter` is understood (`email:$eq:…`, `roleName:$eq:…`); otherwise it is ignored.
    filter: bool = false, [true];
    /// Whether lists without `sort` come in another order each time.
    unstable_order: bool = false, [true];
    /// Whether `x-org-id` is refused with 403 under `/api/users`.
    users_refuse_org_id: bool = false, [true];
    /// The status for deleting oneself, or removing the last Administrator With Billing.
    protected_status: u16 = 400, [403, 409];
    /// Whether a role change by `PUT` may take the last Administrator With Billing away.
    last_admin_may_be_demoted: bool = false, [true];
    /// The status for an e-mail address that is taken.
    duplicate_status: u16 = 400, [409, 422];
    /// What is in the body of an error.
    error_body: ErrorBody = ErrorBody::Seen, [ErrorBody::Documented, ErrorBody::Text, ErrorBody::Empty];
    /// How long reads go on showing the state before a change, in milliseconds.
    read_lag_ms: u64 = 0, [300, 1500];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

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
}
