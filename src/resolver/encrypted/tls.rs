//! DNS over TLS: TCP with a handshake before (RFC 7858).

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::tcp::Opening;
use super::Certificates;
use crate::telemetry::Transport;

/// The handshake.
#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

impl Tls {
    pub fn new(certificates: &Arc<Certificates>) -> Self {
        Self(TlsAcceptor::from(Arc::new(certificates.server_config(&[b"dot"]))))
    }

    /// For zone transfers, which take TLS 1.3 at least (RFC 9103 section 7.1).
    pub fn for_transfers(certificates: &Arc<Certificates>) -> Self {
        Self(TlsAcceptor::from(Arc::new(certificates.modern_config(&[b"dot"]))))
    }
}

impl Opening for Tls {
    type Stream = TlsStream<TcpStream>;
    const TRANSPORT: Transport = Transport::Dot;

    async fn open(&self, stream: TcpStream) -> io::Result<Self::Stream> {
        self.0.accept(stream).await
    }
}
