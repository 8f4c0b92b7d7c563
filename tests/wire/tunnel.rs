//! A proxy (CONNECT) between the shipped program and everybody: it carries TLS as it is and cuts the
//! way back at a random byte, until the wire is healed.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The proxy.
#[derive(Clone)]
pub(crate) struct Tunnel {
    pub(crate) addr: SocketAddr,
    broken: Arc<AtomicBool>,
    cuts: Arc<AtomicUsize>,
    /// What it was told in the clear.
    told: Arc<Mutex<Vec<u8>>>,
}

impl Tunnel {
    pub(crate) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let tunnel = Self {
            addr: listener.local_addr().unwrap(),
            broken: Arc::default(),
            cuts: Arc::default(),
            told: Arc::default(),
        };
        let (accepting, mut dice) = (tunnel.clone(), Dice(seed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A handshake comes in about two thousand bytes; answers follow.
                let cut = dice.below(6_000);
                let (tunnel, reset) = (accepting.clone(), dice.below(2) == 0);
                tokio::spawn(async move { tunnel.carry(client, cut, reset).await });
            }
        });
        tunnel
    }

    pub(crate) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// Connections that were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }

    pub(crate) fn told(&self) -> Vec<u8> {
        self.told.lock().unwrap().clone()
    }

    async fn carry(self, mut client: TcpStream, mut left: usize, reset: bool) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.ok()?);
        }
        self.told.lock().unwrap().extend_from_slice(&head);
        let head = String::from_utf8(head).unwrap();
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
        let mut server = TcpStream::connect(target).await.ok()?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
        let (mut up, mut down) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                sent = client.read(&mut up) => {
                    let sent = sent.ok().filter(|count| *count > 0)?;
                    server.write_all(&up[..sent]).await.ok()?;
                }
                came = server.read(&mut down) => {
                    let came = came.ok().filter(|count| *count > 0)?;
                    if !self.broken.load(Ordering::SeqCst) {
                        client.write_all(&down[..came]).await.ok()?;
                        continue;
                    }
                    client.write_all(&down[..came.min(left)]).await.ok()?;
                    if came >= left {
                        self.cuts.fetch_add(1, Ordering::SeqCst);
                        if reset {
                            client.set_zero_linger().unwrap();
                        }
                        return None;
                    }
                    left -= came;
                }
            }
        }
    }
}

/// Seeded chance (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// 0 to `limit` − 1.
    pub(crate) fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit).unwrap()
    }
}
