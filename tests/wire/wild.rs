//! A server that says, byte for byte, what a test wants said, and writes down all that it hears.
//!
//! It lives on a thread of its own, so that a flood of its cannot hold itself up. No HTTP library:
//! a library would refuse to be wrong.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::oneshot,
    time::sleep,
};

use crate::{
    h2,
    pipe::{End, Pipe},
};

/// What is said to one request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) parts: Vec<Part>,
    pub(crate) end: End,
}

/// A piece of it.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Bytes(Vec<u8>),
    /// One byte at a time, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Again and again until the client goes away.
    Endless(Vec<u8>),
}

impl Reply {
    pub(crate) fn of(bytes: impl Into<Vec<u8>>, end: End) -> Self {
        Self { parts: vec![Part::Bytes(bytes.into())], end }
    }

    pub(crate) fn then(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }
}

/// When a reply is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// After the whole request.
    Asked,
    /// Before its first byte.
    Connected,
    /// After its head, before its body.
    Head,
}

type Script = dyn Fn(usize) -> Reply + Send + Sync;

/// The server.
pub(crate) struct Wild {
    pub(crate) addr: SocketAddr,
    notes: Notes,
    _stop: oneshot::Sender<()>,
}

/// What it heard.
#[derive(Clone, Default)]
pub(crate) struct Notes {
    /// As it came over the network.
    raw: Arc<Mutex<Vec<u8>>>,
    /// As it was meant.
    plain: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Wild {
    /// `script` is asked for the reply to the first request (0), the second, …
    pub(crate) fn start(
        tls: Option<Arc<ServerConfig>>,
        when: When,
        script: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let notes = Notes::default();
        let (heard, script): (_, Arc<Script>) = (notes.clone(), Arc::new(script));
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    loop {
                        let (tcp, _) = listener.accept().await.unwrap();
                        heard.connections.fetch_add(1, Ordering::SeqCst);
                        tokio::spawn(serve(tcp, tls.clone(), when, heard.clone(), Arc::clone(&script)));
                    }
                };
                tokio::select! { _ = stopped => {}, () = accepting => {} }
            });
        });
        Self { addr, notes, _stop: stop }
    }

    pub(crate) fn origin(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.addr)
    }

    pub(crate) fn connections(&self) -> usize {
        self.notes.connections.load(Ordering::SeqCst)
    }

    /// Requests that arrived whole.
    pub(crate) fn requests(&self) -> usize {
        self.notes.requests.load(Ordering::SeqCst)
    }

    /// Everything that was said to it, deciphered.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.notes.plain.lock().unwrap()).into_owned()
    }

    /// Everything that reached it, as it came.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.notes.raw.lock().unwrap().clone()
    }
}

impl Notes {
    pub(crate) fn hear(&self, bytes: &[u8]) {
        self.plain.lock().unwrap().extend_from_slice(bytes);
    }

    /// The number of the request that is now whole.
    pub(crate) fn asked(&self) -> usize {
        self.requests.fetch_add(1, Ordering::SeqCst)
    }
}

async fn serve(
    tcp: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    when: When,
    notes: Notes,
    script: Arc<Script>,
) {
    let Some(mut pipe) = Pipe::open(tcp, tls, Arc::clone(&notes.raw)).await else { return };
    if pipe.is_h2() {
        return h2::serve(pipe, &notes, &*script).await;
    }
    let mut unread = Vec::new();
    loop {
        if when != When::Connected && !hears(&mut pipe, &mut unread, &notes, when).await {
            return;
        }
        let reply = script(notes.asked());
        for part in reply.parts {
            if say(&mut pipe, part).await.is_none() {
                return;
            }
        }
        if reply.end != End::Kept || when != When::Asked {
            return pipe.end(reply.end).await;
        }
    }
}

pub(crate) async fn say(pipe: &mut Pipe, part: Part) -> Option<()> {
    match part {
        Part::Bytes(bytes) => pipe.write(&bytes).await,
        Part::Drip(bytes, pause) => {
            for byte in bytes {
                pipe.write(&[byte]).await?;
                sleep(pause).await;
            }
            Some(())
        }
        Part::Endless(bytes) => loop {
            pipe.write(&bytes).await?;
        },
    }
}

/// Reads one request, or its head; false when the client went away before.
async fn hears(pipe: &mut Pipe, unread: &mut Vec<u8>, notes: &Notes, when: When) -> bool {
    loop {
        if let Some(head) = find(unread, b"\r\n\r\n") {
            let length = if when == When::Head { 0 } else { body_length(&unread[..head]) };
            if unread.len() >= head + 4 + length {
                unread.drain(..head + 4 + length);
                return true;
            }
        }
        let Some(bytes) = pipe.read().await else { return false };
        notes.hear(&bytes);
        unread.extend_from_slice(&bytes);
    }
}

fn body_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
