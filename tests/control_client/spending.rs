//! The secret of a token while it is spent.

use std::time::Duration;

use ephemerald::{
    clock,
    control::{
        client::Client,
        enroll::{self, About},
        token::AgentToken,
    },
    secrets::{
        AtRest,
        guard::{self, Outlet},
    },
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use super::{entropy, plain_door, speaker};

const SECRET: &str = "spent-canary/5b7e0d93";

/// Reads until the secret has come.
async fn hears_it(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    while !heard.windows(SECRET.len()).any(|text| text == SECRET.as_bytes()) {
        assert!(stream.read_buf(&mut heard).await.unwrap() > 0, "{}", String::from_utf8_lossy(&heard));
    }
    stream
}

#[tokio::test]
async fn the_secret_of_a_token_goes_to_its_control_plane_alone_while_it_is_spent() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let token = AgentToken { url: url.clone(), secret: SECRET.to_owned(), root: "root".to_owned() };
    let key = enroll::prepare(dir.path(), &entropy(9), &AtRest::Plain).unwrap();
    let client = Client::unenrolled(plain_door(&url), key.clone(), speaker(), clock::now);
    let is_held = |to: Option<&str>| guard::judge(Outlet::Request, SECRET.as_bytes(), to).is_err();

    let about = About::default();
    let place = (dir.path(), &AtRest::Plain);
    // It is waited for no longer once the secret has arrived, and is under way until it is dropped.
    let mut enrolment = Box::pin(enroll::enroll(&client, &key, &token, about, place, clock::now().wall));
    let heard = tokio::time::timeout(Duration::from_secs(45), hears_it(&listener));
    let _open = tokio::select! {
        done = &mut enrolment => panic!("nobody answered: {done:?}"),
        stream = heard => stream.unwrap(),
    };
    assert!(is_held(None), "the guard does not know it");
    assert!(is_held(Some("https://elsewhere.example")) && !is_held(Some(&url)));
    drop(enrolment);
    assert!(!is_held(None), "it is nobody's any more");
}
