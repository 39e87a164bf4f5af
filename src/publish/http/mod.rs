//! Artefacts over HTTP: whole, packed, in parts, signed, and to a SIEM by TAXII.
//!
//! ```text
//! /                        what there is, for people; /index.json for machines
//! /zones/threat.rpz        a zone; /domains.txt and so on: lists
//! /domains.txt.sha256      its hash; /domains.txt.minisig its signature, /sekisho.pub the key
//! /taxii2/                 TAXII 2.1 (taxii.rs)
//! ```
//!
//! Nothing is made for a request. What a client can take up is bounded: connections in all and of
//! one address, octets of a head, seconds for a head and for a whole connection.

mod answer;
mod range;
mod taxii;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use data_encoding::BASE64;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::answer::Answer;
use super::artefact::shelf::Stock;
use crate::model::Network;

/// Connections at once; fetchers are few and come seldom.
const CONNECTIONS_MAX: usize = 256;
/// Of one address, so that nobody takes them all.
const CLIENT_CONNECTIONS_MAX: usize = 16;
/// Octets of a request's head. A bearer token and a cursor are short.
const HEAD_OCTETS_MAX: usize = 16 << 10;
/// How long a client may take for a head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may last: 200 MB at 64 KiB/s take most of an hour.
const CONNECTION_TIME: Duration = Duration::from_secs(3600);

/// Who may fetch.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// From these networks.
    pub networks: Vec<Network>,
    /// With one of these tokens, given as their SHA-256; with none of them, none is asked for.
    pub tokens: Vec<[u8; 32]>,
}

impl Admission {
    /// The SHA-256 of a token.
    pub fn hash(token: &[u8]) -> [u8; 32] {
        digest(&SHA256, token).as_ref().try_into().expect("SHA-256 has 32 octets")
    }

    /// Whether a request is let in; the status otherwise.
    fn admits(&self, client: IpAddr, authorization: Option<&str>) -> Result<(), StatusCode> {
        let client = client.to_canonical();
        if !self.networks.iter().any(|network| network.contains(client)) {
            return Err(StatusCode::FORBIDDEN);
        }
        if self.tokens.is_empty() {
            return Ok(());
        }
        // Hashes are compared, so that the time it takes says nothing of the token.
        let token = authorization.and_then(token).map(|token| Self::hash(&token));
        match token.is_some_and(|token| self.tokens.contains(&token)) {
            true => Ok(()),
            false => Err(StatusCode::UNAUTHORIZED),
        }
    }
}

