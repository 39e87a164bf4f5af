//! Handing messages about published zones to whoever publishes them.

use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::model::NameRef;

/// Takes the messages of an answer over a connection, in order and without their length in front.
/// Sending waits while the peer is slow and fails once it has hung up.
pub type MessageSender = mpsc::Sender<Vec<u8>>;

/// Someone who answers zone transfers (RFC 5936, RFC 1995), NOTIFY (RFC 1996) and the SOA
/// questions that secondaries ask before. Who may do so is for the service to decide: the
/// resolver's access list does not apply, and messages come as they are, signatures included.
#[async_trait]
pub trait TransferService: Send + Sync {
    /// Whether a zone of this name is published here.
    fn publishes(&self, zone: NameRef<'_>) -> bool;

    /// Answers a message that came in a datagram with at most one; none is silence.
    async fn datagram(&self, message: &[u8], peer: SocketAddr) -> Option<Vec<u8>>;

    /// Answers a message that came over a connection with any number.
    async fn stream(&self, message: &[u8], peer: SocketAddr, answers: MessageSender);
}
