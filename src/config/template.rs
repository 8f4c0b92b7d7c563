//! How the address of an ephemeral account is built.
//!
//! Refuses a template without `{tag}` (the address would not be known as ours), and one whose domain
//! is not the requester's (a mailbox that somebody else reads would own the account).

use crate::engine::ids::Email;

/// What is used when nobody says otherwise: the requester's own mailbox.
pub const DEFAULT: &str = "{requester}+{tag}@{domain}";

/// Checks a template.
///
/// # Errors
/// What was expected.
pub fn check(template: &str) -> Result<(), String> {
    for part in ["{tag}", "{domain}"] {
        if template.matches(part).count() != 1 {
            return Err(format!("an address that holds {part} once"));
        }
    }
    let sample = template.replace("{requester}", "a").replace("{tag}", "b").replace("{domain}", "c.d");
    if Email::new(&sample).is_err() || sample.contains(['{', '}']) || !template.ends_with("@{domain}") {
        return Err(format!("an address of {{requester}}, {{tag}} and {{domain}} such as {DEFAULT:?}"));
    }
    Ok(())
}
