//! A CONNECT proxy of the test's own: it carries, wants a password, refuses in every way, or looks inside.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::Authority;

/// What it does with whoever asks for a way.
#[derive(Clone)]
pub(crate) enum Manner {
    Carries,
    /// Only for this user name and password.
    Wants(String),
    /// These bytes, then it hangs up.
    Says(&'static str),
    /// Nothing, and it stays.
    Silent,
    /// Ends the TLS of both sides, with certificates of this authority; trusts servers of the other.
    Inspects(Arc<Authority>, Arc<Authority>),
}

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    tls: Option<TlsAcceptor>,
    manner: Manner,
    /// What it was told before the way was made.
    told: Arc<Mutex<String>>,
    /// What it read inside of a way.
    read: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::of(manner, None).await
    }

    /// One that is spoken to over TLS.
    pub(crate) async fn over_tls(manner: Manner, tls: Arc<ServerConfig>) -> Self {
        Self::of(manner, Some(TlsAcceptor::from(tls))).await
    }

    async fn of(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let proxy = Self { addr, tls, manner, told: Arc::default(), read: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let proxy = accepting.clone();
                tokio::spawn(async move {
                    match &proxy.tls {
                        Some(tls) => proxy.serve(tls.accept(client).await.ok()?).await,
                        None => proxy.serve(client).await,
                    }
                });
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.addr)
    }

    pub(crate) fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn read(&self) -> String {
        String::from_utf8_lossy(&self.read.lock().unwrap()).into_owned()
    }

    async fn serve(&self, mut client: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.ok()?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        self.told.lock().unwrap().push_str(&head);
        let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
        let mut answer = "HTTP/1.1 200 Connection established\r\n\r\n";
        match &self.manner {
            Manner::Says(bytes) => {
                client.write_all(bytes.as_bytes()).await.ok()?;
                return client.shutdown().await.ok();
            }
            Manner::Silent => std::future::pending().await,
            Manner::Wants(pair) => {
                let basic = format!("Basic {}\r\n", STANDARD.encode(pair));
                if !head.contains(&basic) {
                    answer = "HTTP/1.1 407 Who?\r\nproxy-authenticate: Basic\r\n\r\n";
                    client.write_all(answer.as_bytes()).await.ok()?;
                    return client.shutdown().await.ok();
                }
            }
            Manner::Carries | Manner::Inspects(..) => {}
        }
        let mut server = TcpStream::connect(&target).await.ok()?;
        client.write_all(answer.as_bytes()).await.ok()?;
        match &self.manner {
            Manner::Inspects(own, servers) => self.inspect(client, server, &target, (own, servers)).await,
            _ => copy_bidirectional(&mut client, &mut server).await.ok().map(drop),
        }
    }

    async fn inspect(
        &self,
        client: impl AsyncRead + AsyncWrite + Unpin,
        server: TcpStream,
        target: &str,
        (own, servers): (&Authority, &Authority),
    ) -> Option<()> {
        let host = target.rsplit_once(':')?.0.to_owned();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(servers.pem.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = TlsAcceptor::from(own.server(&[&host])).accept(client).await.ok()?;
        let name = ServerName::try_from(host).unwrap();
        let mut server = TlsConnector::from(Arc::new(config)).connect(name, server).await.ok()?;
        let (mut up, mut down) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                sent = client.read(&mut up) => {
                    let sent = sent.ok().filter(|count| *count > 0)?;
                    self.read.lock().unwrap().extend_from_slice(&up[..sent]);
                    server.write_all(&up[..sent]).await.ok()?;
                }
                came = server.read(&mut down) => {
                    let came = came.ok().filter(|count| *count > 0)?;
                    client.write_all(&down[..came]).await.ok()?;
                }
            }
        }
    }
}
