//! DNS over connections (RFC 7766): many questions at once on each, answers as they are ready.
//!
//! Everything is bounded: connections in all and for one client, questions under way on each, the
//! time one may be idle, and the time its client may take to read. Messages about published zones
//! go to whoever publishes them..

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::handler::{Client, Fast, Handler};
use super::message::QUERY_OCTETS_MAX;
use super::quota::{Limits, Permit, Quota};
use crate::ports::TransferService;
use crate::telemetry::{Metrics, Shard, Transport};

/// How long accepting rests after an error, such as no file descriptor being left.
const ERROR_REST: Duration = Duration::from_millis(100);
/// Answers written by one system call.
const WRITE_BATCH: usize = 16;

/// How connections are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpSettings {
    /// Connections open at once.
    pub connections: Limits,
    /// Questions under way on one connection; further ones are not read until one is done.
    pub pipelined_max: usize,
    /// How long a connection may be idle (RFC 7766 section 6.2.3 asks for seconds), and how long a
    /// question may take to come in.
    pub idle: Duration,
    /// How long a client may take to read what is sent to it.
    pub write: Duration,
    /// How long the handshake of an encrypted transport may take.
    pub handshake: Duration,
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            connections: Limits { all_max: 2_000, client_max: 100 },
            pipelined_max: 64,
            idle: Duration::from_secs(10),
            write: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
        }
    }
}

impl TcpSettings {
    /// The idle time as clients are told it: in units of 100 ms (RFC 7828 section 3.1).
    fn keepalive(&self) -> u16 {
        u16::try_from(self.idle.as_millis() / 100).unwrap_or(u16::MAX)
    }
}

/// Turns a new connection into the stream that messages are read from.
pub(super) trait Opening: Clone + Send + Sync + 'static {
    /// That stream.
    type Stream: AsyncRead + AsyncWrite + Send + 'static;
    /// What it is called.
    const TRANSPORT: Transport;

    /// Does what the transport begins with.
    fn open(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// TCP as it is.
#[derive(Debug, Clone, Copy)]
struct Plain;

impl Opening for Plain {
    type Stream = TcpStream;
    const TRANSPORT: Transport = Transport::Tcp;

    async fn open(&self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}

/// Listeners and their connections. Dropping it ends them all.
#[derive(Debug)]
pub struct TcpFront {
    stop: CancellationToken,
    abort: CancellationToken,
    connections: Arc<Quota>,
    turned_away: Arc<AtomicU64>,
}

impl TcpFront {
    /// Serves TCP on listeners that are bound already. Needs a runtime around it.
    pub fn start(
        listeners: Vec<StdTcpListener>,
        handler: &Arc<Handler>,
        metrics: &Metrics,
        settings: TcpSettings,
    ) -> io::Result<Self> {
        Self::start_opening(listeners, Plain, handler, metrics, settings)
    }

    pub(super) fn start_opening(
        listeners: Vec<StdTcpListener>,
        opening: impl Opening,
        handler: &Arc<Handler>,
        metrics: &Metrics,
        settings: TcpSettings,
    ) -> io::Result<Self> {
        let answering = Answering::Queries(Arc::clone(handler), metrics.shard());
        Self::start_answering(listeners, opening, Service { answering, settings })
    }

    /// Serves messages about published zones alone.
    pub fn start_transfers(
        listeners: Vec<StdTcpListener>,
        transfers: &Arc<dyn TransferService>,
        settings: TcpSettings,
    ) -> io::Result<Self> {
        let answering = Answering::Transfers(Arc::clone(transfers));
        Self::start_answering(listeners, Plain, Service { answering, settings })
    }

    pub(super) fn start_answering(
        listeners: Vec<StdTcpListener>,
        opening: impl Opening,
        service: Service,
    ) -> io::Result<Self> {
        let limits = service.settings.connections;
        Self::start_with(listeners, limits, move |stream, address, stop| {
            let (opening, service) = (opening.clone(), service.clone());
            async move { service.open_and_serve(stream, address, opening, stop).await }
        })
    }

    /// Accepts connections and lets `serve` have each, within limits.
    pub(super) fn start_with<F, S>(
        listeners: Vec<StdTcpListener>,
        limits: Limits,
        serve: F,
    ) -> io::Result<Self>
    where
        F: Fn(TcpStream, SocketAddr, CancellationToken) -> S + Clone + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let front = Self {
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            connections: Quota::new(limits),
            turned_away: Arc::default(),
        };
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let acceptor = Acceptor {
                listener: TcpListener::from_std(listener)?,
                stop: front.stop.clone(),
                abort: front.abort.clone(),
                connections: Arc::clone(&front.connections),
                turned_away: Arc::clone(&front.turned_away),
            };
            tokio::spawn(acceptor.run(serve.clone()));
        }
        Ok(front)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.connections.count()
    }

    /// Connections that were closed at once, since a limit was reached.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Takes no more connections and questions, and waits for so long until those under way are
    /// answered.
    pub async fn drain(self, grace: Duration) {
        self.stop.cancel();
        if timeout(grace, self.connections.idle()).await.is_err() {
            tracing::warn!(connections = self.open(), "connections were cut off");
        }
    }
}

