//! DNS over QUIC (RFC 9250), and DNS over HTTPS on HTTP/3.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use h3::server::RequestResolver;
use http::StatusCode;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, TokioRuntime,
    TransportConfig, VarInt,
};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::handler::Client;
use super::super::message::QUERY_OCTETS_MAX;
use super::super::quota::{Permit, Quota};
use super::super::tcp::TcpSettings;
use super::Encrypted;
use super::exchange::{Exchange, Source, refused};
use crate::telemetry::Transport;

/// RFC 9250 section 4.3.
const DOQ_NO_ERROR: VarInt = VarInt::from_u32(0);
const DOQ_PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const DOQ_EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
const DOQ_UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(5);
/// Streams that HTTP/3 opens for itself: control, and two of QPACK (RFC 9114 section 6.2).
const HTTP3_STREAMS: u32 = 3;
/// Octets under way to one client; the largest answer and some.
const SEND_WINDOW_OCTETS: u64 = 128 << 10;

/// QUIC endpoints and their connections. Dropping it ends them all.
#[derive(Debug)]
pub struct QuicFront {
    endpoints: Vec<Endpoint>,
    stop: CancellationToken,
    connections: Arc<Quota>,
}

impl QuicFront {
    pub(super) fn start_doq(sockets: Vec<UdpSocket>, with: &Encrypted<'_>) -> io::Result<Self> {
        Self::start(sockets, with, Protocol::Doq)
    }

    pub(super) fn start_http3(sockets: Vec<UdpSocket>, with: &Encrypted<'_>) -> io::Result<Self> {
        Self::start(sockets, with, Protocol::Http3)
    }

    fn start(
        sockets: Vec<UdpSocket>,
        with: &Encrypted<'_>,
        protocol: Protocol,
    ) -> io::Result<Self> {
        let mut front = Self {
            endpoints: Vec::with_capacity(sockets.len()),
            stop: CancellationToken::new(),
            connections: Quota::new(with.settings.connections),
        };
        let server = server_config(with, protocol)?;
        for socket in sockets {
            let endpoint = Endpoint::new(
                EndpointConfig::default(),
                Some(server.clone()),
                socket,
                Arc::new(TokioRuntime),
            )?;
            let acceptor = Acceptor {
                endpoint: endpoint.clone(),
                stop: front.stop.clone(),
                connections: Arc::clone(&front.connections),
                exchange: Exchange {
                    handler: Arc::clone(with.handler),
                    shard: with.metrics.shard(),
                },
                settings: with.settings,
                protocol,
            };
            tokio::spawn(acceptor.run());
            front.endpoints.push(endpoint);
        }
        Ok(front)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.connections.count()
    }

    /// Takes no more connections and questions, and waits for so long until those under way are
    /// answered.
    pub async fn drain(self, grace: Duration) {
        self.stop.cancel();
        let drained = async {
            self.connections.idle().await;
            for endpoint in &self.endpoints {
                endpoint.wait_idle().await;
            }
        };
        if timeout(grace, drained).await.is_err() {
            tracing::warn!(connections = self.open(), "connections were cut off");
        }
    }
}

impl Drop for QuicFront {
    fn drop(&mut self) {
        self.stop.cancel();
        self.endpoints.iter().for_each(|endpoint| endpoint.close(DOQ_NO_ERROR, b""));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Doq,
    Http3,
}

fn server_config(with: &Encrypted<'_>, protocol: Protocol) -> io::Result<quinn::ServerConfig> {
    let (name, own_streams): (&[u8], u32) = match protocol {
        Protocol::Doq => (b"doq", 0),
        Protocol::Http3 => (b"h3", HTTP3_STREAMS),
    };
    let tls = with.certificates.server_config(&[name]);
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut transport = TransportConfig::default();
    let streams = u32::try_from(with.settings.pipelined_max).unwrap_or(u32::MAX);
    let window = u32::try_from(2 * QUERY_OCTETS_MAX).expect("a small number");
    transport
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(own_streams.into())
        .stream_receive_window(window.into())
        .send_window(SEND_WINDOW_OCTETS)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(with.settings.idle.try_into().map_err(io::Error::other)?));
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    // Who may ask was decided by the address that a connection began with.
    config.transport_config(Arc::new(transport)).migration(false);
    Ok(config)
}

struct Acceptor {
    endpoint: Endpoint,
    stop: CancellationToken,
    connections: Arc<Quota>,
    exchange: Exchange,
    settings: TcpSettings,
    protocol: Protocol,
}

impl Acceptor {
    async fn run(self) {
        let server = Arc::new(self);
        loop {
            let incoming = tokio::select! {
                incoming = server.endpoint.accept() => incoming,
                () = server.stop.cancelled() => return,
            };
            let Some(incoming) = incoming else { return };
            // Under load a client has to show first that its address is its own.
            let crowded = server.connections.count() * 2 > server.settings.connections.all_max;
            if crowded && incoming.may_retry() && !incoming.remote_address_validated() {
                let _ = incoming.retry();
                continue;
            }
            match server.connections.enter(incoming.remote_address().ip()) {
                Ok(permit) => {
                    tokio::spawn(Arc::clone(&server).serve(incoming, permit));
                }
                Err(_) => incoming.refuse(),
            }
        }
    }

