//! The answers so far, with the files read that they name.
//!
//! Refuses: a secret file that others may read; standard input for two things at once. Secrets are
//! here and in the plan's secret files, nowhere else.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::given::{Given, Region};
use crate::secrets::{self, Secret};

/// The largest secret or certificate file that is read, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
/// What stands for a secret wherever it would be seen.
const NOT_SHOWN: &str = "(not shown)";
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) given: Given,
    pub(super) api_key: Option<Secret>,
    pub(super) client_secret: Option<Secret>,
    pub(super) ca_pem: Option<String>,
    pub(super) agent_token: Option<Secret>,
    pub(super) control_ca_pem: Option<String>,
}

/// The connection file, and what of it may be seen.
#[derive(Debug)]
pub(super) struct ConnectionText {
    pub(super) text: Secret,
    pub(super) shown: String,
}

impl Draft {
    /// Reads every file that the answers name.
    ///
    /// # Errors
    /// Which answer, which file, what to do.
    pub(super) fn read(given: Given) -> Result<Self, String> {
        if given.secret_files().into_iter().filter(|file| is_stdin(file)).count() > 1 {
            return Err("standard input (-) can hold one secret: name a file for the others".to_owned());
        }
        Ok(Self {
            api_key: secret("api_key_file", given.api_key_file.as_ref())?,
            client_secret: secret("client_secret_file", given.client_secret_file.as_ref())?,
            agent_token: secret("agent_token_file", given.agent_token_file.as_ref())?,
            ca_pem: given.ca_file.as_ref().map(|file| pem("ca_file", file)).transpose()?,
            control_ca_pem: given
                .control_ca_file
                .as_ref()
                .map(|file| pem("control_ca_file", file))
                .transpose()?,
            given,
        })
    }

    /// The console's origin.
    pub(super) fn url(&self) -> &str {
        self.given.url.as_deref().unwrap_or_else(|| self.given.region.unwrap_or(Region::Us).url())
    }

    /// Whether there is something to show JumpCloud.
    pub(super) fn has_credential(&self) -> bool {
        self.api_key.is_some() || (self.given.client_id.is_some() && self.client_secret.is_some())
    }

    /// The connection JSON. A certificate authority goes into it whole, so that the daemon needs no
    /// second file that it may or may not be able to read.
    pub(super) fn connection(&self) -> ConnectionText {
        let certificates = self.ca_pem.as_deref().map(certificates).unwrap_or_default();
        let mut pairs = vec![("url", self.url(), self.url())];
        if let Some(key) = &self.api_key {
            pairs.push(("token", key.expose(), NOT_SHOWN));
        }
        if let (Some(id), Some(secret)) = (&self.given.client_id, &self.client_secret) {
            pairs.extend([
                ("client_id", id.as_str(), id.as_str()),
                ("client_secret", secret.expose(), NOT_SHOWN),
            ]);
        }
        if let Some(org) = &self.given.org_id {
            pairs.push(("org_id", org, org));
        }
        if let Some(pem) = &self.ca_pem {
            pairs.push(("ssl_ca_cert_content", pem, &certificates));
        }
        let hidden = pairs.iter().map(|&(key, _, shown)| (key, shown));
        let whole = pairs.iter().map(|&(key, text, _)| (key, text));
        ConnectionText {
            text: Secret::new(std::mem::take(&mut *json(&whole.collect::<Vec<_>>()))),
            shown: std::mem::take(&mut *json(&hidden.collect::<Vec<_>>())),
        }
    }
}

/// What is shown of a PEM text.
pub(super) fn certificates(pem: &str) -> String {
    match pem.matches(PEM_BEGIN).count() {
        1 => "(1 certificate)".to_owned(),
        many => format!("({many} certificates)"),
    }
}

/// An object of texts, one a line; made by hand because its text must be wiped.
fn json(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    let quoted = |text: &str| Zeroizing::new(serde_json::to_string(text).expect("a text serialises"));
    let room = pairs.iter().map(|(key, value)| key.len() + 2 * value.len() + 16).sum();
    let mut json = Zeroizing::new(String::with_capacity(room));
    for (number, (key, value)) in pairs.iter().enumerate() {
        json.push_str(if number == 0 { "{\n  " } else { ",\n  " });
        json.push_str(&quoted(key));
        json.push_str(": ");
        json.push_str(&quoted(value));
    }
    json.push_str("\n}\n");
    json
}

impl Given {
    /// Whether a secret is to be read from standard input.
    pub(super) fn names_standard_input(&self) -> bool {
        self.secret_files().into_iter().any(is_stdin)
    }

    fn secret_files(&self) -> Vec<&Path> {
        let files = [&self.api_key_file, &self.client_secret_file, &self.agent_token_file];
        files.into_iter().flatten().map(PathBuf::as_path).collect()
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn secret(answer: &str, file: Option<&PathBuf>) -> Result<Option<Secret>, String> {
    let Some(file) = file else { return Ok(None) };
    if !is_stdin(file) {
        return secrets::read_private(file).map(Some).map_err(|error| format!("{answer}: {error}"));
    }
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().take(MAX_BYTES).read_to_string(&mut text);
    read.map_err(|error| format!("{answer}: standard input: {error}"))?;
    match text.trim() {
        "" => Err(format!("{answer}: standard input is empty, expected a secret")),
        text => Ok(Some(Secret::new(text.to_owned()))),
    }
}

/// A file of certificates.
///
/// # Errors
/// Which answer, which file, what is wrong.
pub(super) fn pem(answer: &str, file: &Path) -> Result<String, String> {
    let at = |problem: String| format!("{answer}: {}: {problem}", file.display());
    if fs::metadata(file).map_err(|error| at(error.to_string()))?.len() > MAX_BYTES {
        return Err(at("expected certificates, found more than 256 KiB".to_owned()));
    }
    let text = fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
    if text.contains("PRIVATE KEY") {
        return Err(at("expected certificates, found a private key: name the CA's certificate".to_owned()));
    }
    if !text.contains(PEM_BEGIN) {
        return Err(at("expected PEM certificates (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jumpcloud::Connection;

    #[test]
    fn the_connection_is_what_the_client_reads_and_its_key_is_not_in_what_is_shown() {
        let draft = Draft { api_key: Some(Secret::new("jca_canary\"\\".to_owned())), ..Draft::default() };
        let made = draft.connection();
        let read = Connection::parse(&made.text, "made").unwrap();
        assert_eq!(read.place.url, "https://console.jumpcloud.com");
        assert!(made.text.expose().contains("canary") && !made.shown.contains("canary"), "{}", made.shown);
        assert!(made.shown.contains("\"token\": \"(not shown)\""), "{}", made.shown);
    }

    #[test]
    fn a_private_key_is_not_taken_for_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        fs::write(&file, "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n").unwrap();
        let said = pem("ca_file", &file).unwrap_err();
        assert!(said.contains("private key") && said.contains("ca_file"), "{said}");
    }
}
