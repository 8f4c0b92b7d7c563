//! What a started control plane leaves in files for others: the way to it for operators, its CA and
//! an agent token for whoever asked for them.
//!
//! Files with a secret are made for their owner only and appear whole or not at all.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Options, Running, client::Operator, client::OperatorError, store::StoreError};

/// Where an operator on this machine finds the control plane of a data directory.
const OPERATOR_FILE: &str = "operator.json";

#[derive(Serialize, Deserialize)]
struct OperatorFile {
    url: String,
    ca_file: Option<PathBuf>,
    token: Option<String>,
}

impl Running {
    /// Copies the CA certificate to `to`; with plain HTTP there is none, and nothing is written.
    ///
    /// # Errors
    /// [`OperatorError::File`] names the file.
    pub fn write_ca(&self, to: &Path) -> Result<(), OperatorError> {
        let Some(ca_file) = &self.ca_file else { return Ok(()) };
        fs::copy(ca_file, to).map(|_| ()).map_err(|error| OperatorError::File(to.to_owned(), error))
    }

    /// Makes a new agent token and writes it to `to`, readable by its owner only.
    ///
    /// # Errors
    /// [`OperatorError::File`] names the file; else as [`Operator::token`].
    pub async fn write_token(&self, to: &Path) -> Result<(), OperatorError> {
        let dir = self.operator_file.parent().unwrap_or_else(|| Path::new("."));
        let token = Operator::of_data_dir(dir)?.token().await?;
        write_private(to, format!("{token}\n").as_bytes())
            .map_err(|error| OperatorError::File(to.to_owned(), error))
    }
}

impl Operator {
    /// Prepares a connection to the control plane that was last started on this data directory.
    ///
    /// # Errors
    /// [`OperatorError::File`] if none was, else as [`new`](Self::new).
    pub fn of_data_dir(dir: &Path) -> Result<Self, OperatorError> {
        let path = dir.join(OPERATOR_FILE);
        let unreadable = |error| OperatorError::File(path.clone(), error);
        let text = fs::read(&path).map_err(unreadable)?;
        let file: OperatorFile = serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))?;
        Ok(Self::new(&file.url, file.ca_file.as_deref(), None)?.with_token(file.token))
    }
}

/// Leaves the way to a control plane, and its admin token, in its data directory.
pub(super) fn write_operator_file(
    options: &Options,
    url: &str,
    ca_file: Option<&Path>,
) -> Result<PathBuf, StoreError> {
    let path = options.data.join(OPERATOR_FILE);
    let failed = |error| StoreError::File(path.clone(), error);
    let file = OperatorFile {
        url: url.to_owned(),
        ca_file: ca_file.map(std::path::absolute).transpose().map_err(failed)?,
        token: options.admin_token.clone(),
    };
    let text = serde_json::to_vec_pretty(&file).map_err(|error| failed(error.into()))?;
    write_private(&path, &text).map_err(failed)?;
    Ok(path)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    // Left over from a killed process, perhaps with another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
