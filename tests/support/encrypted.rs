//! An instance that also serves encrypted DNS, and clients that trust it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::free_port;
use super::instance::Instance;

/// The name that the certificate has.
pub const NAME: &str = "dns.sekisho.test";

/// An instance with all transports, and where they are.
pub struct Fronts {
    pub instance: Instance,
    pub tls: u16,
    pub https: u16,
    pub quic: u16,
    pub http3: u16,
}

impl Fronts {
    /// Starts one whose `[resolver]` has these lines as well.
    pub fn start(resolver: &str) -> Self {
        Self::with(resolver, "")
    }

    /// Starts one with this configuration behind the usual one.
    pub fn over(configuration: &str) -> Self {
        Self::with("", configuration)
    }

    fn with(resolver: &str, configuration: &str) -> Self {
        let [tls, https, quic, http3] = [(); 4].map(|()| free_port());
        let instance = Instance::new(configuration);
        renew_certificate(&instance);
        let path = instance.path("sekisho.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("[resolver]\n", &format!("[resolver]\n{resolver}"));
        let encrypted = format!(
            "[resolver.encrypted]\ntls = '127.0.0.1:{tls}'\nhttps = '127.0.0.1:{https}'\n\
             quic = '127.0.0.1:{quic}'\nhttp3 = '127.0.0.1:{http3}'\nname = '{NAME}'\n\
             certificate = '{}'\nkey = '{}'\n",
            instance.path("chain.pem").display(),
            instance.path("key.pem").display()
        );
        std::fs::write(&path, text + &encrypted).unwrap();
        Self { instance: instance.start(), tls, https, quic, http3 }
    }

    /// A client that trusts the certificate and speaks this protocol.
    pub fn client(&self, protocol: &[u8]) -> rustls::ClientConfig {
        let chain = std::fs::read(self.instance.path("chain.pem")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&chain) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![protocol.to_vec()];
        client
    }
}

/// Writes a new certificate and its key where the configuration says.
pub fn renew_certificate(instance: &Instance) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    instance.write("key.pem", &made.signing_key.serialize_pem());
    instance.write("chain.pem", &made.cert.pem());
}
