//! Serves the views on a Unix socket, and the few things that may be asked for there. Every answer is
//! asked from the agent loop.
//!
//! Refuses: taking over a socket that somebody listens on, replacing a file that is no socket,
//! every method but GET for a view and POST for a deed; a thaw, a forget and a decision about a doubted
//! ledger for anybody but root; a new key, and a new reading of
//! the connections, for anybody but root and the daemon's own user.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::StatusCode,
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    time::{error::Elapsed, timeout},
};

use super::{
    command::{Command, Decision, DecisionView, DeedView},
    guarded::guarded,
    peer::{self, Caller},
    probes,
    view::{GrantView, HealthView, KeyView, RotationView, StatusView},
};
use crate::{engine::order::Peer, secrets::guard::Outlet};

/// A question for the agent loop, with the channel that takes the answer.
#[derive(Debug)]
pub enum Query {
    /// The daemon at a glance.
    Status(oneshot::Sender<StatusView>),
    /// Every grant that is not closed.
    Grants(oneshot::Sender<Vec<GrantView>>),
    /// Whether it lives and is ready.
    Health(oneshot::Sender<HealthView>),
    /// The figures for Prometheus, as text.
    Metrics(oneshot::Sender<String>),
    /// A new key for the agent.
    RotateKey(oneshot::Sender<RotationView>),
    /// The connections read again: all, or one by its name.
    Connections(Option<String>, oneshot::Sender<Vec<KeyView>>),
    /// An order, and who gives it.
    Deed(Command, Peer, oneshot::Sender<DeedView>),
    /// A decision about a ledger in doubt, and who makes it.
    Decide(Decision, Peer, oneshot::Sender<DecisionView>),
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
    /// The socket cannot be given to its group.
    #[error("cannot give {path} to the group {group} (agent.control_group): the group must exist, and the daemon must be in it or be root", path = .path.display())]
    Group {
        /// The socket.
        path: PathBuf,
        /// The group.
        group: String,
        /// Why.
        #[source]
        error: io::Error,
    },
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
    AdminServer::bind(path, None).await?.run(queries, shutdown).await
}

impl AdminServer {
    /// Binds the socket with mode 0660, for `group` if one is named. A socket that nobody listens on is
    /// replaced.
    ///
    /// # Errors
    /// [`ServeError`] names the path and what is in the way.
    pub async fn bind(path: &Path, group: Option<&str>) -> Result<Self, ServeError> {
        make_room(path).await?;
        let listen = |error| ServeError::Listen(path.to_path_buf(), error);
        // Nobody may connect before the mode and the group are right, so the name comes last.
        let unnamed = unnamed(path);
        make_room(&unnamed).await?;
        let listener = UnixListener::bind(&unnamed).map_err(listen)?;
        let named = give(&unnamed, path, group);
        if named.is_err() {
            let _ = fs::remove_file(&unnamed); // nobody is served on it
        }
        named.map(|()| Self { listener, path: path.to_path_buf() })
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
        let router = router(queries).into_make_service_with_connect_info::<Caller>();
        let served = axum::serve(self.listener, router).with_graceful_shutdown(shutdown).await;
        // Left behind it would do no harm: the next start replaces it.
        let _ = fs::remove_file(&self.path);
        served.map_err(|error| ServeError::Listen(self.path, error))
    }
}

/// The name that a socket has until it may be used, in the same directory.
fn unnamed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Gives a socket its group, its mode and its name.
fn give(socket: &Path, path: &Path, group: Option<&str>) -> Result<(), ServeError> {
    if let Some(name) = group {
        peer::gid(name)
            .and_then(|gid| chown(socket, None, Some(gid)))
            .map_err(|error| ServeError::Group { path: path.to_path_buf(), group: name.to_owned(), error })?;
    }
    let mode = fs::Permissions::from_mode(0o660);
    let done = fs::set_permissions(socket, mode).and_then(|()| fs::rename(socket, path));
    done.map_err(|error| ServeError::Listen(path.to_path_buf(), error))
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
        .route("/metrics", get(probes::metrics))
        .route("/v1/rotate-key", post(rotate_key))
        .route("/v1/connections", post(connections))
        .route("/v1/deed", post(deed))
        .route("/v1/ledger", post(decide))
        .layer(map_response(|answer| guarded(Outlet::ControlSocket, answer)))
        .with_state(queries)
}

type Queries = mpsc::Sender<Query>;

async fn rotate_key(ConnectInfo(caller): ConnectInfo<Caller>, State(queries): State<Queries>) -> Response {
    if !caller.is_of_the_house() {
        return (StatusCode::FORBIDDEN, "only root and the daemon's own user may do this").into_response();
    }
    ask(queries, Query::RotateKey, DEED_TIMEOUT).await
}

async fn connections(
    ConnectInfo(caller): ConnectInfo<Caller>,
    State(queries): State<Queries>,
    Json(name): Json<Option<String>>,
) -> Response {
    if !caller.is_of_the_house() {
        return (StatusCode::FORBIDDEN, "only root and the daemon's own user may do this").into_response();
    }
    ask(queries, |to| Query::Connections(name, to), DEED_TIMEOUT).await
}

async fn deed(
    ConnectInfo(Caller(peer)): ConnectInfo<Caller>,
    State(queries): State<Queries>,
    Json(command): Json<Command>,
) -> Response {
    let Some(peer) = peer else {
        return (StatusCode::FORBIDDEN, "the kernel does not say who asks").into_response();
    };
    if command.is_for_root() && peer.uid != 0 {
        return (StatusCode::FORBIDDEN, "only root may do this").into_response();
    }
    ask(queries, |to| Query::Deed(command, peer, to), ORDER_TIMEOUT).await
}

async fn decide(
    ConnectInfo(Caller(peer)): ConnectInfo<Caller>,
    State(queries): State<Queries>,
    Json(decision): Json<Decision>,
) -> Response {
    match peer {
        Some(peer) if peer.uid == 0 => {
            ask(queries, |to| Query::Decide(decision, peer, to), ORDER_TIMEOUT).await
        }
        _ => (StatusCode::FORBIDDEN, "only root may do this").into_response(),
    }
}

/// A loop that does not answer within this time is the news that the operator needs.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// An order is answered once it is on disk.
const ORDER_TIMEOUT: Duration = Duration::from_secs(15);
/// A deed may need several calls to the control plane, of 30 s each at most.
const DEED_TIMEOUT: Duration = Duration::from_secs(100);

async fn ask<T: Serialize>(
    queries: mpsc::Sender<Query>,
    query: impl FnOnce(oneshot::Sender<T>) -> Query,
    patience: Duration,
) -> Response {
    match question(&queries, query, patience).await {
        Ok(Some(view)) => Json(view).into_response(),
        Ok(None) => (StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping").into_response(),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the agent did not answer in time").into_response(),
    }
}

/// Asks the loop: nothing in time, or nobody there, or its answer.
pub(super) async fn question<T>(
    queries: &mpsc::Sender<Query>,
    query: impl FnOnce(oneshot::Sender<T>) -> Query,
    patience: Duration,
) -> Result<Option<T>, Elapsed> {
    let (tx, rx) = oneshot::channel();
    let asked = async {
        queries.send(query(tx)).await.ok()?;
        rx.await.ok()
    };
    timeout(patience, asked).await
}

#[cfg(test)]
mod tests;
