//! Answers at the control socket and for probes, looked over before they leave.
//!
//! Refuses: an answer that holds a live secret.

use axum::{
    body::{self, Body},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::secrets::guard::{self, Outlet};

/// The answer as it is, or, if it holds a secret, an error in its place.
pub(super) async fn guarded(outlet: Outlet, answer: Response) -> Response {
    let (head, content) = answer.into_parts();
    // Our own answers are whole and in memory.
    let Ok(content) = body::to_bytes(content, usize::MAX).await else { return withheld("could not be read") };
    match guard::judge(outlet, &content, None) {
        Ok(()) => Response::from_parts(head, Body::from(content)),
        Err(hit) => withheld(&format!("held a secret (sha256 {}…)", hit.secret)),
    }
}

fn withheld(why: &str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("the answer was withheld: it {why}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream, UnixStream},
        sync::{mpsc, oneshot},
    };

    use super::super::{
        probes,
        server::{AdminServer, Query},
    };
    use crate::secrets::Secret;

    const TEXT: &str = "jca_answer-canary/7d20";

    /// A loop that has a secret in every figure.
    fn leaking() -> mpsc::Sender<Query> {
        let (tx, mut rx) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(query) = rx.recv().await {
                if let Query::Metrics(reply) = query {
                    drop(reply.send(format!("# {TEXT}\n")));
                }
            }
        });
        tx
    }

    async fn asked(mut way: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
        way.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        way.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn neither_the_socket_nor_a_probe_gives_an_answer_that_holds_a_live_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let server = AdminServer::bind(&path, None).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(leaking(), async { drop(stopped.await) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, probes::router(leaking())).await });
        let secret = Secret::new(TEXT.to_owned());
        let digest = secret.digest();
        let mut alive = Some(secret);
        for _ in 0..2 {
            let of_the_socket = asked(UnixStream::connect(&path).await.unwrap()).await;
            let of_a_probe = asked(TcpStream::connect(address).await.unwrap()).await;
            for answer in [of_the_socket, of_a_probe] {
                if alive.is_some() {
                    assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("canary"), "{answer}");
                    assert!(answer.contains(&digest), "{answer}");
                } else {
                    assert!(answer.contains(TEXT), "where it is no secret it is shown: {answer}");
                }
            }
            alive = None;
        }
        drop(stop);
        task.await.unwrap().unwrap();
    }
}
