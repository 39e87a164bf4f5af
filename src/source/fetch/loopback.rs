//! A server on loopback that answers as a test scripts it, down to the octets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does with one connection after it has read a request.
pub(crate) enum Reply {
    /// Sends this and closes.
    Octets(Vec<u8>),
    /// Sends this and then nothing, with the connection open.
    Stall(Vec<u8>),
    /// Sends this and then one octet over and over until the client leaves.
    Endless(Vec<u8>, u8),
}

/// A whole answer with headers.
pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Reply {
    let mut octets = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        octets.push_str(header);
        octets.push_str("\r\n");
    }
    octets.push_str("Connection: close\r\n\r\n");
    Reply::Octets([octets.as_bytes(), body].concat())
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Gives one reply a connection, in order; a connection beyond them is closed at once.
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        Self::start_with(replies, None).await
    }

    pub(crate) async fn start_with(replies: Vec<Reply>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        tokio::spawn(async move {
            let mut replies = replies.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                match &tls {
                    None => serve(stream, replies.next(), &log).await,
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { continue };
                        serve(stream, replies.next(), &log).await;
                    }
                }
            }
        });
        Self { address, requests }
    }

    /// The URL of `path` here.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    reply: Option<Reply>,
    log: &Mutex<Vec<String>>,
) {
    let Some(reply) = reply else { return };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return,
        }
    }
    log.lock().unwrap().push(String::from_utf8_lossy(&head).to_lowercase());
    match reply {
        Reply::Octets(octets) => {
            let _ = stream.write_all(&octets).await;
            let _ = stream.shutdown().await;
        }
        Reply::Stall(octets) => {
            let _ = stream.write_all(&octets).await;
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(stream);
            });
        }
        Reply::Endless(octets, octet) => {
            let _ = stream.write_all(&octets).await;
            while stream.write_all(&[octet; 8192]).await.is_ok() {}
        }
    }
}
