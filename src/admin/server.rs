//! Serves the views on a Unix socket, and the few things that may be asked for there. Every answer is
//! asked from the agent loop.
//!
//! Refuses: taking over a socket that somebody listens on, replacing a file that is no socket,
//! every method but GET for a view and POST for a deed, and deeds for anybody but root and the
//! daemon's own user.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State, connect_info::Connected},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use serde::Serialize;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::view::{GrantView, HealthView, RotationView, StatusView};

/// A question for the agent loop, with the channel that takes the answer.
#[derive(Debug)]
pub enum Query {
    /// The daemon at a glance.
    Status(oneshot::Sender<StatusView>),
    /// Every grant that is not closed.
    Grants(oneshot::Sender<Vec<GrantView>>),
    /// Whether it lives and is ready.
    Health(oneshot::Sender<HealthView>),
    /// A new key for the agent.
    RotateKey(oneshot::Sender<RotationView>),
}

/// Who sits at the other end of the socket.
#[derive(Clone, Copy, Debug)]
struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
}

impl Peer {
    fn may_act(self) -> bool {
        self.uid.is_some_and(|uid| uid == 0 || uid == rustix::process::geteuid().as_raw())
    }
}

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon owns the socket.
    #[error("another daemon already listens on {path}: stop it, or set agent.control_socket to another path", path = .0.display())]
    InUse(PathBuf),
    /// Something that is no socket lies there.
    #[error("{path} exists and is not a socket: remove it, or set agent.control_socket to another path", path = .0.display())]
    NotASocket(PathBuf),
    /// The operating system refused.
    #[error("cannot listen on {path}: check that its directory exists and may be written", path = .0.display())]
    Listen(PathBuf, #[source] io::Error),
}

/// A bound control socket, not yet answering.
#[derive(Debug)]
pub struct AdminServer {
    listener: UnixListener,
    path: PathBuf,
}

/// Binds `path` and answers until `shutdown` resolves.
///
/// # Errors
/// [`ServeError`] when the socket cannot be bound or its listener breaks.
pub async fn serve(
    path: &Path,
    queries: mpsc::Sender<Query>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    AdminServer::bind(path).await?.run(queries, shutdown).await
}

impl AdminServer {
    /// Binds the socket with mode 0660. A socket that nobody listens on is replaced.
    ///
    /// # Errors
    /// [`ServeError`] names the path and what is in the way.
    pub async fn bind(path: &Path) -> Result<Self, ServeError> {
        make_room(path).await?;
        let listen = |error| ServeError::Listen(path.to_path_buf(), error);
        let listener = UnixListener::bind(path).map_err(listen)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(listen)?;
        Ok(Self { listener, path: path.to_path_buf() })
    }

    /// Answers until `shutdown` resolves, then removes the socket.
    ///
    /// # Errors
    /// [`ServeError::Listen`] when the listener breaks.
    pub async fn run(
        self,
        queries: mpsc::Sender<Query>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let router = router(queries).into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(self.listener, router).with_graceful_shutdown(shutdown).await;
        // Left behind it would do no harm: the next start replaces it.
        let _ = fs::remove_file(&self.path);
        served.map_err(|error| ServeError::Listen(self.path, error))
    }
}

async fn make_room(path: &Path) -> Result<(), ServeError> {
    let listen = |error| ServeError::Listen(path.to_path_buf(), error);
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(listen(error)),
    };
    if !kind.is_socket() {
        return Err(ServeError::NotASocket(path.to_path_buf()));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(listen)
        }
        Err(error) => Err(listen(error)),
        Ok(_) => Err(ServeError::InUse(path.to_path_buf())),
    }
}

fn router(queries: mpsc::Sender<Query>) -> Router {
    Router::new()
        .route("/v1/status", get(|State(tx): State<Queries>| ask(tx, Query::Status, ANSWER_TIMEOUT)))
        .route("/v1/grants", get(|State(tx): State<Queries>| ask(tx, Query::Grants, ANSWER_TIMEOUT)))
        .route("/v1/health", get(|State(tx): State<Queries>| ask(tx, Query::Health, ANSWER_TIMEOUT)))
        .route("/v1/rotate-key", post(rotate_key))
        .with_state(queries)
}

type Queries = mpsc::Sender<Query>;

async fn rotate_key(ConnectInfo(peer): ConnectInfo<Peer>, State(queries): State<Queries>) -> Response {
    if !peer.may_act() {
        return (StatusCode::FORBIDDEN, "only root and the daemon's own user may do this").into_response();
    }
    ask(queries, Query::RotateKey, DEED_TIMEOUT).await
}

/// A loop that does not answer within this time is the news that the operator needs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// A deed may need several calls to the control plane, of 30 s each at most.
const DEED_TIMEOUT: Duration = Duration::from_secs(100);

async fn ask<T: Serialize>(
    queries: mpsc::Sender<Query>,
    query: impl FnOnce(oneshot::Sender<T>) -> Query,
    patience: Duration,
) -> Response {
    let (tx, rx) = oneshot::channel();
    let question = async {
        queries.send(query(tx)).await.ok()?;
        rx.await.ok()
    };
    match timeout(patience, question).await {
        Ok(Some(view)) => Json(view).into_response(),
        Ok(None) => (StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping").into_response(),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the agent did not answer in time").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{client, view::RotationOutcome};

    fn answering() -> mpsc::Sender<Query> {
        let (tx, mut rx) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(query) = rx.recv().await {
                match query {
                    Query::Status(reply) => {
                        drop(reply.send(StatusView { outbox_depth: 7, ..Default::default() }))
                    }
                    Query::Grants(reply) => drop(reply.send(vec![GrantView::default()])),
                    Query::Health(reply) => drop(reply.send(HealthView { live: true, ..Default::default() })),
                    Query::RotateKey(reply) => drop(reply.send(RotationView {
                        outcome: RotationOutcome::Done,
                        key: None,
                        previous: None,
                        problem: None,
                    })),
                }
            }
        });
        tx
    }

    #[tokio::test]
    async fn the_client_reads_what_the_loop_answers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let server = AdminServer::bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(answering(), async { drop(stopped.await) }));
        assert_eq!(client::status(&path).await.unwrap().outbox_depth, 7);
        assert_eq!(client::grants(&path).await.unwrap().len(), 1);
        assert!(client::health(&path).await.unwrap().live);
        assert_eq!(client::rotate_key(&path).await.unwrap().outcome, RotationOutcome::Done);
        drop(stop);
        task.await.unwrap().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn deeds_are_for_root_and_the_daemons_own_user() {
        let own = rustix::process::geteuid().as_raw();
        for (uid, may) in [(Some(0), true), (Some(own), true), (Some(own ^ 0x5a5a), false), (None, false)] {
            assert_eq!(Peer { uid }.may_act(), may, "{uid:?}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_somebody_listens_on_is_left_alone_and_a_stale_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let first = AdminServer::bind(&path).await.unwrap();
        assert!(matches!(AdminServer::bind(&path).await, Err(ServeError::InUse(_))));
        drop(first);
        assert!(path.exists(), "the file of a dead daemon stays behind");
        AdminServer::bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(AdminServer::bind(&path).await, Err(ServeError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_stopped_loop_is_said_to_be_stopping() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let server = AdminServer::bind(&path).await.unwrap();
        let (tx, rx) = mpsc::channel(1);
        drop(rx);
        let task = tokio::spawn(server.run(tx, std::future::pending()));
        let error = client::status(&path).await.unwrap_err();
        assert!(error.to_string().contains("stopping"), "{error}");
        task.abort();
    }
}
