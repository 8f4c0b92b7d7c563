//! What is taken out of a support bundle before it is written.
//!
//! Refuses to trust that nothing is in it: every secret that this machine knows is looked for in the forms in
//! which it might have been written.

use std::collections::BTreeMap;

use crate::{
    agent,
    config::Config,
    jumpcloud::Credential,
    secrets::{self, Secret, forms},
};

/// Anything shorter would take innocent words out.
const SHORTEST: usize = 6;
const GONE: &str = "[a secret was here]";

/// Every secret that the configuration leads to; one that cannot be read cannot be in the bundle either.
pub(super) fn secrets(config: &Config) -> Vec<Secret> {
    let mut found = Vec::new();
    for integration in &config.integrations {
        found.extend(config.proxy_of(integration).ok().flatten().and_then(|proxy| proxy.password));
        let Ok(prepared) = agent::prepare(config, integration) else { continue };
        found.push(match &prepared.connection.credential {
            Credential::ApiKey(key) => key.duplicate(),
            Credential::ServiceAccount { client_secret, .. } => client_secret.duplicate(),
        });
    }
    found.extend(config.proxy_of_control_plane().ok().flatten().and_then(|proxy| proxy.password));
    let keys = ["agent.key", "agent-next.key", "agent-old.key", "tag.key"];
    found.extend(
        keys.into_iter().filter_map(|name| secrets::read_private(&config.agent.state_dir.join(name)).ok()),
    );
    found
}

/// The text without any of them.
pub(super) fn without(secrets: &[Secret], mut text: String) -> String {
    for secret in secrets.iter().map(|secret| secret.expose().trim()).filter(|text| text.len() >= SHORTEST) {
        for form in forms::of(secret).into_iter().filter(|form| form.len() >= SHORTEST) {
            if text.contains(&form) {
                text = text.replace(&form, GONE);
            }
        }
    }
    text
}

/// The text with each address replaced by a number of its own: the same one everywhere.
pub(super) fn numbered(text: &str) -> String {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut done = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_alphanumeric() || "@.+-_%'!#$&*/=?^{|}~".contains(c) {
            word.push(c);
            continue;
        }
        done += &replaced(&word, &mut numbers);
        word.clear();
        done.push(c);
    }
    done.pop(); // the line break that closed the last word
    done
}

fn replaced(word: &str, numbers: &mut BTreeMap<String, usize>) -> String {
    // `https://host/@x` and `user@` are no addresses.
    let Some((local, domain)) = word.rsplit_once('@') else { return word.to_owned() };
    if local.is_empty() || !domain.contains('.') || local.contains("//") {
        return word.to_owned();
    }
    let next = numbers.len() + 1;
    let number = *numbers.entry(word.trim_end_matches('.').to_lowercase()).or_insert(next);
    format!("person-{number}")
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose};

    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = "canary/\"7f3a-9e55+aa01";
        let text = [
            secret.to_owned(),
            serde_json::to_string(secret).unwrap(),
            general_purpose::STANDARD.encode(secret),
            general_purpose::URL_SAFE.encode(secret),
            secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
            serde_json::to_string(&serde_json::to_string(secret).unwrap()).unwrap(),
            general_purpose::STANDARD.encode(format!("u:{secret}")),
            general_purpose::STANDARD.encode(format!("me:{secret}")),
            general_purpose::STANDARD.encode(format!("you:{secret}")),
        ];
        for form in text {
            let clean = without(&[Secret::new(secret.to_owned())], format!("before {form} after"));
            assert!(clean.contains(GONE) && clean.starts_with("before "), "{form}: {clean}");
        }
        assert_eq!(without(&[Secret::new("ab".to_owned())], "abc".to_owned()), "abc", "too short to be one");
    }

    #[test]
    fn people_are_numbered_and_the_same_everywhere() {
        let text = r#"{"a": "Ada@example.com", "b": "https://x.example/p", "c": "to bob+t@example.com, ada@example.com."}"#;
        let expected = r#"{"a": "person-1", "b": "https://x.example/p", "c": "to person-2, person-1"}"#;
        assert_eq!(numbered(text), expected);
    }
}
