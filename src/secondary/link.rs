//! A connection to a primary: messages with their length in front, each within its time.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::settings::{Primary, Transport};

/// For TCP and TLS to be set up.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// A primary that takes this long to read a question of some hundred octets is gone.
const WRITE_TIME_MAX: Duration = Duration::from_secs(10);
/// The protocol of DNS over TLS (RFC 9103 section 7.1).
pub const PROTOCOL: &[u8] = b"dot";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why a connection is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing came in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The connection could not be opened, or broke.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The server speaks TLS, but not DNS over it.
    #[error("the server does not offer DNS over TLS (ALPN `dot`)")]
    Protocol,
}

/// An open connection.
pub struct Link(Box<dyn Stream>);

impl Link {
    /// Opens a connection, with the certificate checked where it is encrypted.
    pub async fn open(primary: &Primary) -> Result<Self, LinkError> {
        let opening = async {
            let tcp = TcpStream::connect(primary.address).await?;
            tcp.set_nodelay(true)?;
            let Transport::Tls { name, config } = &primary.transport else {
                return Ok(Self(Box::new(tcp)));
            };
            let connector = TlsConnector::from(config.clone());
            let tls = connector.connect(name.clone(), tcp).await?;
            match tls.get_ref().1.alpn_protocol() {
                Some(protocol) if protocol == PROTOCOL => Ok(Self(Box::new(tls))),
                _ => Err(LinkError::Protocol),
            }
        };
        within(CONNECT_TIME_MAX, opening).await
    }

    /// A connection that is open already.
    #[cfg(test)]
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput);
        let frame = [&length.map_err(io::Error::from)?.to_be_bytes()[..], message].concat();
        let writing = async {
            self.0.write_all(&frame).await?;
            Ok(self.0.flush().await?)
        };
        within(WRITE_TIME_MAX, writing).await
    }

    /// Takes the next message into `message`, which comes whole within `time_max`.
    pub async fn receive(
        &mut self,
        message: &mut Vec<u8>,
        time_max: Duration,
    ) -> Result<(), LinkError> {
        let reading = async {
            let length = self.0.read_u16().await?;
            message.resize(usize::from(length), 0);
            self.0.read_exact(message).await?;
            Ok(())
        };
        within(time_max, reading).await
    }
}

async fn within<T>(
    time_max: Duration,
    doing: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(time_max, doing).await.unwrap_or(Err(LinkError::Timeout(time_max)))
}