impl Drop for TcpFront {
    fn drop(&mut self) {
        self.stop.cancel();
        self.abort.cancel();
    }
}

struct Acceptor {
    listener: TcpListener,
    stop: CancellationToken,
    abort: CancellationToken,
    connections: Arc<Quota>,
    turned_away: Arc<AtomicU64>,
}

impl Acceptor {
    async fn run<F, S>(self, serve: F)
    where
        F: Fn(TcpStream, SocketAddr, CancellationToken) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, address)) => match self.connections.enter(address.ip()) {
                    Ok(permit) => {
                        let serving = serve(stream, address, self.stop.clone());
                        self.spawn(serving, permit);
                    }
                    Err(_) => {
                        self.turned_away.fetch_add(1, Ordering::Relaxed);
                    }
                },
                Err(error) => {
                    tracing::debug!(%error, "accepting connections");
                    sleep(ERROR_REST).await;
                }
            }
        }
    }

    fn spawn(&self, serving: impl Future<Output = ()> + Send + 'static, permit: Permit) {
        let abort = self.abort.clone();
        tokio::spawn(async move {
            let _ = abort.run_until_cancelled(serving).await;
            drop(permit);
        });
    }
}

/// Who answers.
#[derive(Clone)]
pub(super) enum Answering {
    /// The resolver, which hands messages about published zones on.
    Queries(Arc<Handler>, Arc<Shard>),
    /// Whoever publishes zones, and nobody else.
    Transfers(Arc<dyn TransferService>),
}

#[derive(Clone)]
pub(super) struct Service {
    pub answering: Answering,
    pub settings: TcpSettings,
}

impl Service {
    async fn open_and_serve<O: Opening>(
        self,
        stream: TcpStream,
        address: SocketAddr,
        opening: O,
        stop: CancellationToken,
    ) {
        let _ = stream.set_nodelay(true);
        let client =
            Client { address, transport: O::TRANSPORT, keepalive: Some(self.settings.keepalive()) };
        match timeout(self.settings.handshake, opening.open(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, client, stop).await,
            Ok(Err(error)) => tracing::debug!(client = %address, %error, "handshake"),
            Err(_) => tracing::debug!(client = %address, "handshake took too long"),
        }
    }

