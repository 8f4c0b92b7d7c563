//! How every part of the sandbox is served: real TLS from a throw-away certificate authority, or
//! plain HTTP on loopback.
//!
//! Refuses plain HTTP on any address but loopback. The authority is name-constrained to this
//! machine (`localhost`, `127.0.0.0/8`, `::1`), so trusting it by mistake cannot vouch for anything
//! else; its key never leaves the sandbox's own directory.

use std::{
    fs,
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum_server::{
    Address, Handle, Server,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::task::JoinHandle;

/// How long a stopping server waits for answers still being written.
const GRACE: Duration = Duration::from_secs(2);
/// How long a client may take to send a request's header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a part of the sandbox cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Plain HTTP was asked for on an address that others can reach.
    #[error("plain HTTP is served on loopback only, not on {0}: use TLS or listen on 127.0.0.1")]
    PlainHttpBeyondLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: is another process using it?")]
    Listen(SocketAddr, #[source] io::Error),
    /// The authority's files cannot be read or written.
    #[error("cannot use the certificate authority file {0}")]
    File(PathBuf, #[source] io::Error),
    /// A certificate cannot be made, or a stored key is not a key.
    #[error("cannot make the certificate of {0}; delete the directory to start with a new authority")]
    Certificate(PathBuf, #[source] rcgen::Error),
    /// The TLS library refused what was made.
    #[error("cannot configure TLS")]
    Tls(#[source] rustls::Error),
}

/// What a part of the sandbox speaks.
#[derive(Clone)]
pub enum Transport {
    /// HTTPS with a certificate of the throw-away authority.
    Tls(Identity),
    /// HTTP, on loopback addresses only.
    PlainHttpLoopbackOnly,
}

impl Transport {
    /// `https` or `http`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Tls(_) => "https",
            Self::PlainHttpLoopbackOnly => "http",
        }
    }

    /// The PEM file that a client must trust, if TLS is spoken.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        match self {
            Self::Tls(identity) => Some(identity.ca_file()),
            Self::PlainHttpLoopbackOnly => None,
        }
    }
}

/// A server certificate of the throw-away authority, ready to be served.
#[derive(Clone)]
pub struct Identity {
    ca_file: PathBuf,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Opens the authority in `dir` (`ca.pem`, `ca.key`), making it on first use, and issues a fresh
    /// server certificate for `localhost`, `127.0.0.1` and `::1`. Clients that trust `ca.pem` keep
    /// trusting a restarted server.
    ///
    /// # Errors
    /// [`ServeError::File`] and [`ServeError::Certificate`] name the file; [`ServeError::Tls`]
    /// should not happen.
    pub fn in_dir(dir: &Path) -> Result<Self, ServeError> {
        fs::create_dir_all(dir).map_err(|error| ServeError::File(dir.to_owned(), error))?;
        let ca_file = dir.join("ca.pem");
        let certificate = |error| ServeError::Certificate(dir.to_owned(), error);

        let issuer = authority(&dir.join("ca.key"), &ca_file)?;
        let key = KeyPair::generate().map_err(certificate)?;
        let leaf = server_params().map_err(certificate)?.signed_by(&key, &issuer).map_err(certificate)?;
        let config = server_config(leaf.der().clone(), &key)?;
        Ok(Self { ca_file, config })
    }

    /// The authority's certificate, for the client's `ca_file`.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }
}

/// A server at work.
pub struct Serving {
    /// Where it listens; the real port when port 0 was asked for.
    pub addr: SocketAddr,
    /// Ends when the server has stopped; aborting it stops accepting at once.
    pub done: JoinHandle<io::Result<()>>,
}

/// An address that is taken but not served yet, for parts that must know their own URL first.
pub struct Bound {
    listener: TcpListener,
    transport: Transport,
    addr: SocketAddr,
}

impl Bound {
    /// Takes `listen`.
    ///
    /// # Errors
    /// [`ServeError::PlainHttpBeyondLoopback`] before anything is bound, [`ServeError::Listen`] if
    /// the address is taken.
    pub fn new(listen: SocketAddr, transport: Transport) -> Result<Self, ServeError> {
        if matches!(transport, Transport::PlainHttpLoopbackOnly) && !listen.ip().is_loopback() {
            return Err(ServeError::PlainHttpBeyondLoopback(listen));
        }
        let failed = |error| ServeError::Listen(listen, error);
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, transport, addr })
    }

    /// The address, with the real port when port 0 was asked for.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Scheme, host and port as a client on this machine writes them, without a slash at the end.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = self.transport.scheme();
        if self.addr.ip().is_unspecified() {
            return format!("{scheme}://localhost:{}", self.addr.port());
        }
        format!("{scheme}://{}", self.addr)
    }

    /// Serves `router` until `shutdown` resolves, then lets open answers finish for 2 s. Handlers
    /// can extract `ConnectInfo<SocketAddr>`.
    ///
    /// # Errors
    /// [`ServeError::Listen`] if the runtime cannot watch the socket.
    pub fn serve(
        self,
        router: axum::Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Serving, ServeError> {
        let addr = self.addr;
        let handle = Handle::new();
        let stop = handle.clone();
        let server = axum_server::from_tcp(self.listener).map_err(|error| ServeError::Listen(addr, error))?;
        let server = bounded(server.handle(handle));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let done = match self.transport {
            Transport::Tls(identity) => {
                let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(identity.config));
                tokio::spawn(server.acceptor(acceptor).serve(service))
            }
            Transport::PlainHttpLoopbackOnly => tokio::spawn(server.serve(service)),
        };
        tokio::spawn(async move {
            shutdown.await;
            stop.graceful_shutdown(Some(GRACE));
        });
        Ok(Serving { addr, done })
    }
}

