//! How a primary is known over TLS (RFC 9103 section 9): by a certificate that somebody vouches
//! for, or by its public key.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::link::PROTOCOL;

/// Who is believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Servers whose certificates these vouch for.
    Authorities(RootCertStore),
    /// Servers with these public keys, as SHA-256 (RFC 7858 section 4.2). Names and dates of their
    /// certificates do not count.
    Pins(Vec<[u8; 32]>),
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates cannot be read.
    #[error("the certificates cannot be read: {0}")]
    Pem(rustls_pki_types::pem::Error),
    /// There are none.
    #[error("there is no certificate in it")]
    Empty,
    /// They cannot be used.
    #[error(transparent)]
    Rustls(#[from] Error),
}

impl Trust {
    /// Mozilla's authorities.
    pub fn usual() -> Self {
        Self::Authorities(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }
}

/// The certificates of a PEM file.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(TlsError::Pem)?)?;
    }
    if roots.is_empty() { Err(TlsError::Empty) } else { Ok(roots) }
}

/// TLS 1.3 alone (RFC 9103 section 8.1), with `dot` as the protocol.
pub fn client_config(trust: Trust) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = match trust {
        Trust::Authorities(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
        Trust::Pins(pins) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pins, provider }))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// Believes servers that have one of these public keys, and prove it.
#[derive(Debug)]
struct Pinned {
    pins: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let found = digest(&SHA256, &certificate.subject_public_key_info());
        match self.pins.iter().any(|pin| found.as_ref() == pin) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
