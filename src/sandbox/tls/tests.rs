//! The throw-away authority, seen from a client that trusts it.

use super::*;

use std::future::pending;

fn client(identity: &Identity) -> reqwest::Client {
    let pem = fs::read(identity.ca_file()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&pem) {
        let certificate: CertificateDer<'static> = certificate.unwrap();
        roots.add(certificate).unwrap();
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    #[allow(clippy::disallowed_methods, reason = "a test's own client, on loopback")]
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

fn hello() -> axum::Router {
    axum::Router::new().route("/", axum::routing::get(|| async { "hello" }))
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served_by_name_and_by_address() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::in_dir(dir.path()).unwrap();
    let serving = serve(ANY_PORT, Transport::Tls(identity.clone()), hello(), pending()).await.unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/", serving.addr.port());
        assert_eq!(client(&identity).get(url).send().await.unwrap().text().await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_restarted_server_is_still_trusted_and_another_authority_is_not() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = client(&Identity::in_dir(dir.path()).unwrap());
    let stranger = client(&Identity::in_dir(elsewhere.path()).unwrap());

    let again = Identity::in_dir(dir.path()).unwrap();
    let serving = serve(ANY_PORT, Transport::Tls(again), hello(), pending()).await.unwrap();
    let url = format!("https://localhost:{}/", serving.addr.port());

    before.get(&url).send().await.unwrap();
    assert!(stranger.get(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn plain_http_beyond_loopback_is_refused_before_binding() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = serve(everywhere, Transport::PlainHttpLoopbackOnly, hello(), pending()).await;
    assert!(matches!(refused, Err(ServeError::PlainHttpBeyondLoopback(_))));
}

#[tokio::test]
async fn a_stopped_server_frees_its_port() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let serving = serve(ANY_PORT, Transport::PlainHttpLoopbackOnly, hello(), shutdown).await.unwrap();
    drop(stop);
    serving.done.await.unwrap().unwrap();
    TcpListener::bind(serving.addr).unwrap();
}

#[test]
fn the_authority_key_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    Identity::in_dir(dir.path()).unwrap();
    let mode = fs::metadata(dir.path().join("ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
