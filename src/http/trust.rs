//! Whom a door believes to be the server, and what the operator can do about one that is not believed.
//!
//! Refuses to have a switch that turns the proof off.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

use super::{DoorError, DoorOptions, dead_clock::Judge};

/// The one way to make a TLS session, and who judges the certificates of it.
pub(super) fn tls(options: &DoorOptions) -> Result<(ClientConfig, Arc<Judge>), DoorError> {
    let mut roots = RootCertStore::empty();
    if !options.only_extra_ca {
        let native = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(native.certs);
        if added == 0 {
            // An empty image has no platform store: the bundled Mozilla roots stand in.
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
    }
    if options.only_extra_ca && options.extra_ca_pem.is_none() {
        return Err(DoorError::Ca(
            "only the configured ones are to be trusted, and none is configured".to_owned(),
        ));
    }
    if let Some(pem) = &options.extra_ca_pem {
        let mut found = 0;
        for cert in CertificateDer::pem_slice_iter(pem) {
            let cert = cert.map_err(|e| DoorError::Ca(e.to_string()))?;
            roots.add(cert).map_err(|e| DoorError::Ca(e.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(DoorError::Ca("no certificate found".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let judge = Judge::of(roots, Arc::clone(&provider)).map_err(|e| DoorError::Ca(e.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| DoorError::Client(e.to_string()))?
        // The library's judge, with a second look where this machine's clock was dead; none is left out.
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&judge) as Arc<_>)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, judge))
}

/// What a server's failure to prove who it is asks of the operator. By rustls' words, for want of its
/// types behind the library's errors; `tests/wire` holds each of them.
pub(super) fn advice(text: &str) -> Option<&'static str> {
    let known = [
        // An authority of the right name with another key shows as a bad signature.
        ("UnknownIssuer", UNTRUSTED),
        ("BadSignature", UNTRUSTED),
        (
            "certificate expired",
            "the server's certificate has run out: renew it, or set this machine's clock",
        ),
        (
            "certificate not valid yet",
            "the server's certificate is of later: set this machine's clock, or renew it",
        ),
        ("not valid for name", "the URL must name the server as its certificate does"),
        ("extended key usage", "the certificate is not for servers: the server needs one for servers"),
        (
            "InvalidContentType",
            "what answers there speaks no TLS: is the port right, and for a proxy http:// or https://? Or is it a captive portal",
        ),
        ("ProtocolVersion", OLD_TLS),
        ("peer is incompatible", OLD_TLS),
    ];
    known.iter().find(|(word, _)| text.contains(word)).map(|(_, advice)| *advice)
}

const UNTRUSTED: &str = "the server's certificate is not signed by a trusted authority: a TLS-inspecting proxy, a server that does not send its intermediate certificate, or a private CA that must be configured, or was renewed";
const OLD_TLS: &str = "the server speaks neither TLS 1.2 nor 1.3, or shares no cipher with this program: bring its TLS up to date";
