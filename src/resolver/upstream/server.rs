//! One server that was named to us, and how to ask it: UDP, TCP, DNS over TLS or over HTTPS.
//!
//! Connections are kept and shared. An answer is taken only if it is one to the question: same
//! name, type and class; over UDP also from the same port with the same case of letters
//! (draft-vixie-dnsext-dns0x20).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_net::h2::HttpsClientStream;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_net::{DnsError, NetError};
use hickory_proto::op::{
    DnsRequest, DnsRequestOptions, Message, MessageType, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::RecordType;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::ports::ExtendedError;

use super::convert;
use super::stream::{Stream, StreamError};
use super::{Ask, SettingsError};

/// A server to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Address and port.
    pub address: SocketAddr,
    /// How to talk to it.
    pub transport: Transport,
}

/// How to talk to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Plain DNS: UDP, and TCP where an answer is truncated.
    Udp,
    /// Plain DNS over TCP only.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls {
        /// The name its certificate must have.
        name: String,
    },
    /// DNS over HTTPS (RFC 8484), HTTP/2 with POST.
    Https {
        /// The name its certificate must have.
        name: String,
        /// The path, usually `/dns-query`.
        path: String,
    },
}

/// Who may have signed the certificates of servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CertificateRoots {
    /// Mozilla's list, compiled in.
    #[default]
    WebPki,
    /// These and no others.
    Only(Vec<CertificateDer<'static>>),
}

/// What distinguishes the servers of one set.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub recursion_desired: bool,
    /// Ask for the AD bit (RFC 6840 section 5.7).
    pub authentic_data: bool,
    pub case_randomization: bool,
    pub edns_payload_octets: u16,
    pub timeout: Duration,
}

/// Why one server gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ServerError {
    /// Not in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection failed.
    #[error("{0}")]
    Network(String),
    /// It answered, and what it said is no answer to the question.
    #[error("an answer to something else")]
    Unusable,
    /// It answered that it will or can not.
    #[error("it said {code}")]
    Refused { code: ResponseCode, extended: Option<ExtendedError> },
}

impl ServerError {
    /// Whether other questions would fare no better.
    pub fn concerns_the_server(&self) -> bool {
        match self {
            Self::Timeout | Self::Network(_) | Self::Unusable => true,
            Self::Refused { code, .. } => *code == ResponseCode::Refused,
        }
    }
}

/// A server with its connections.
pub(super) struct Server {
    address: SocketAddr,
    manner: Manner,
    kind: Kind,
    stream: Mutex<Option<Arc<Stream>>>,
}

enum Kind {
    Udp,
    Tcp,
    Tls { name: ServerName<'static>, config: Arc<ClientConfig> },
    Https(Https),
}

struct Https {
    name: Arc<str>,
    path: Arc<str>,
    config: Arc<ClientConfig>,
    /// Holds the tasks of the connections: they end with it.
    provider: TokioRuntimeProvider,
    exchange: Mutex<Option<DnsExchange<TokioRuntimeProvider>>>,
}

impl Server {
    pub fn new(
        settings: &ServerSettings,
        manner: Manner,
        roots: &CertificateRoots,
    ) -> Result<Self, SettingsError> {
        let checked = |name: &str| {
            ServerName::try_from(name.to_owned())
                .map_err(|_| SettingsError::ServerName(name.to_owned()))
        };
        let kind = match &settings.transport {
            Transport::Udp => Kind::Udp,
            Transport::Tcp => Kind::Tcp,
            Transport::Tls { name } => {
                Kind::Tls { name: checked(name)?, config: client_config(roots, b"dot")? }
            }
            Transport::Https { name, path } => {
                checked(name)?;
                Kind::Https(Https {
                    name: name.as_str().into(),
                    path: path.as_str().into(),
                    config: client_config(roots, b"h2")?,
                    provider: TokioRuntimeProvider::new(),
                    exchange: Mutex::new(None),
                })
            }
        };
        Ok(Self { address: settings.address, manner, kind, stream: Mutex::new(None) })
    }

    /// A server of plain DNS.
    pub fn plain(address: SocketAddr, manner: Manner) -> Self {
        Self { address, manner, kind: Kind::Udp, stream: Mutex::new(None) }
    }

    /// Asks, within the time allowed.
    pub async fn ask(&self, ask: &Ask) -> Result<Message, ServerError> {
        let asking = tokio::time::timeout(self.manner.timeout, Box::pin(self.exchange(ask)));
        let message = asking.await.unwrap_or(Err(ServerError::Timeout))?;
        match message.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::YXDomain => Ok(message),
            code => {
                let extended = convert::outcome(&message).extended.into_iter().next();
                Err(ServerError::Refused { code, extended })
            }
        }
    }

    async fn exchange(&self, ask: &Ask) -> Result<Message, ServerError> {
        let message = match &self.kind {
            Kind::Udp => match self.over_udp(ask).await {
                Ok(message) if !message.metadata.truncation => return Ok(message),
                // Another writing of the name may be a forgery: TCP cannot be forged so easily.
                Ok(_) | Err(NetError::QueryCaseMismatch) => self.over_stream(ask).await?,
                Err(error) => return Err(error.into()),
            },
            Kind::Tcp | Kind::Tls { .. } => self.over_stream(ask).await?,
            Kind::Https(https) => https.ask(self.address, self.request(ask)).await?,
        };
        match answers(&message, ask) {
            true => Ok(message),
            false => Err(ServerError::Unusable),
        }
    }