/// [`Bound::new`] and [`Bound::serve`] in one step.
///
/// # Errors
/// As those two.
pub async fn serve(
    listen: SocketAddr,
    transport: Transport,
    router: axum::Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Serving, ServeError> {
    Bound::new(listen, transport)?.serve(router, shutdown)
}

fn bounded<A: Address>(mut server: Server<A>) -> Server<A> {
    server.http_builder().http1().header_read_timeout(HEADER_TIMEOUT);
    server.http1_only()
}

fn authority(key_file: &Path, ca_file: &Path) -> Result<Issuer<'static, KeyPair>, ServeError> {
    let certificate = |error| ServeError::Certificate(key_file.to_owned(), error);
    let key = match fs::read_to_string(key_file) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(certificate)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(certificate)?;
            write_private(key_file, &key.serialize_pem())
                .map_err(|error| ServeError::File(key_file.to_owned(), error))?;
            key
        }
        Err(error) => return Err(ServeError::File(key_file.to_owned(), error)),
    };
    // The same name and key make the same trust anchor, so rewriting the file is harmless.
    let pem = authority_params().self_signed(&key).map_err(certificate)?.pem();
    fs::write(ca_file, pem).map_err(|error| ServeError::File(ca_file.to_owned(), error))?;
    Ok(Issuer::new(authority_params(), key))
}

/// Valid from 1975 to 4096, so that a test may set the clock as it likes.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "ephemerald sandbox, throw-away authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(Ipv4Addr::LOCALHOST.octets(), 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128)),
        ],
        excluded_subtrees: Vec::new(),
    });
    params
}

/// Valid from yesterday on, as a real server's: whoever believes that it is the year 2000 must find out.
fn server_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(str::to_owned))?;
    let yesterday = jiff::Timestamp::now().as_second().saturating_sub(24 * 60 * 60);
    params.not_before =
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(yesterday).unwrap_or(0));
    params.distinguished_name.push(DnType::CommonName, "ephemerald sandbox");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn server_config(leaf: CertificateDer<'static>, key: &KeyPair) -> Result<Arc<ServerConfig>, ServeError> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(ServeError::Tls)?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .map_err(ServeError::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