    async fn serve(self: Arc<Self>, incoming: Incoming, permit: Permit) {
        let address = incoming.remote_address();
        let connection = match timeout(self.settings.handshake, incoming.into_future()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return tracing::debug!(client = %address, %error, "handshake"),
            Err(_) => return tracing::debug!(client = %address, "handshake took too long"),
        };
        let transport = match self.protocol {
            Protocol::Doq => Transport::Doq,
            Protocol::Http3 => Transport::Doh3,
        };
        let client = Client { address, transport, keepalive: None };
        match self.protocol {
            Protocol::Doq => self.serve_doq(connection, client).await,
            Protocol::Http3 => self.serve_http3(connection, client).await,
        }
        drop(permit);
    }

    async fn serve_doq(&self, connection: Connection, client: Client) {
        let mut under_way = JoinSet::new();
        loop {
            let stream = tokio::select! {
                stream = connection.accept_bi() => stream,
                Some(_) = under_way.join_next(), if !under_way.is_empty() => continue,
                () = self.stop.cancelled() => break,
            };
            // The client is gone, or was idle for too long.
            let Ok((sender, receiver)) = stream else { break };
            let (exchange, connection) = (self.exchange.clone(), connection.clone());
            let patience = self.settings.idle;
            under_way.spawn(async move {
                let answering = answer_doq(&exchange, client, sender, receiver, patience).await;
                if let Err(code) = answering {
                    connection.close(code, b"");
                }
            });
        }
        while under_way.join_next().await.is_some() {}
        connection.close(DOQ_NO_ERROR, b"");
    }

    async fn serve_http3(&self, connection: Connection, client: Client) {
        let quic = h3_quinn::Connection::new(connection.clone());
        let mut under_way = JoinSet::new();
        let Ok(mut http) = h3::server::Connection::<_, Bytes>::new(quic).await else { return };
        loop {
            let request = tokio::select! {
                request = http.accept() => request,
                Some(_) = under_way.join_next(), if !under_way.is_empty() => continue,
                () = self.stop.cancelled() => break,
            };
            let Ok(Some(request)) = request else { break };
            let (exchange, patience) = (self.exchange.clone(), self.settings.idle);
            under_way.spawn(async move {
                if timeout(patience * 2, answer_http3(&exchange, client, request)).await.is_err() {
                    tracing::debug!(client = %client.address, "a request took too long");
                }
            });
        }
        while under_way.join_next().await.is_some() {}
        let _ = http.shutdown(0).await;
        connection.close(VarInt::from_u32(0x100), b"");
    }
}

/// Answers the one message of a stream (RFC 9250 section 4.2). An error ends the connection.
async fn answer_doq(
    exchange: &Exchange,
    client: Client,
    mut sender: SendStream,
    mut receiver: RecvStream,
    patience: Duration,
) -> Result<(), VarInt> {
    let octets = match timeout(patience, receiver.read_to_end(2 + QUERY_OCTETS_MAX)).await {
        Ok(Ok(octets)) => octets,
        Ok(Err(quinn::ReadToEndError::TooLong)) => return Err(DOQ_EXCESSIVE_LOAD),
        // The client thought better of it, or is too slow: this stream alone ends.
        Ok(Err(_)) | Err(_) => {
            let _ = sender.reset(DOQ_UNSPECIFIED_ERROR);
            return Ok(());
        }
    };
    let message = match octets.split_first_chunk() {
        Some((length, message)) if usize::from(u16::from_be_bytes(*length)) == message.len() => {
            message
        }
        _ => return Err(DOQ_PROTOCOL_ERROR),
    };
    // The number of a message is 0, for its stream tells it apart (section 4.2.1).
    if message.get(..2) != Some(&[0, 0]) {
        return Err(DOQ_PROTOCOL_ERROR);
    }
    match exchange.handler.answer(message, client, &exchange.shard).await {
        Some(answer) => {
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            let framed = [&length.to_be_bytes()[..], &answer].concat();
            // A client that is gone needs no answer.
            if matches!(timeout(patience, sender.write_all(&framed)).await, Ok(Ok(()))) {
                let _ = sender.finish();
                let _ = timeout(patience, sender.stopped()).await;
            }
        }
        None => {
            let _ = sender.reset(DOQ_UNSPECIFIED_ERROR);
        }
    }
    Ok(())
}

async fn answer_http3(
    exchange: &Exchange,
    client: Client,
    request: RequestResolver<h3_quinn::Connection, Bytes>,
) {
    let Ok((request, mut stream)) = request.resolve_request().await else { return };
    let (parts, ()) = request.into_parts();
    let response = match exchange.source(&parts) {
        Err(response) => Some(response.map(|()| Bytes::new())),
        Ok(Source::Message(message)) => exchange.answer(&message, client).await,
        Ok(Source::Body) => {
            let mut message = Vec::new();
            while let Ok(Some(mut data)) = stream.recv_data().await {
                let part = data.copy_to_bytes(data.remaining());
                message.extend_from_slice(&part);
                if message.len() > QUERY_OCTETS_MAX {
                    break;
                }
            }
            match message.len() > QUERY_OCTETS_MAX {
                true => Some(refused(StatusCode::PAYLOAD_TOO_LARGE).map(|()| Bytes::new())),
                false => exchange.answer(&message, client).await,
            }
        }
    };
    let Some(response) = response else {
        return stream.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
    };
    let (parts, body) = response.into_parts();
    if stream.send_response(http::Response::from_parts(parts, ())).await.is_ok()
        && stream.send_data(body).await.is_ok()
    {
        let _ = stream.finish().await;
    }
}