    fn request(&self, ask: &Ask) -> DnsRequest {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = ask.dnssec_ok;
        options.edns_payload_len = self.manner.edns_payload_octets;
        options.recursion_desired = self.manner.recursion_desired;
        options.case_randomization =
            self.manner.case_randomization && matches!(self.kind, Kind::Udp);
        let name = convert::hickory_name(ask.name.as_ref());
        let query = Query::query(name, RecordType::from(ask.rtype));
        let mut request = DnsRequest::from_query(query, options);
        request.metadata.checking_disabled = ask.checking_disabled;
        request.metadata.authentic_data = self.manner.authentic_data;
        request
    }

    /// A socket, and so a random port, for each question; repeated where the answer tarries.
    async fn over_udp(&self, ask: &Ask) -> Result<Message, NetError> {
        let provider = TokioRuntimeProvider::new();
        let mut stream = UdpClientStream::builder(self.address, provider)
            .with_timeout(Some(self.manner.timeout))
            .build();
        let answer = stream.send_message(self.request(ask)).first_answer().await?;
        Ok(answer.into_message())
    }

    async fn over_stream(&self, ask: &Ask) -> Result<Message, ServerError> {
        let (question, _) = self.request(ask).into_parts();
        let octets = question.to_vec().map_err(|error| ServerError::Network(error.to_string()))?;
        let mut is_fresh = false;
        // A kept connection may have been closed under our hands: once more with a new one.
        while !is_fresh {
            let stream;
            (stream, is_fresh) = self.stream().await?;
            match stream.ask(octets.clone()).await {
                Ok(answer) => {
                    return Message::from_vec(&answer).map_err(|_| ServerError::Unusable);
                }
                Err(StreamError::Closed) => {}
                Err(error) => return Err(ServerError::Network(error.to_string())),
            }
        }
        Err(ServerError::Network(StreamError::Closed.to_string()))
    }

    /// The open connection, or a new one; who comes meanwhile waits for the same.
    async fn stream(&self) -> Result<(Arc<Stream>, bool), ServerError> {
        let mut kept = self.stream.lock().await;
        if let Some(open) = kept.as_ref().filter(|stream| stream.is_open()) {
            return Ok((open.clone(), false));
        }
        let network = |error: std::io::Error| ServerError::Network(error.to_string());
        let tcp = TcpStream::connect(self.address).await.map_err(network)?;
        tcp.set_nodelay(true).map_err(network)?;
        let stream = match &self.kind {
            Kind::Tls { name, config } => {
                let connector = TlsConnector::from(config.clone());
                Stream::new(connector.connect(name.clone(), tcp).await.map_err(network)?)
            }
            _ => Stream::new(tcp),
        };
        let stream = Arc::new(stream);
        *kept = Some(stream.clone());
        Ok((stream, true))
    }
}

impl Https {
    async fn ask(&self, address: SocketAddr, request: DnsRequest) -> Result<Message, ServerError> {
        let mut is_fresh = false;
        while !is_fresh {
            let exchange;
            (exchange, is_fresh) = self.exchange(address).await?;
            match exchange.send(request.clone()).first_answer().await {
                Ok(answer) => return Ok(answer.into_message()),
                Err(error) if is_fresh => {
                    self.exchange.lock().await.take();
                    return Err(error.into());
                }
                // A kept connection may have ended: once more with a new one.
                Err(_) => drop(self.exchange.lock().await.take()),
            }
        }
        Err(ServerError::Network(StreamError::Closed.to_string()))
    }

    async fn exchange(
        &self,
        address: SocketAddr,
    ) -> Result<(DnsExchange<TokioRuntimeProvider>, bool), ServerError> {
        let mut kept = self.exchange.lock().await;
        if let Some(open) = kept.as_ref() {
            return Ok((open.clone(), false));
        }
        let exchange = HttpsClientStream::builder(self.config.clone(), self.provider.clone())
            .exchange(address, self.name.clone(), self.path.clone())
            .await?;
        *kept = Some(exchange.clone());
        Ok((exchange, true))
    }
}

impl From<NetError> for ServerError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Timeout => Self::Timeout,
            NetError::Dns(DnsError::ResponseCode(code)) => Self::Refused { code, extended: None },
            error => Self::Network(error.to_string()),
        }
    }
}

/// Whether this is an answer to the question.
fn answers(message: &Message, ask: &Ask) -> bool {
    let metadata = &message.metadata;
    let [query] = &message.queries[..] else { return false };
    metadata.message_type == MessageType::Response
        && metadata.op_code == OpCode::Query
        && !metadata.truncation
        && u16::from(query.query_type()) == ask.rtype
        && convert::name(query.name()) == ask.name
}

fn client_config(
    roots: &CertificateRoots,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, SettingsError> {
    let mut store = RootCertStore::empty();
    match roots {
        CertificateRoots::WebPki => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        CertificateRoots::Only(certificates) => {
            for certificate in certificates {
                store
                    .add(certificate.clone())
                    .map_err(|error| SettingsError::Certificate(error.to_string()))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::Certificate(error.to_string()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}
