//! Asks the running daemon over its socket: one HTTP/1.0 request, one JSON answer.
//!
//! Refuses: answers beyond 64 MiB, and waiting longer than 5 seconds (two minutes for a deed). HTTP/1.0 keeps the answer
//! unchunked, so that no HTTP client is needed for a local file.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::view::{GrantView, HealthView, RotationView, StatusView};

const LIMIT: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_FOR_A_DEED: Duration = Duration::from_secs(120);

/// Why the daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("the daemon is not running: nothing listens on {path}; start it with `ephemerald run`, or name its configuration with --config", path = .0.display())]
    NotRunning(PathBuf),
    /// The caller is not in the socket's group.
    #[error("no permission to use {path}: join its group, or ask as root", path = .0.display())]
    Forbidden(PathBuf),
    /// The daemon did not answer in time.
    #[error("the daemon did not answer on {path} in time: see its log", path = .0.display())]
    Slow(PathBuf),
    /// The conversation broke.
    #[error("talking to the daemon on {path} failed", path = .0.display())]
    Broken(PathBuf, #[source] io::Error),
    /// The daemon answered something else than asked.
    #[error("the daemon on {path} answered unexpectedly: {problem}", path = .path.display())]
    Unexpected {
        /// The socket.
        path: PathBuf,
        /// What came instead.
        problem: String,
    },
}

/// Asks for the daemon at a glance.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn status(socket: &Path) -> Result<StatusView, AskError> {
    ask(socket, "/v1/status").await
}

/// Asks for every grant that is not closed.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn grants(socket: &Path) -> Result<Vec<GrantView>, AskError> {
    ask(socket, "/v1/grants").await
}

/// Asks whether the daemon lives and is ready.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn health(socket: &Path) -> Result<HealthView, AskError> {
    ask(socket, "/v1/health").await
}

/// Asks for a new key for the agent, and waits for what comes of it.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn rotate_key(socket: &Path) -> Result<RotationView, AskError> {
    request(socket, "POST /v1/rotate-key", PATIENCE_FOR_A_DEED).await
}

async fn ask<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, AskError> {
    request(socket, &format!("GET {target}"), PATIENCE).await
}

async fn request<T: DeserializeOwned>(socket: &Path, what: &str, patience: Duration) -> Result<T, AskError> {
    let answer = timeout(patience, exchange(socket, what))
        .await
        .map_err(|_| AskError::Slow(socket.to_path_buf()))?
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                AskError::NotRunning(socket.to_path_buf())
            }
            io::ErrorKind::PermissionDenied => AskError::Forbidden(socket.to_path_buf()),
            _ => AskError::Broken(socket.to_path_buf(), error),
        })?;
    parse(&answer).map_err(|problem| AskError::Unexpected { path: socket.to_path_buf(), problem })
}

async fn exchange(socket: &Path, what: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("{what} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no HTTP answer")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let status = String::from_utf8_lossy(head).split(' ').nth(1).unwrap_or("").to_owned();
    if status != "200" {
        return Err(format!("status {status}: {}", String::from_utf8_lossy(&body[..body.len().min(200)])));
    }
    serde_json::from_slice(body).map_err(|error| format!("not the expected JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_socket_means_that_the_daemon_is_not_running() {
        let dir = tempfile::tempdir().unwrap();
        let error = status(&dir.path().join("none.sock")).await.unwrap_err();
        assert!(matches!(error, AskError::NotRunning(_)), "{error}");
    }

    #[test]
    fn an_answer_that_is_not_http_or_not_ok_is_an_error() {
        assert!(parse::<HealthView>(b"hello").is_err());
        assert!(parse::<HealthView>(b"HTTP/1.0 504 x\r\n\r\nlate").unwrap_err().contains("late"));
        assert!(parse::<HealthView>(b"HTTP/1.0 200 OK\r\n\r\n{}").is_err());
    }
}
