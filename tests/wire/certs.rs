//! A certificate authority of the test's own, and every certificate that should not be trusted.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// The authority that the client is told to trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = authority(name).self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(authority(name), key), pem }
    }

    /// A server with a good certificate.
    pub(crate) fn server(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        self.server_with(alpn, |_| {})
    }

    /// A server with a certificate that is not quite good.
    pub(crate) fn server_with(
        &self,
        alpn: &[&str],
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let leaf = leaf(edit).signed_by(&key, &self.issuer).unwrap();
        config(leaf.der().clone(), &key, alpn)
    }

    /// A server whose certificate hangs on an intermediate one that it does not send.
    pub(crate) fn server_of_a_hidden_intermediate(&self) -> Arc<ServerConfig> {
        let middle = KeyPair::generate().unwrap();
        authority("intermediate").signed_by(&middle, &self.issuer).unwrap();
        let hidden = Issuer::new(authority("intermediate"), middle);
        let key = KeyPair::generate().unwrap();
        let leaf = leaf(|_| {}).signed_by(&key, &hidden).unwrap();
        config(leaf.der().clone(), &key, &["http/1.1"])
    }
}

/// A server that vouches for itself.
pub(crate) fn self_signed() -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let leaf = leaf(|_| {}).self_signed(&key).unwrap();
    config(leaf.der().clone(), &key, &["http/1.1"])
}

pub(crate) fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
}

pub(crate) fn not_yet_valid(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2990, 1, 1), date_time_ymd(2991, 1, 1));
}

pub(crate) fn of_another_name(params: &mut CertificateParams) {
    params.subject_alt_names = vec![rcgen::SanType::DnsName("evil.example".try_into().unwrap())];
}

pub(crate) fn for_clients_only(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf(edit: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    edit(&mut params);
    params
}

fn config(leaf: CertificateDer<'static>, key: &KeyPair, alpn: &[&str]) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}
