//! The connection JSON of the product guide: `{"url": "https://console.jumpcloud.com", "token": "…"}`,
//! or with `client_id` and `client_secret` of a service account instead of the token.
//!
//! Refuses unknown keys (naming the nearest known one), keys that come twice, both ways of
//! authenticating at once, and a URL that is no console's. Secrets show in nothing but the request
//! header that carries them.

mod error;
mod keys;
mod options;
mod place;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use aws_lc_rs::digest::Digest;
use serde_json::{Map, Value};

use crate::{
    engine::{ids::OrgId, time::Timestamp},
    secrets::Secret,
    strict,
};
pub use error::ConnectionError;
use error::Teller;
pub use options::Options;
pub use place::{Place, Region};

/// A connection to one JumpCloud organization.
#[derive(Debug)]
pub struct Connection {
    /// Where it is served.
    pub place: Place,
    /// How the agent shows who it is.
    pub credential: Credential,
    /// When the credential ends by the word of who made it: JumpCloud shows an API key's end, not a secret's.
    pub expires_at: Option<Timestamp>,
    /// Sent as `x-org-id`; only multi-tenant credentials need it.
    pub org_id: Option<OrgId>,
    /// More certificate authorities, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The file that they came from.
    pub ca_file: Option<PathBuf>,
    /// Trust those alone, not the platform's.
    pub ca_only: bool,
    /// How the organization is to be treated.
    pub options: Options,
    /// The file, for messages.
    pub origin: String,
    /// Tells whether another reading is the same, to the byte.
    pub print: Digest,
}

/// How the agent shows who it is.
#[derive(Debug)]
pub enum Credential {
    /// An administrator's API key.
    ApiKey(Secret),
    /// A service account: OAuth client credentials.
    ServiceAccount {
        /// Its public half.
        client_id: String,
        /// The other one.
        client_secret: Secret,
    },
}

impl Credential {
    /// Names the key, or the secret, by the first 8 digits of its SHA-256.
    #[must_use]
    pub fn digest(&self) -> String {
        match self {
            Self::ApiKey(secret) | Self::ServiceAccount { client_secret: secret, .. } => secret.digest(),
        }
    }
}

impl Connection {
    /// Reads a connection from its JSON; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn parse(json: &Secret, origin: &str) -> Result<Self, ConnectionError> {
        let teller = Teller(origin);
        strict::check(json.expose().as_bytes()).map_err(|_| teller.json("syntax, or a key twice"))?;
        let place = |e: &serde_json::Error| format!("line {}, column {}", e.line(), e.column());
        let object: Map<String, Value> =
            serde_json::from_str(json.expose()).map_err(|e| teller.json(&place(&e)))?;
        keys::check(teller, "", object.keys(), &keys::KEYS)?;
        let text = Texts { teller, object: &object };
        let place = Place::of(
            teller,
            &place::Said {
                url: text.get("url")?,
                region: text.get("region")?,
                token_url: text.get("token_url")?,
                insights_url: text.get("insights_url")?,
            },
        )?;
        let credential = text.credential()?;
        if place.token_url.is_none() && matches!(credential, Credential::ServiceAccount { .. }) {
            let expected = "the token endpoint of this console's region, which this version does not know";
            return Err(teller.value("token_url", expected));
        }
        let ca_pem = ca(teller, text.get("ssl_ca_cert")?, text.get("ssl_ca_cert_content")?)?;
        let ca_only = match object.get("ssl_ca_only") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(true)) if ca_pem.is_none() => {
                let expected = "ssl_ca_cert or ssl_ca_cert_content beside it: they name what is trusted";
                return Err(teller.value("ssl_ca_only", expected));
            }
            Some(Value::Bool(only)) => *only,
            Some(_) => return Err(teller.value("ssl_ca_only", "true or false")),
        };
        let org_id = text.get("org_id")?.map(OrgId::new).transpose();
        let options = match object.get("options") {
            None | Some(Value::Null) => None,
            Some(Value::Object(options)) => Some(options),
            Some(_) => return Err(teller.value("options", "an object")),
        };
        Ok(Self {
            place,
            credential,
            expires_at: text.get("expires_at")?.map(|text| end(teller, text)).transpose()?,
            org_id: org_id.map_err(|_| teller.value("org_id", "an organization id"))?,
            ca_pem,
            ca_file: text.get("ssl_ca_cert")?.map(PathBuf::from),
            ca_only,
            options: Options::parse(teller, options)?,
            origin: origin.to_owned(),
            print: json.sha256(),
        })
    }
}

