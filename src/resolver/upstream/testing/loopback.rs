//! Name servers on loopback sockets: UDP, TCP, TLS and HTTPS.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_proto::op::Message;
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::{ConnectionProvider, PoolContext};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::server::{ServerSettings, Transport};

type Answer = Arc<dyn Fn(&Message, bool) -> Option<Message> + Send + Sync>;

/// A name server. Its sockets close when it is dropped.
pub(in super::super) struct Loopback {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    answer: Answer,
    asked: Mutex<Vec<String>>,
    connections: AtomicUsize,
    answers_per_connection: usize,
}

impl Shared {
    fn respond(&self, octets: &[u8], transport: &str) -> Option<Vec<u8>> {
        let query = Message::from_vec(octets).ok()?;
        let asked = &query.queries[0];
        let name = asked.name().to_lowercase();
        self.asked.lock().push(format!("{transport} {name} {}", asked.query_type()));
        (self.answer)(&query, transport == "udp")?.to_vec().ok()
    }
}

impl Loopback {
    /// UDP and TCP on one port.
    pub async fn new(answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static) -> Self {
        Self::by_transport(move |query, _| answer(query)).await
    }

    /// The same, where the answer depends on whether the question came over UDP.
    pub async fn by_transport(
        answer: impl Fn(&Message, bool) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(answer), usize::MAX).await
    }

    /// Answers some questions on each TCP connection, and closes it when it has read the next.
    pub async fn tcp_hanging_up_after(
        answers: usize,
        answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(move |query: &Message, _| answer(query)), answers).await
    }

    async fn start(answer: Answer, answers_per_connection: usize) -> Self {
        let shared = Arc::new(Shared {
            answer,
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
            answers_per_connection,
        });
        let (udp, tcp) = bind_both().await;
        let address = tcp.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, shared.clone()));
        tasks.spawn(accept(tcp, shared.clone(), async |connection, shared| {
            serve_stream(connection, shared, "tcp").await;
        }));
        Self { address, shared, _tasks: tasks }
    }

    /// An address where nobody listens.
    pub async fn closed() -> Self {
        let mut server = Self::new(|_| None).await;
        server._tasks.shutdown().await;
        server
    }

    /// DNS over TLS.
    pub async fn tls(
        authority: &Authority,
        answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        let acceptor = TlsAcceptor::from(authority.server_config(b"dot"));
        Self::encrypted(answer, move |connection, shared| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(connection) = acceptor.accept(connection).await {
                    serve_stream(connection, shared, "tls").await;
                }
            }
        })
        .await
    }

    /// DNS over HTTPS at `path`.
    pub async fn https(
        authority: &Authority,
        path: &'static str,
        answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        let acceptor = TlsAcceptor::from(authority.server_config(b"h2"));
        Self::encrypted(answer, move |connection, shared| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(connection) = acceptor.accept(connection).await else { return };
                let service = service_fn(move |request| reply(request, path, shared.clone()));
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(connection), service).await;
            }
        })
        .await
    }

    async fn encrypted<F>(
        answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
        serve: impl Fn(tokio::net::TcpStream, Arc<Shared>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            answer: Arc::new(move |query, _| answer(query)),
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
            answers_per_connection: usize::MAX,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone(), serve));
        Self { address, shared, _tasks: tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn udp(&self) -> ServerSettings {
        ServerSettings { address: self.address, transport: Transport::Udp }
    }

    pub fn over_tls(&self, name: &str) -> ServerSettings {
        let transport = Transport::Tls { name: name.to_owned() };
        ServerSettings { address: self.address, transport }
    }

    pub fn over_https(&self, name: &str, path: &str) -> ServerSettings {
        let transport = Transport::Https { name: name.to_owned(), path: path.to_owned() };
        ServerSettings { address: self.address, transport }
    }

    /// `transport name TYPE` of every question so far.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().clone()
    }

    /// Stream connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn bind_both() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        // The same port may be taken for UDP; then another.
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = shared.respond(&buffer[..length], "udp") {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn accept<F>(
    listener: TcpListener,
    shared: Arc<Shared>,
    serve: impl Fn(tokio::net::TcpStream, Arc<Shared>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(serve(connection, shared.clone()));
    }
}

async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: S,
    shared: Arc<Shared>,
    transport: &str,
) {
    for answered in 0.. {
        let Ok(length) = connection.read_u16().await else { return };
        let mut query = vec![0; usize::from(length)];
        let is_read = connection.read_exact(&mut query).await.is_ok();
        if !is_read || answered == shared.answers_per_connection {
            return;
        }
        let Some(answer) = shared.respond(&query, transport) else { continue };
        let length = u16::try_from(answer.len()).unwrap();
        let frame = [&length.to_be_bytes()[..], &answer].concat();
        if connection.write_all(&frame).await.is_err() || connection.flush().await.is_err() {
            return;
        }
    }
}

async fn reply(
    request: http::Request<Incoming>,
    path: &str,
    shared: Arc<Shared>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let is_right = request.method() == http::Method::POST && request.uri().path() == path;
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let answer = body.ok().filter(|_| is_right).and_then(|body| shared.respond(&body, "https"));
    let response = match answer {
        Some(answer) => http::Response::builder()
            .header("content-type", "application/dns-message")
            .header("content-length", answer.len())
            .body(Full::new(Bytes::from(answer))),
        None => http::Response::builder().status(404).body(Full::default()),
    };
    Ok(response.unwrap())
}

/// Connects to loopback servers instead of the addresses of a made-up internet.
#[derive(Clone)]
pub(in super::super) struct Mapped {
    servers: HashMap<IpAddr, SocketAddr>,
    inner: TokioRuntimeProvider,
}

impl Mapped {
    pub fn new(servers: &[(&str, &Loopback)]) -> Self {
        let servers = servers.iter().map(|(from, to)| (from.parse().unwrap(), to.address()));
        Self { servers: servers.collect(), inner: TokioRuntimeProvider::new() }
    }
}

impl ConnectionProvider for Mapped {
    type Conn = <TokioRuntimeProvider as ConnectionProvider>::Conn;
    type FutureConn = <TokioRuntimeProvider as ConnectionProvider>::FutureConn;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        address: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let to = self.servers.get(&address).ok_or(NetError::NoConnections)?;
        let mut config = config.clone();
        config.port = to.port();
        self.inner.new_connection(to.ip(), &config, context)
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.inner
    }
}

/// Signs one certificate.
pub(in super::super) struct Authority {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A self-signed certificate for one name.
    pub fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        Self { certificate: made.cert.der().clone(), key }
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    fn server_config(&self, protocol: &[u8]) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate()], self.key.clone_key())
            .unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }
}
