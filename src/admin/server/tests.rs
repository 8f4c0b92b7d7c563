//! The socket, its answers and who gets them.

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
                Query::Deed(command, peer, reply) => {
                    let said = format!("{command:?} by {}", peer.uid);
                    drop(reply.send(DeedView { refused: Some(said), ..Default::default() }));
                }
                Query::Decide(decision, peer, reply) => {
                    let said = format!("{decision:?} by {}", peer.uid);
                    drop(reply.send(DecisionView { refused: Some(said), ..Default::default() }));
                }
                Query::Metrics(reply) => drop(reply.send("# EOF\n".to_owned())),
                Query::Connections(name, reply) => {
                    let integration = name.unwrap_or_default();
                    drop(reply.send(vec![KeyView { integration, ..KeyView::default() }]));
                }
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
    let server = AdminServer::bind(&path, None).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.run(answering(), async { drop(stopped.await) }));
    assert_eq!(client::status(&path).await.unwrap().outbox_depth, 7);
    assert_eq!(client::grants(&path).await.unwrap().len(), 1);
    assert!(client::health(&path).await.unwrap().live);
    assert_eq!(client::metrics(&path).await.unwrap(), "# EOF\n");
    assert_eq!(client::rotate_key(&path).await.unwrap().outcome, RotationOutcome::Done);
    let remark = Some(crate::engine::ids::Remark::new("a reason").unwrap());
    let command = Command { deed: crate::engine::order::Deed::Freeze, remark };
    let said = client::order(&path, &command).await.unwrap().refused.unwrap();
    let own = rustix::process::getuid().as_raw();
    assert_eq!(said, format!("{command:?} by {own}"), "the order and the kernel's word on who gives it");
    let decision = Decision {
        deed: crate::engine::recovery::Deed::Acknowledge { unheard: false },
        why: crate::engine::ids::Remark::new("looked").unwrap(),
    };
    match client::decide(&path, &decision).await {
        Ok(view) => assert_eq!((own, view.refused), (0, Some(format!("{decision:?} by 0")))),
        Err(error) => assert!(own != 0 && error.to_string().contains("only root"), "{own}: {error}"),
    }
    drop(stop);
    task.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_left_alone_and_a_stale_one_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let first = AdminServer::bind(&path, None).await.unwrap();
    assert!(matches!(AdminServer::bind(&path, None).await, Err(ServeError::InUse(_))));
    drop(first);
    assert!(path.exists(), "the file of a dead daemon stays behind");
    AdminServer::bind(&path, None).await.unwrap();
}

#[tokio::test]
async fn the_socket_is_given_to_its_group_or_not_served_at_all() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let own = rustix::process::getgid().as_raw();
    let server = AdminServer::bind(&path, Some(&own.to_string())).await.unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.gid(), found.permissions().mode() & 0o777), (own, 0o660));
    drop(server);
    let error = AdminServer::bind(&path, Some("no-such-group-here")).await.unwrap_err();
    assert!(error.to_string().contains("no-such-group-here"), "{error}");
    assert!(!path.exists(), "nobody connects to a socket of the wrong group");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(AdminServer::bind(&path, None).await, Err(ServeError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_stopped_loop_is_said_to_be_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let server = AdminServer::bind(&path, None).await.unwrap();
    let (tx, rx) = mpsc::channel(1);
    drop(rx);
    let task = tokio::spawn(server.run(tx, std::future::pending()));
    let error = client::status(&path).await.unwrap_err();
    assert!(error.to_string().contains("stopping"), "{error}");
    task.abort();
}