/// The token of an `Authorization` header: a bearer's, or the password of Basic, which is all that
/// many TAXII clients have.
fn token(header: &str) -> Option<Vec<u8>> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = BASE64.decode(value.trim().as_bytes()).ok()?;
    let colon = pair.iter().position(|octet| *octet == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// What is served.
pub struct Site {
    /// The artefacts in force.
    pub stock: Arc<ArcSwap<Stock>>,
    /// Who may fetch them.
    pub admission: Admission,
    /// The public key file, where artefacts are signed.
    pub public_key: Option<String>,
}

impl Site {
    /// Serves until the listener fails.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let clients = Arc::new(Mutex::new(std::collections::BTreeMap::<IpAddr, usize>::new()));
        loop {
            let (stream, client) = match listener.accept().await {
                Ok(accepted) => accepted,
                // A client that is gone before it is greeted, or no descriptors for a moment.
                Err(error) => {
                    tracing::debug!(%error, "a connection for artefacts was lost");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let Some(seat) = Seat::take(&clients, client.ip()) else { continue };
            let site = self.clone();
            tokio::spawn(async move {
                let (_place, _seat) = (place, seat);
                site.connection(stream, client).await;
            });
        }
    }

    async fn connection(&self, stream: tokio::net::TcpStream, client: SocketAddr) {
        let service = service_fn(|request| async move {
            Ok::<_, Infallible>(self.respond(&request, client.ip()).await)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_OCTETS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        match timeout(CONNECTION_TIME, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%client, %error, "artefacts"),
            Err(_) => tracing::debug!(%client, "artefacts: the client was too slow"),
        }
    }

    async fn respond(&self, request: &Request<Incoming>, client: IpAddr) -> answer::Response {
        let is_head = request.method() == Method::HEAD;
        // What an answer is about may be replaced before its file is opened; the next answer then
        // is about what replaced it.
        for _ in 0..3 {
            let answer = self.answer(request, client).await;
            match answer.open().await {
                Ok(opened) => return opened.respond(is_head),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::error!(%error, path = request.uri().path(), "an artefact is unreadable");
                    break;
                }
            }
        }
        Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n").plain(is_head)
    }

    async fn answer(&self, request: &Request<Incoming>, client: IpAddr) -> Answer {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        if let Err(status) = self.admission.admits(client, header(AUTHORIZATION)) {
            let answer = Answer::text(status, "not for you\n");
            return match status {
                StatusCode::UNAUTHORIZED => answer.with(WWW_AUTHENTICATE, "Bearer"),
                _ => answer,
            };
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let answer = Answer::text(StatusCode::METHOD_NOT_ALLOWED, "nothing is written here\n");
            return answer.with(http::header::ALLOW, "GET, HEAD");
        }
        let stock = self.stock.load_full();
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or(""));
        if path == "/taxii2" || path.starts_with("/taxii2/") {
            let accept = header(http::header::ACCEPT).map(str::to_owned);
            let (path, query) = (path.to_owned(), query.to_owned());
            // It may read from a file here and there.
            let answering = tokio::task::spawn_blocking(move || {
                taxii::answer(&stock, &path, &query, accept.as_deref())
            });
            return answering.await.unwrap_or_else(|_| {
                Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "no answer could be made\n")
            });
        }
        answer::artefact(&stock, self.public_key.as_deref(), path, request.headers())
    }
}

/// One of the connections that a client may have.
struct Seat {
    clients: Arc<Mutex<std::collections::BTreeMap<IpAddr, usize>>>,
    client: IpAddr,
}

impl Seat {
    fn take(
        clients: &Arc<Mutex<std::collections::BTreeMap<IpAddr, usize>>>,
        client: IpAddr,
    ) -> Option<Self> {
        let mut held = clients.lock();
        let count = held.entry(client).or_default();
        if *count >= CLIENT_CONNECTIONS_MAX {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Self { clients: clients.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut held = self.clients.lock();
        if let Some(count) = held.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_fetch_is_known_by_network_and_token() {
        let network = Network::parse_strict("192.0.2.0/24").unwrap();
        let mut admission = Admission { networks: vec![network], tokens: Vec::new() };
        let inside: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(admission.admits(inside, None), Ok(()));
        assert_eq!(admission.admits("::ffff:192.0.2.7".parse().unwrap(), None), Ok(()));
        let outside: IpAddr = "198.51.100.7".parse().unwrap();
        assert_eq!(admission.admits(outside, None), Err(StatusCode::FORBIDDEN));
        admission.tokens.push(Admission::hash(b"secret"));
        let basic = format!("Basic {}", BASE64.encode(b"anybody:secret"));
        for (header, admitted) in [
            (None, false),
            (Some("Bearer secret"), true),
            (Some("bearer  secret"), true),
            (Some("Bearer secre"), false),
            (Some(&basic[..]), true),
            (Some("Basic c2VjcmV0"), false),
            (Some("secret"), false),
        ] {
            assert_eq!(admission.admits(inside, header).is_ok(), admitted, "{header:?}");
        }
    }

    #[test]
    fn one_client_does_not_take_all_seats() {
        let clients = Arc::default();
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        let seats: Vec<_> =
            (0..CLIENT_CONNECTIONS_MAX).map(|_| Seat::take(&clients, client)).collect();
        assert!(seats.iter().all(Option::is_some));
        assert!(Seat::take(&clients, client).is_none());
        drop(seats);
        assert!(clients.lock().is_empty());
    }
}
