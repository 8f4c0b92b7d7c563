//! A change of the agent's key, and the requests beside it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::{
    clock,
    control::{
        client::Client,
        keys::KeyPair,
        wire::{AcquireRequest, StatusRequest},
    },
    engine::ids::AgentId,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{plain_door, speaker};

/// A control plane in the middle of a change of the agent's key: what it was asked, and with which key.
struct Changing {
    origin: String,
    asked: mpsc::UnboundedReceiver<(String, String, oneshot::Sender<Response>)>,
}

impl Changing {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = mpsc::unbounded_channel();
        let answer = async move |request: Request| {
            let proof =
                request.headers()["authorization"].to_str().unwrap().split_once(' ').unwrap().1.to_owned();
            let header = URL_SAFE_NO_PAD.decode(proof.split('.').next().unwrap()).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            let (reply, answer) = oneshot::channel::<Response>();
            let path = request.uri().path().rsplit('/').next().unwrap().to_owned();
            tell.send((path, header["kid"].as_str().unwrap().to_owned(), reply)).unwrap();
            answer.await.unwrap()
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { origin, asked }
    }

    /// The next request; nobody asking for long is a failure.
    async fn next(&mut self) -> (String, String, oneshot::Sender<Response>) {
        tokio::time::timeout(Duration::from_secs(45), self.asked.recv()).await.expect("a request").unwrap()
    }

    fn client(&self, key: KeyPair) -> Arc<Client> {
        let agent = AgentId::new("agent-1").unwrap();
        Arc::new(Client::new(plain_door(&self.origin), key, &agent, speaker(), clock::now))
    }
}

fn yes() -> Response {
    Json(json!({"jobs": [], "server_time": "2026-11-26T09:00:00.000Z"})).into_response()
}

fn no() -> Response {
    let problem = json!({"type": "urn:ephemerald:problem:proof-refused", "title": "no", "status": 401});
    (StatusCode::UNAUTHORIZED, Json(problem)).into_response()
}

#[tokio::test]
async fn while_a_new_key_is_tried_nobody_speaks_with_the_old_one_and_what_was_under_way_is_repeated() {
    let mut plane = Changing::start().await;
    let (old, new) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let (was, is) = (old.public().thumbprint(), new.public().thumbprint());
    let client = plane.client(old);
    let poll = |client: &Arc<Client>| {
        let client = Arc::clone(client);
        tokio::spawn(async move { client.acquire(&AcquireRequest::default()).await })
    };
    let early = poll(&client);
    let (path, key, answer_early) = plane.next().await;
    assert_eq!((path.as_str(), key.as_str()), ("acquire", was.as_str()));

    let trying = Arc::clone(&client);
    let request: StatusRequest = serde_json::from_value(json!({
        "version": "0.1.0", "at": "2026-11-26T09:00:00.000Z", "started_at": "2026-11-26T08:00:00.000Z",
        "live_grants": 0, "ending": 0, "overdue": 0, "stuck": 0, "outbox": 0, "frozen": false, "dry_run": false,
        "revoke_only": false, "skew_ms": 0, "journal": null, "policy_hash": null, "key_set_version": 1,
        "integrations": [],
    }))
    .unwrap();
    let change = tokio::spawn(async move { trying.try_key(new, &request).await });
    let (path, key, answer_trial) = plane.next().await;
    assert_eq!((path.as_str(), key.as_str()), ("status", is.as_str()));
    let during = poll(&client);
    // The control plane has dropped the old key; what was under way with it comes too late.
    answer_early.send(no()).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(plane.asked.try_recv().is_err(), "nobody speaks during the trial");
    answer_trial.send(yes()).unwrap();
    change.await.unwrap().unwrap();
    for _ in 0..2 {
        let (path, key, answer) = plane.next().await;
        assert_eq!((path.as_str(), key.as_str()), ("acquire", is.as_str()));
        answer.send(yes()).unwrap();
    }
    early.await.unwrap().unwrap();
    during.await.unwrap().unwrap();
}
