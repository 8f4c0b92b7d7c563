//! Asks the running daemon over its socket: one HTTP/1.0 request, one JSON answer.
//!
//! Refuses: answers beyond 64 MiB, and waiting longer than 5 seconds (two minutes for a deed). HTTP/1.0 keeps the answer
//! unchunked, so that no HTTP client is needed for a local file. Where no daemon runs, the same questions go
//! to an agent inside this process: [`Line`].

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    command::{Command, Decision, DecisionView, DeedView},
    peer,
    server::Query,
    view::{GrantView, HealthView, KeyView, RotationView, StatusView},
};

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
    /// The daemon does not do this for the caller.
    #[error("refused: {problem}")]
    Refused {
        /// Why.
        problem: String,
    },
    /// The agent inside this process has stopped.
    #[error("the agent has stopped: see what it said before")]
    Stopped,
    /// The daemon answered something else than asked.
    #[error("the daemon on {path} answered unexpectedly: {problem}", path = .path.display())]
    Unexpected {
        /// The socket.
        path: PathBuf,
        /// What came instead.
        problem: String,
    },
}

/// To whom an operator's command speaks.
#[derive(Clone, Debug)]
pub enum Line {
    /// The daemon that listens there.
    Socket(PathBuf),
    /// The agent inside this process.
    Own(mpsc::Sender<Query>),
}

impl Line {
    /// Every grant that is not closed.
    ///
    /// # Errors
    /// [`AskError`] says who must act.
    pub async fn grants(&self) -> Result<Vec<GrantView>, AskError> {
        match self {
            Self::Socket(socket) => grants(socket).await,
            Self::Own(queries) => own(queries, Query::Grants).await,
        }
    }

    /// Gives an order.
    ///
    /// # Errors
    /// [`AskError`] says who must act.
    pub async fn order(&self, command: &Command) -> Result<DeedView, AskError> {
        match self {
            Self::Socket(socket) => order(socket, command).await,
            Self::Own(_) if command.is_for_root() && peer::this_process().uid != 0 => {
                Err(AskError::Refused { problem: "only root may do this".to_owned() })
            }
            Self::Own(queries) => {
                own(queries, |to| Query::Deed(command.clone(), peer::this_process(), to)).await
            }
        }
    }
}

async fn own<T>(
    queries: &mpsc::Sender<Query>,
    query: impl FnOnce(oneshot::Sender<T>) -> Query,
) -> Result<T, AskError> {
    let (to, answer) = oneshot::channel();
    queries.send(query(to)).await.map_err(|_| AskError::Stopped)?;
    answer.await.map_err(|_| AskError::Stopped)
}

/// Gives the daemon an order, and waits until its journal holds it.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn order(socket: &Path, command: &Command) -> Result<DeedView, AskError> {
    request(socket, "POST /v1/deed", &sent(command), PATIENCE_FOR_A_DEED).await
}

/// Tells the daemon a decision about its ledger, and waits until its journal holds it.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn decide(socket: &Path, decision: &Decision) -> Result<DecisionView, AskError> {
    request(socket, "POST /v1/ledger", &sent(decision), PATIENCE_FOR_A_DEED).await
}

fn sent(what: &impl Serialize) -> Body {
    let body = serde_json::to_vec(what).unwrap_or_default();
    let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    (head, body)
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

/// Asks for the figures that Prometheus gets, as text.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn metrics(socket: &Path) -> Result<String, AskError> {
    let answer = asked(socket, "GET /metrics", &Body::default(), PATIENCE).await?;
    let text = body(&answer).map(|body| String::from_utf8_lossy(body).into_owned());
    text.map_err(|problem| AskError::Unexpected { path: socket.to_path_buf(), problem })
}

/// Asks for the connections to be read again, all or one, and waits for what comes of it.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn connections(socket: &Path, name: Option<&str>) -> Result<Vec<KeyView>, AskError> {
    request(socket, "POST /v1/connections", &sent(&name), PATIENCE_FOR_A_DEED).await
}

/// Asks for a new key for the agent, and waits for what comes of it.
///
/// # Errors
/// [`AskError`] says who must act.
pub async fn rotate_key(socket: &Path) -> Result<RotationView, AskError> {
    request(socket, "POST /v1/rotate-key", &Body::default(), PATIENCE_FOR_A_DEED).await
}

async fn ask<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, AskError> {
    request(socket, &format!("GET {target}"), &Body::default(), PATIENCE).await
}

/// Header lines of a body, and the body.
type Body = (String, Vec<u8>);

async fn request<T: DeserializeOwned>(
    socket: &Path,
    what: &str,
    body: &Body,
    patience: Duration,
) -> Result<T, AskError> {
    let answer = asked(socket, what, body, patience).await?;
    parse(&answer).map_err(|problem| match problem.strip_prefix("status 403: ") {
        Some(refusal) => AskError::Refused { problem: refusal.to_owned() },
        None => AskError::Unexpected { path: socket.to_path_buf(), problem },
    })
}

async fn asked(socket: &Path, what: &str, body: &Body, patience: Duration) -> Result<Vec<u8>, AskError> {
    let answer = timeout(patience, exchange(socket, what, body)).await;
    answer.map_err(|_| AskError::Slow(socket.to_path_buf()))?.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            AskError::NotRunning(socket.to_path_buf())
        }
        io::ErrorKind::PermissionDenied => AskError::Forbidden(socket.to_path_buf()),
        _ => AskError::Broken(socket.to_path_buf(), error),
    })
}

async fn exchange(socket: &Path, what: &str, (head, body): &Body) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut asked = format!("{what} HTTP/1.0\r\nHost: localhost\r\n{head}\r\n").into_bytes();
    asked.extend_from_slice(body);
    stream.write_all(&asked).await?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body(answer)?).map_err(|error| format!("not the expected JSON: {error}"))
}

/// The body of an answer that says yes.
fn body(answer: &[u8]) -> Result<&[u8], String> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no HTTP answer")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let status = String::from_utf8_lossy(head).split(' ').nth(1).unwrap_or("").to_owned();
    if status != "200" {
        return Err(format!("status {status}: {}", String::from_utf8_lossy(&body[..body.len().min(200)])));
    }
    Ok(body)
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
