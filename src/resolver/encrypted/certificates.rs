//! The certificate that encrypted transports show, exchanged while they serve.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The chain is not PEM.
    #[error("the certificate chain cannot be read: {0}")]
    Chain(rustls_pki_types::pem::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in the chain")]
    NoCertificate,
    /// The key is not PEM, or there is none.
    #[error("the private key cannot be read: {0}")]
    Key(rustls_pki_types::pem::Error),
    /// The key is of an unknown kind, or not that of the certificate.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// A certificate chain with its private key. Connections that begin after [`Self::replace`] see
/// the new one; those under way keep what they have.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwap<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl Certificates {
    /// Reads a chain, the server's own certificate first, and the key, both in PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, CertificateError> {
        let provider = Arc::new(default_provider());
        let current = ArcSwap::from_pointee(certified(chain, key, &provider)?);
        Ok(Arc::new(Self { current, provider }))
    }

    /// Puts another certificate in place. On an error the old one stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        self.current.store(Arc::new(certified(chain, key, &self.provider)?));
        Ok(())
    }

    /// The TLS side of a listener that speaks these protocols (RFC 7301).
    pub(super) fn server_config(self: &Arc<Self>, protocols: &[&[u8]]) -> ServerConfig {
        self.config_of(rustls::DEFAULT_VERSIONS, protocols)
    }

    /// The same with TLS 1.3 alone.
    pub(super) fn modern_config(self: &Arc<Self>, protocols: &[&[u8]]) -> ServerConfig {
        self.config_of(&[&rustls::version::TLS13], protocols)
    }

    fn config_of(
        self: &Arc<Self>,
        versions: &[&'static rustls::SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .expect("ring has the suites of TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn certified(
    chain: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(CertificateError::Chain)?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::Key)?;
    CertifiedKey::from_der(chain, key, provider).map_err(CertificateError::Unusable)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};

    /// A certificate for a name, and its key, in PEM.
    pub fn generated(name: &str) -> (String, String) {
        let Generated { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_that_cannot_be_used_leaves_the_old_one_in_place() {
        let (chain, key) = generated("dns.test");
        let certificates = Certificates::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let before = certificates.current.load_full();
        let (other_chain, other_key) = generated("other.test");
        for (chain, key, message) in [
            ("", key.as_str(), "there is no certificate"),
            (chain.as_str(), "", "the private key cannot be read"),
            (chain.as_str(), other_key.as_str(), "the certificate and its key cannot be used"),
            (
                "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n",
                &key,
                "the certificate chain",
            ),
        ] {
            let error = certificates.replace(chain.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        }
        assert!(Arc::ptr_eq(&before, &certificates.current.load_full()));
        certificates.replace(other_chain.as_bytes(), other_key.as_bytes()).unwrap();
        assert_ne!(before.cert, certificates.current.load_full().cert);
    }
}