/// The keys that hold text. A wrong type is told by the key; the parser's own words would quote it.
struct Texts<'a> {
    teller: Teller<'a>,
    object: &'a Map<String, Value>,
}

impl<'a> Texts<'a> {
    fn get(&self, key: &'static str) -> Result<Option<&'a str>, ConnectionError> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.teller.value(key, "a text")),
        }
    }

    fn credential(&self) -> Result<Credential, ConnectionError> {
        let (token, id, secret) = (self.get("token")?, self.get("client_id")?, self.get("client_secret")?);
        match (token, id, secret) {
            (Some(token), None, None) => {
                let expected = "an administrator's API key: printable characters without spaces";
                Ok(Credential::ApiKey(self.printable("token", token, expected)?))
            }
            (None, Some(id), Some(secret)) => {
                // RFC 7617, section 2: the first colon ends the name.
                if id.is_empty() || id.contains(':') || !id.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(self.teller.value("client_id", "the service account's client id"));
                }
                let expected = "the service account's client secret: printable characters without spaces";
                let client_secret = self.printable("client_secret", secret, expected)?;
                Ok(Credential::ServiceAccount { client_id: id.to_owned(), client_secret })
            }
            (None, Some(_), None) => {
                Err(self.teller.value("client_secret", "the secret that belongs to client_id"))
            }
            (None, None, Some(_)) => {
                Err(self.teller.value("client_id", "the client id that client_secret belongs to"))
            }
            (None, None, None) => {
                let expected =
                    "an administrator's API key, or client_id and client_secret of a service account";
                Err(self.teller.value("token", expected))
            }
            (Some(_), ..) => {
                let expected =
                    "either token or client_id with client_secret, not both: remove one of the two";
                Err(self.teller.value("token", expected))
            }
        }
    }

    fn printable(
        &self,
        key: &'static str,
        text: &str,
        expected: &'static str,
    ) -> Result<Secret, ConnectionError> {
        let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Secret::new(text.to_owned())) } else { Err(self.teller.value(key, expected)) }
    }
}

/// A date is its first instant: the earlier warning.
fn end(teller: Teller<'_>, text: &str) -> Result<Timestamp, ConnectionError> {
    let instant = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let found = instant(text).or_else(|| instant(&format!("{text}T00:00:00Z")));
    let expected = "a date such as 2027-01-31, or RFC 3339";
    found.map(|at| Timestamp(at.as_millisecond())).ok_or_else(|| teller.value("expires_at", expected))
}

fn ca(
    teller: Teller<'_>,
    path: Option<&str>,
    content: Option<&str>,
) -> Result<Option<Vec<u8>>, ConnectionError> {
    match (path, content) {
        (None, None) => Ok(None),
        (None, Some(content)) => Ok(Some(content.as_bytes().to_vec())),
        (Some(path), None) => {
            let path = PathBuf::from(path);
            let read = std::fs::read(&path);
            let failed = |e: std::io::Error| ConnectionError::CaFile {
                origin: teller.0.to_owned(),
                path,
                problem: e.to_string(),
            };
            read.map(Some).map_err(failed)
        }
        (Some(_), Some(_)) => {
            Err(teller.value("ssl_ca_cert", "either ssl_ca_cert or ssl_ca_cert_content, not both"))
        }
    }
}
