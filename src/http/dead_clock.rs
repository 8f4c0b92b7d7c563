//! Certificates in the eyes of a machine whose clock was dead: it says the year 2000, and every certificate is
//! one of the future. Access that was given before must be taken away all the same.
//!
//! Refuses to look away: a certificate that is not valid yet by the wall clock is judged by the instant that
//! the journal has certainly reached, with the same proofs. One that has run out stays refused, whichever
//! clock says so first; a wall clock that is far ahead can therefore lock us out, and that is said.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::shown::Shown;
use crate::clock;

/// The library's own judgement, asked a second time where the wall clock is behind.
#[derive(Debug)]
pub(super) struct Judge {
    library: Arc<WebPkiServerVerifier>,
    /// Who showed which certificate last, trusted or not: a server and its proxy at most.
    shown: Mutex<Vec<(ServerName<'static>, CertificateDer<'static>)>>,
}

impl Judge {
    /// One that trusts these authorities.
    pub(super) fn of(
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<Self>, VerifierBuilderError> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Arc::new(Self { library: verifier, shown: Mutex::default() }))
    }

    /// The certificate that a server of this name or address showed last.
    pub(super) fn shown_by(&self, host: &str) -> Option<Shown> {
        let name = ServerName::try_from(host).ok()?;
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().find(|(of, _)| *of == name).and_then(|(_, leaf)| Shown::of(leaf))
    }

    fn note(&self, name: &ServerName<'_>, leaf: &CertificateDer<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|(of, _)| of != name);
        shown.push((name.to_owned(), leaf.clone().into_owned()));
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.note(name, leaf);
        let judged = self.library.verify_server_cert(leaf, others, name, ocsp, now);
        match (&judged, clock::certainly_passed().and_then(unix)) {
            (Err(error), Some(later)) if is_of_the_future(error) && later > now => {
                self.library.verify_server_cert(leaf, others, name, ocsp, later)
            }
            _ => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.library.supported_verify_schemes()
    }
}

fn is_of_the_future(error: &Error) -> bool {
    use CertificateError as E;
    matches!(error, Error::InvalidCertificate(E::NotValidYet | E::NotValidYetContext { .. }))
}

fn unix(millis: i64) -> Option<UnixTime> {
    let seconds = u64::try_from(millis / 1000).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}