    /// Serves one connection to its end.
    async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send,
        client: Client,
        stop: CancellationToken,
    ) {
        let (reader, writer) = tokio::io::split(stream);
        let (sender, answers) = mpsc::channel(self.settings.pipelined_max);
        let mut writing = std::pin::pin!(write_all(writer, answers, self.settings.write));
        tokio::select! {
            () = &mut writing => return,
            () = self.read_all(reader, client, sender, stop) => {}
        }
        // What is answered already still goes out.
        writing.await;
    }

    async fn read_all(
        &self,
        reader: impl AsyncRead + Send,
        client: Client,
        sender: mpsc::Sender<Vec<u8>>,
        stop: CancellationToken,
    ) {
        let mut messages = Messages { reader: Box::pin(reader), buffer: BytesMut::new() };
        let mut under_way: FuturesUnordered<BoxFuture<'_, Option<Vec<u8>>>> =
            FuturesUnordered::new();
        let mut reading = true;
        let mut idle_end = Instant::now() + self.settings.idle;
        while reading || !under_way.is_empty() {
            let room = under_way.len() < self.settings.pipelined_max;
            let answer = tokio::select! {
                message = messages.next(), if reading && room => match message {
                    Ok(Some(message)) => match self.take(message, client, &sender) {
                        Taken::Answer(answer) => answer,
                        Taken::Waiting(waiting) => {
                            under_way.push(waiting);
                            None
                        }
                    },
                    // The client has no more questions, or talks nonsense.
                    Ok(None) | Err(_) => {
                        reading = false;
                        continue;
                    }
                },
                Some(answer) = under_way.next(), if !under_way.is_empty() => answer,
                () = stop.cancelled(), if reading => {
                    reading = false;
                    continue;
                }
                () = sleep_until(idle_end), if reading && under_way.is_empty() => return,
            };
            if let Some(answer) = answer
                && sender.send(answer).await.is_err()
            {
                return;
            }
            idle_end = Instant::now() + self.settings.idle;
        }
    }

    /// Answers a message at once, or begins to.
    fn take<'s>(
        &'s self,
        message: BytesMut,
        client: Client,
        sender: &mpsc::Sender<Vec<u8>>,
    ) -> Taken<'s> {
        let (handler, shard) = match &self.answering {
            Answering::Queries(handler, shard) => (handler, shard),
            Answering::Transfers(service) => return transfer(service, message, client, sender),
        };
        if let Some(service) = handler.transfer_service(&message) {
            return transfer(service, message, client, sender);
        }
        let mut out = Vec::new();
        match handler.fast(&message, client, handler.now(), shard, &mut out) {
            Fast::Reply => Taken::Answer(Some(out)),
            Fast::Silent => Taken::Answer(None),
            Fast::Slow => {
                Taken::Waiting(Box::pin(
                    async move { handler.answer(&message, client, shard).await },
                ))
            }
        }
    }
}

fn transfer(
    service: &Arc<dyn TransferService>,
    message: BytesMut,
    client: Client,
    sender: &mpsc::Sender<Vec<u8>>,
) -> Taken<'static> {
    let (service, sender) = (Arc::clone(service), sender.clone());
    Taken::Waiting(Box::pin(async move {
        service.stream(&message, client.address, sender).await;
        None
    }))
}

enum Taken<'s> {
    Answer(Option<Vec<u8>>),
    Waiting(BoxFuture<'s, Option<Vec<u8>>>),
}

/// Reads messages with their length in front (RFC 1035 section 4.2.2). Waiting can be given up at
/// any point without losing anything.
struct Messages<R> {
    reader: std::pin::Pin<Box<R>>,
    buffer: BytesMut,
}

impl<R: AsyncRead> Messages<R> {
    /// The next message; none at the end.
    async fn next(&mut self) -> io::Result<Option<BytesMut>> {
        loop {
            if let Some(length) = self.buffer.first_chunk().copied().map(u16::from_be_bytes) {
                let length = usize::from(length);
                if length > QUERY_OCTETS_MAX {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if self.buffer.len() >= 2 + length {
                    self.buffer.advance(2);
                    return Ok(Some(self.buffer.split_to(length)));
                }
            }
            self.buffer.reserve(512);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Writes messages with their length in front until there are no more, or until the client takes
/// longer than `patience` to read.
async fn write_all(
    writer: impl AsyncWrite + Send,
    mut answers: mpsc::Receiver<Vec<u8>>,
    patience: Duration,
) {
    let mut writer = std::pin::pin!(writer);
    let (mut batch, mut octets) = (Vec::with_capacity(WRITE_BATCH), Vec::new());
    while answers.recv_many(&mut batch, WRITE_BATCH).await > 0 {
        octets.clear();
        for answer in batch.drain(..) {
            let Ok(length) = u16::try_from(answer.len()) else { continue };
            octets.extend_from_slice(&length.to_be_bytes());
            octets.extend_from_slice(&answer);
        }
        let writing = async {
            writer.write_all(&octets).await?;
            writer.flush().await
        };
        if !matches!(timeout(patience, writing).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(patience, writer.shutdown()).await;
}

#[cfg(test)]
mod tests;
