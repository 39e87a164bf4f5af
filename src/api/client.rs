//! Asking a running daemon over its unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::routes::Refusal;

/// An answer with thousands of feeds is a few megabytes; more than this is not one of ours.
const ANSWER_OCTETS_MAX: usize = 64 << 20;
/// A daemon that is rebuilding answers all the same; one that is silent this long is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two lines of an answer: as long as the slowest service may take, and some.
const LINE_PATIENCE: Duration = Duration::from_secs(11 * 60 + 90);

/// Why the daemon did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no daemon listens on {path}")]
    Down {
        /// The socket.
        path: PathBuf,
    },
    /// The socket may not be used, or broke.
    #[error("{path}: {error}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The exchange failed.
    #[error("the daemon broke off: {0}")]
    Exchange(String),
    /// No answer in time.
    #[error("the daemon gave no answer in {} s", PATIENCE.as_secs())]
    Silent,
    /// The daemon said no.
    #[error("{error}")]
    Refused {
        /// Why.
        error: String,
        /// What to try.
        hint: Option<String>,
    },
}

/// A way to a daemon.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the daemon that listens on the socket.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Reads a value.
    pub async fn get<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, ClientError> {
        self.json(Method::GET, path_and_query, String::new()).await
    }

    /// Gives a command.
    pub async fn post<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, ClientError> {
        self.json(Method::POST, path_and_query, String::new()).await
    }

    /// Gives a command with a text.
    pub async fn send<T: DeserializeOwned>(
        &self,
        at: &str,
        text: String,
    ) -> Result<T, ClientError> {
        self.json(Method::POST, at, text).await
    }

    /// Gives a command whose answer comes line by line.
    pub async fn lines(&self, at: &str, mut take: impl FnMut(&str)) -> Result<(), ClientError> {
        let (mut answer, connection) = self.begin(Method::POST, at, String::new()).await?;
        let broke = |e: &dyn std::fmt::Display| ClientError::Exchange(e.to_string());
        let status = answer.status();
        let mut held: Vec<u8> = Vec::new();
        loop {
            let frame = tokio::time::timeout(LINE_PATIENCE, answer.body_mut().frame()).await;
            let Some(frame) = frame.map_err(|_| ClientError::Silent)? else { break };
            let Ok(octets) = frame.map_err(|e| broke(&e))?.into_data() else { continue };
            held.extend_from_slice(&octets);
            if held.len() > ANSWER_OCTETS_MAX {
                return Err(broke(&"an answer without an end"));
            }
            while let Some(end) = held.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = held.drain(..=end).collect();
                if status.is_success() {
                    take(String::from_utf8_lossy(&line).trim_end());
                }
            }
        }
        connection.abort();
        match status.is_success() {
            true => Ok(()),
            false => Err(refused(&held, status)),
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        at: &str,
        text: String,
    ) -> Result<T, ClientError> {
        let exchange = self.exchange(method, at, text);
        let body =
            tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| ClientError::Silent)??;
        serde_json::from_slice(&body).map_err(|e| ClientError::Exchange(e.to_string()))
    }

    async fn begin(
        &self,
        method: Method,
        at: &str,
        text: String,
    ) -> Result<(Response<Incoming>, JoinHandle<hyper::Result<()>>), ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|e| self.unreachable(e))?;
        let broke = |e: &dyn std::fmt::Display| ClientError::Exchange(e.to_string());
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|e| broke(&e))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(at)
            .header(hyper::header::HOST, "sekisho")
            .body(Full::new(Bytes::from(text)))
            .map_err(|e| broke(&e))?;
        let answer = sender.send_request(request).await.map_err(|e| broke(&e))?;
        Ok((answer, connection))
    }

    async fn exchange(&self, method: Method, at: &str, text: String) -> Result<Bytes, ClientError> {
        let (answer, connection) = self.begin(method, at, text).await?;
        let broke = |e: &dyn std::fmt::Display| ClientError::Exchange(e.to_string());
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_OCTETS_MAX);
        let body = body.collect().await.map_err(|e| broke(&e))?.to_bytes();
        connection.abort();
        match status.is_success() {
            true => Ok(body),
            false => Err(refused(&body, status)),
        }
    }

    fn unreachable(&self, error: io::Error) -> ClientError {
        let path = self.path.clone();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::Down { path }
            }
            _ => ClientError::Io { path, error },
        }
    }
}

fn refused(body: &[u8], status: hyper::StatusCode) -> ClientError {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, hint }) => ClientError::Refused { error, hint },
        Err(_) => ClientError::Exchange(format!("HTTP status {status}")),
    }
}

/// A value for a query string: everything but letters, digits and `-._~` escaped (RFC 3986).
pub fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
