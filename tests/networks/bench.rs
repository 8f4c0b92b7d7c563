//! The agent's door, a server behind whatever is in between, and the key that must not be seen on the way.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ephemerald::{
    http::{Door, DoorOptions, ProxyOptions, Request, SendFault},
    secrets::Secret,
};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// The API key.
pub(crate) const KEY: &str = "jca_networks_canary_key";
/// What a proxy wants to know.
pub(crate) const PASSWORD: &str = "p%41ss:wörd/canary";
pub(crate) const FINE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// A TLS server that gives one answer to everything.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) async fn start(tls: Arc<ServerConfig>) -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls, FINE).await
    }

    pub(crate) async fn at(listen: SocketAddr, tls: Arc<ServerConfig>, answer: &'static str) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let server =
            Self { addr: listener.local_addr().unwrap(), connections: Arc::default(), heard: Arc::default() };
        let (acceptor, count, heard) =
            (TlsAcceptor::from(tls), Arc::clone(&server.connections), Arc::clone(&server.heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, heard) = (acceptor.clone(), Arc::clone(&heard));
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.ok()?);
                    }
                    heard.lock().unwrap().push_str(&String::from_utf8_lossy(&head));
                    stream.write_all(answer.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
        server
    }

    pub(crate) fn origin(&self) -> String {
        format!("https://{}", self.addr)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

pub(crate) fn options(origin: &str, trusted: &str) -> DoorOptions {
    DoorOptions {
        origin: origin.to_owned(),
        extra_ca_pem: Some(trusted.as_bytes().to_vec()),
        only_extra_ca: true,
        proxy: None,
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(30),
        total_timeout: Duration::from_secs(40),
        max_body: 1 << 20,
        user_agent: "ephemerald/test".to_owned(),
    }
}

/// A way through a proxy, with a name and password or without.
pub(crate) fn through(url: &str, user: Option<&str>) -> Option<ProxyOptions> {
    Some(ProxyOptions {
        url: url.to_owned(),
        user: user.map(str::to_owned),
        password: user.map(|_| Secret::new(PASSWORD.to_owned())),
        except: Vec::new(),
        said_by: "control_plane: proxy".to_owned(),
        auth_by: if user.is_some() { "proxy.json" } else { "control_plane: proxy_auth_file" }.to_owned(),
    })
}

/// One request with the key.
pub(crate) async fn send(options: DoorOptions) -> Result<u16, SendFault> {
    let mut key = HeaderValue::from_static(KEY);
    key.set_sensitive(true);
    let request = Request {
        method: Method::PUT,
        path: "/api/users/1".to_owned(),
        headers: vec![(HeaderName::from_static("x-api-key"), key)],
        body: Some(b"{}".to_vec()),
        total_timeout: None,
    };
    Door::new(options).unwrap().send(request).await.map(|answer| answer.status)
}

/// What a request that certainly did not leave says.
#[track_caller]
pub(crate) fn not_sent(outcome: Result<u16, SendFault>) -> String {
    let fault = outcome.unwrap_err();
    let text = fault.to_string();
    assert!(matches!(fault, SendFault::NotSent { .. }), "{text}");
    assert!(!format!("{text}{fault:?}").contains("canary"), "{text}");
    text
}

#[track_caller]
pub(crate) fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

/// Something that says in plain HTTP that it does not understand, whatever it is told.
pub(crate) async fn plain_http() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    addr
}
