//! DNS over TLS (RFC 7858), HTTPS (RFC 8484, on HTTP/1.1, HTTP/2 and HTTP/3) and QUIC (RFC 9250).
//!
//! Each is a way to carry the same messages to the same handler, so what holds for TCP holds here:
//! answers as they are ready, a bound on everything, questions under way answered before the end.
//! A query that policy drops gets no answer: its stream is reset, or its connection closed where
//! there are no streams.

mod certificates;
mod exchange;
mod https;
mod quic;
mod tls;

pub use certificates::{CertificateError, Certificates};
pub use exchange::PATH;
pub use quic::QuicFront;

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;

use super::handler::Handler;
use super::tcp::{Answering, Service, TcpFront, TcpSettings};
use crate::ports::TransferService;
use crate::telemetry::Metrics;

/// What all encrypted transports share. Starting one needs a runtime around it, and sockets that
/// are bound already.
pub struct Encrypted<'a> {
    /// Whom they show to be.
    pub certificates: Arc<Certificates>,
    /// Who answers.
    pub handler: &'a Arc<Handler>,
    /// Counters.
    pub metrics: &'a Metrics,
    /// Bounds.
    pub settings: TcpSettings,
}

/// Zone transfers over TLS (RFC 9103), and nothing else; the port is 853.
pub fn transfers_over_tls(
    listeners: Vec<TcpListener>,
    certificates: &Arc<Certificates>,
    transfers: &Arc<dyn TransferService>,
    settings: TcpSettings,
) -> io::Result<TcpFront> {
    let answering = Answering::Transfers(Arc::clone(transfers));
    let opening = tls::Tls::for_transfers(certificates);
    TcpFront::start_answering(listeners, opening, Service { answering, settings })
}

impl Encrypted<'_> {
    /// DNS over TLS; its port is 853.
    pub fn tls(&self, listeners: Vec<TcpListener>) -> io::Result<TcpFront> {
        let opening = tls::Tls::new(&self.certificates);
        TcpFront::start_opening(listeners, opening, self.handler, self.metrics, self.settings)
    }

    /// DNS over HTTPS, on HTTP/2 and HTTP/1.1, at [`PATH`]; its port is 443.
    pub fn https(&self, listeners: Vec<TcpListener>) -> io::Result<TcpFront> {
        let (handler, shard) = (Arc::clone(self.handler), self.metrics.shard());
        https::start(
            listeners,
            &self.certificates,
            exchange::Exchange { handler, shard },
            self.settings,
        )
    }

    /// DNS over QUIC; its port is 853, of UDP.
    pub fn quic(&self, sockets: Vec<UdpSocket>) -> io::Result<QuicFront> {
        QuicFront::start_doq(sockets, self)
    }

    /// DNS over HTTPS on HTTP/3, at [`PATH`]; its port is 443, of UDP.
    pub fn http3(&self, sockets: Vec<UdpSocket>) -> io::Result<QuicFront> {
        QuicFront::start_http3(sockets, self)
    }
}

#[cfg(test)]
mod tests;
