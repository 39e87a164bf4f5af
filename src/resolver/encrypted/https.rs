//! DNS over HTTPS on HTTP/2 and HTTP/1.1.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::super::handler::Client;
use super::super::message::QUERY_OCTETS_MAX;
use super::super::tcp::{TcpFront, TcpSettings};
use super::Certificates;
use super::exchange::{Exchange, Source, refused};
use crate::telemetry::Transport;

/// Octets of the head of a request; one with a question in its URI has some 6,000.
const HEAD_OCTETS_MAX: u32 = 16 << 10;

/// A query without an answer: its stream is reset.
#[derive(Debug, thiserror::Error)]
#[error("no answer is due")]
struct Silence;

pub(super) fn start(
    listeners: Vec<TcpListener>,
    certificates: &Arc<Certificates>,
    exchange: Exchange,
    settings: TcpSettings,
) -> io::Result<TcpFront> {
    let config = certificates.server_config(&[b"h2", b"http/1.1"]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server { acceptor, exchange, settings };
    TcpFront::start_with(listeners, settings.connections, move |stream, address, stop| {
        let server = server.clone();
        async move { server.serve(stream, address, stop).await }
    })
}

#[derive(Clone)]
struct Server {
    acceptor: TlsAcceptor,
    exchange: Exchange,
    settings: TcpSettings,
}

impl Server {
    async fn serve(&self, stream: TcpStream, address: SocketAddr, stop: CancellationToken) {
        let _ = stream.set_nodelay(true);
        let stream = match timeout(self.settings.handshake, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => TokioIo::new(stream),
            Ok(Err(error)) => return tracing::debug!(client = %address, %error, "handshake"),
            Err(_) => return tracing::debug!(client = %address, "handshake took too long"),
        };
        let client = Client { address, transport: Transport::Doh, keepalive: None };
        let activity = Arc::new(Activity::new());
        let service = service_fn(|request| {
            let (server, activity) = (self.clone(), Arc::clone(&activity));
            async move {
                let _busy = activity.begin();
                server.respond(request, client).await
            }
        });
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(stream, service));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = activity.idle(self.settings.idle) => {}
            () = stop.cancelled() => {}
        }
        // What is under way is answered, and nothing new taken.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.settings.write, connection).await;
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let settings = &self.settings;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.idle)
            .max_buf_size(HEAD_OCTETS_MAX as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(u32::try_from(settings.pipelined_max).unwrap_or(u32::MAX))
            .max_header_list_size(HEAD_OCTETS_MAX)
            // A client that does not read does not answer pings either.
            .keep_alive_interval(Some(settings.write))
            .keep_alive_timeout(settings.write);
        builder
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        client: Client,
    ) -> Result<Response<Full<Bytes>>, Silence> {
        let (parts, body) = request.into_parts();
        let empty = |response: Response<()>| Ok(response.map(|()| Full::default()));
        let message = match self.exchange.source(&parts) {
            Err(response) => return empty(response),
            Ok(Source::Message(message)) => Bytes::from(message),
            Ok(Source::Body) => {
                let reading = Limited::new(body, QUERY_OCTETS_MAX).collect();
                match timeout(self.settings.idle, reading).await {
                    Ok(Ok(body)) => body.to_bytes(),
                    Ok(Err(_)) => return empty(refused(StatusCode::PAYLOAD_TOO_LARGE)),
                    Err(_) => return empty(refused(StatusCode::REQUEST_TIMEOUT)),
                }
            }
        };
        let response = self.exchange.answer(&message, client).await.ok_or(Silence)?;
        Ok(response.map(Full::new))
    }
}

/// What a connection is doing.
struct Activity(Mutex<(usize, Instant)>);

/// One request under way.
struct Busy(Arc<Activity>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.0.lock().0 += 1;
        Busy(Arc::clone(self))
    }

    /// Waits until nothing has been under way for so long.
    async fn idle(&self, patience: Duration) {
        loop {
            let (busy, since) = *self.0.lock();
            let now = Instant::now();
            let end = if busy > 0 { now + patience } else { since + patience };
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut activity = self.0.0.lock();
        activity.0 -= 1;
        activity.1 = Instant::now();
    }
}
