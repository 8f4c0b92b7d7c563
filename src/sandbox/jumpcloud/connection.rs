//! The files that a client of the simulated JumpCloud needs: certificate and connection.
//!
//! Refuses to leave a credential readable to others.

use std::{fs, path::Path};

use serde_json::json;

use super::{Error, Running, world};

impl Running {
    /// Copies the CA certificate to `to`; with plain HTTP there is none, and nothing is written.
    ///
    /// # Errors
    /// [`Error::File`] names the file.
    pub fn write_ca(&self, to: &Path) -> Result<(), Error> {
        let Some(ca_file) = &self.ca_file else { return Ok(()) };
        fs::copy(ca_file, to).map(|_| ()).map_err(|error| Error::File(to.to_owned(), error))
    }

    /// Writes the connection of an integration: `url`, `token` (or `client_id` and `client_secret` of a
    /// service account), `org_id` if the key sees several organizations, and `ssl_ca_cert`; readable
    /// by its owner only.
    ///
    /// # Errors
    /// [`Error::File`] names the file.
    pub fn write_connection(&self, to: &Path) -> Result<(), Error> {
        let mut connection = match &self.service_account {
            None => json!({"url": self.url, "token": self.api_key}),
            Some(service) => json!({"url": self.url, "client_id": service.client_id,
                "client_secret": service.client_secret}),
        };
        if let Some(org_id) = self.org_id.as_ref().filter(|_| self.service_account.is_none()) {
            connection["org_id"] = json!(org_id);
        }
        if let Some(ca_file) = &self.ca_file {
            connection["ssl_ca_cert"] = json!(ca_file);
        }
        world::write_private(to, format!("{connection:#}\n").as_bytes())
            .map_err(|error| Error::File(to.to_owned(), error))
    }
}
