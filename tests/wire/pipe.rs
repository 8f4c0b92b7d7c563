//! One accepted connection, plain or TLS, byte for byte. Ends it in each way that a network knows.

use std::{
    io::{Read as _, Write as _},
    sync::{Arc, Mutex},
};

use rustls::{ServerConfig, ServerConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// RST.
    Reset,
    /// FIN without TLS's own goodbye: what anybody on the way can forge.
    Fin,
    /// TLS's goodbye, then FIN.
    Goodbye,
    /// Not at all: silence until the other side goes away.
    Silence,
    /// Not at all: the next request may come.
    Kept,
}

/// The connection.
pub(crate) struct Pipe {
    tcp: TcpStream,
    tls: Option<ServerConnection>,
    raw: Arc<Mutex<Vec<u8>>>,
}

impl Pipe {
    /// After the handshake, if one is wanted; `None` if it fails.
    pub(crate) async fn open(
        tcp: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        raw: Arc<Mutex<Vec<u8>>>,
    ) -> Option<Self> {
        tcp.set_nodelay(true).ok()?;
        let tls = tls.map(|config| ServerConnection::new(config).unwrap());
        let mut pipe = Self { tcp, tls, raw };
        while pipe.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            pipe.flush().await?;
            if pipe.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                pipe.fill().await?;
            }
        }
        pipe.flush().await?;
        Some(pipe)
    }

    pub(crate) fn is_h2(&self) -> bool {
        self.tls.as_ref().and_then(|tls| tls.alpn_protocol()) == Some(b"h2")
    }

    /// Some bytes of the client's; `None` when it has gone.
    pub(crate) async fn read(&mut self) -> Option<Vec<u8>> {
        if self.tls.is_none() {
            return self.receive().await;
        }
        let mut buffer = [0; 16_384];
        loop {
            match self.tls.as_mut()?.reader().read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => return Some(buffer[..count].to_vec()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => self.fill().await?,
                Err(_) => return None,
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        if self.tls.is_none() {
            return self.tcp.write_all(bytes).await.ok();
        }
        for part in bytes.chunks(16_384) {
            self.tls.as_mut()?.writer().write_all(part).ok()?;
            self.flush().await?;
        }
        Some(())
    }

    pub(crate) async fn end(mut self, end: End) {
        match end {
            End::Reset => self.tcp.set_zero_linger().unwrap(),
            End::Fin | End::Kept => {
                let _ = self.tcp.shutdown().await;
                self.drain().await;
            }
            End::Goodbye => {
                if let Some(tls) = &mut self.tls {
                    tls.send_close_notify();
                }
                self.flush().await;
                let _ = self.tcp.shutdown().await;
                self.drain().await;
            }
            End::Silence => self.drain().await,
        }
    }

    /// Unread bytes would turn a FIN into an RST.
    async fn drain(&mut self) {
        while self.read().await.is_some() {}
    }

    async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 16_384];
        let count = self.tcp.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        self.raw.lock().unwrap().extend_from_slice(&buffer[..count]);
        Some(buffer[..count].to_vec())
    }

    /// Takes what arrived into TLS.
    async fn fill(&mut self) -> Option<()> {
        let bytes = self.receive().await?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            self.tls.as_mut()?.read_tls(&mut rest).ok()?;
            if self.tls.as_mut()?.process_new_packets().is_err() {
                self.flush().await;
                return None;
            }
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Option<()> {
        let Some(tls) = &mut self.tls else { return Some(()) };
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).ok()?;
        }
        self.tcp.write_all(&bytes).await.ok()
    }
}
