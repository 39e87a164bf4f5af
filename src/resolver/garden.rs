//! The walled garden: a page over plain HTTP that tells a redirected client why it is here.
//!
//! Every request gets the same small page about the host it asked for: the reason, an incident
//! number for the helpdesk, and whom to ask. HTTPS is not answered: a certificate for another's name
//! would be a lie, and the extended error of the DNS answer has said it all.
//!
//! What a client sends is bounded in time, size and number, and nothing of it is shown unescaped.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::quota::{Limits, Quota};
use crate::model::time::Clock;
use crate::model::{Name, Timestamp};

/// Connections to the page at once; it is small and nobody stays. A browser opens six to one host
/// (and nobody is to keep all others out).
const CONNECTIONS: Limits = Limits { all_max: 256, client_max: 16 };
/// A browser sends its request at once.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// No client needs longer for a page of two kilobytes.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
/// Octets of a request's head; a browser's own are a tenth of it.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// Requests of one client about one host within an hour are one incident.
const INCIDENT_SECONDS: u32 = 3600;

/// What the page says about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who runs this network.
    pub organisation: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Why the host is not shown.
    pub reason: String,
}

/// Says why a host is redirected.
pub trait Reasons: Send + Sync + 'static {
    /// What to say to a client about a host.
    fn notice(&self, host: &Name, client: IpAddr) -> Notice;
}

/// The page's server.
pub struct Garden {
    /// Says why.
    pub reasons: Arc<dyn Reasons>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes incident numbers that nobody outside can guess.
    pub seed: u64,
}

impl Garden {
    /// Serves the page on a bound socket until the future is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let places = Quota::new(CONNECTIONS);
        loop {
            let (stream, client) = match listener.accept().await {
                Ok(accepted) => accepted,
                // A client that is gone before it is greeted, or no descriptors for a moment.
                Err(error) => {
                    tracing::debug!(%error, "a connection to the walled garden was lost");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let Ok(place) = places.enter(client.ip()) else {
                tracing::debug!(%client, "walled garden: too many connections");
                continue;
            };
            let garden = self.clone();
            tokio::spawn(async move {
                let _place = place;
                garden.connection(TokioIo::new(stream), client).await;
            });
        }
    }

    async fn connection<S>(&self, stream: S, client: SocketAddr)
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin,
    {
        let page = service_fn(|request| async move {
            Ok::<_, Infallible>(self.respond(&request, client.ip()))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(HEAD_OCTETS_MAX)
            .keep_alive(false)
            .serve_connection(stream, page);
        match timeout(CONNECTION_TIME, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%client, %error, "walled garden"),
            Err(_) => tracing::debug!(%client, "walled garden: the client was too slow"),
        }
    }

    fn respond(&self, request: &Request<Incoming>, client: IpAddr) -> Response<Full<Bytes>> {
        let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
        let host = host.and_then(host_name);
        let (status, body) = match host {
            Some(host) => (StatusCode::FORBIDDEN, self.page(&host, client)),
            None => (StatusCode::BAD_REQUEST, "this server has one page, for names\n".to_owned()),
        };
        let kind = if status == StatusCode::FORBIDDEN { "text/html" } else { "text/plain" };
        let response = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, format!("{kind}; charset=utf-8"))
            .header(CACHE_CONTROL, "no-store")
            .header(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")
            .body(Full::from(body));
        response.unwrap_or_default()
    }

    fn page(&self, host: &Name, client: IpAddr) -> String {
        let notice = self.reasons.notice(host, client);
        let incident = incident(self.seed, host, client, self.clock.now());
        tracing::info!(%host, %client, incident, "walled garden");
        page(host, &notice, &incident)
    }
}

/// The host of a `Host` header, without its port.
fn host_name(value: &str) -> Option<Name> {
    let host = match value.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => value,
    };
    Name::from_host(host).ok()
}

/// A short number for the helpdesk: the same for one client, host and hour.
pub fn incident(seed: u64, host: &Name, client: IpAddr, now: Timestamp) -> String {
    let hour = now.0 / INCIDENT_SECONDS;
    let text = format!("{host} {client} {hour}");
    let hash = xxh3_64_with_seed(text.as_bytes(), seed).to_be_bytes();
    data_encoding::BASE32_NOPAD.encode(&hash[..5])
}

fn page(host: &Name, notice: &Notice, incident: &str) -> String {
    let row = |name: &str, text: &str| format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(text));
    let mut rows = row("Address", &host.to_string());
    rows.push_str(&row("Reason", &notice.reason));
    rows.push_str(&row("Incident", incident));
    if let Some(contact) = &notice.contact {
        rows.push_str(&row("Questions to", contact));
    }
    let by = match &notice.organisation {
        Some(organisation) => format!(" by {}", escaped(organisation)),
        None => String::new(),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Not shown</title>\n<style>body{{font:16px/1.5 sans-serif;max-width:40em;\
         margin:4em auto;padding:0 1em}}dt{{color:#666}}dd{{margin:0 0 .8em}}</style></head>\n\
         <body><h1>This page is not shown</h1>\n\
         <p>The DNS policy of this network keeps you from it{by}.</p>\n<dl>\n{rows}</dl>\n\
         <p>If you think this is a mistake, tell them the incident number.</p>\n\
         </body></html>\n"
    )
}

/// Text that stays text in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    struct At(u32);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp(self.0)
        }
    }

    struct Says;

    impl Reasons for Says {
        fn notice(&self, _: &Name, _: IpAddr) -> Notice {
            Notice {
                organisation: Some("<Example> & Co".to_owned()),
                contact: Some("noc@example.org".to_owned()),
                reason: "phishing \"now\"".to_owned(),
            }
        }
    }

    async fn ask(request: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let garden = Garden { reasons: Arc::new(Says), clock: Arc::new(At(7)), seed: 1 };
        let server = tokio::spawn(Arc::new(garden).serve(listener));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        server.abort();
        answer
    }

    #[tokio::test]
    async fn a_redirected_client_reads_the_reason_the_incident_and_whom_to_ask() {
        let answer = ask(b"GET /login HTTP/1.1\r\nHost: bad.example:80\r\n\r\n").await;
        let host = Name::from_host("bad.example").unwrap();
        let incident = incident(1, &host, IpAddr::from([127, 0, 0, 1]), Timestamp(7));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        for part in [
            "<dd>bad.example</dd>",
            "<dd>phishing &quot;now&quot;</dd>",
            "by &lt;Example&gt; &amp; Co.",
            &format!("<dd>{incident}</dd>"),
            "cache-control: no-store",
        ] {
            assert!(answer.contains(part), "{part}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_host_that_is_no_name_is_not_echoed() {
        for request in
            [b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n".as_slice(), b"GET / HTTP/1.0\r\n\r\n"]
        {
            let answer = ask(request).await;
            assert!(answer.contains(" 400 ") && !answer.contains("script"), "{answer}");
        }
    }

    #[tokio::test]
    async fn one_client_does_not_keep_the_page_to_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let garden = Garden { reasons: Arc::new(Says), clock: Arc::new(At(7)), seed: 1 };
        let server = tokio::spawn(Arc::new(garden).serve(listener));
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS.client_max {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let mut one_more = TcpStream::connect(address).await.unwrap();
        let mut answer = Vec::new();
        // It is closed at once, without a word.
        let _ = one_more.read_to_end(&mut answer).await;
        assert!(answer.is_empty() && held.len() == CONNECTIONS.client_max);
        server.abort();
    }

    #[tokio::test]
    async fn an_endless_head_is_cut_off() {
        let mut request = b"GET / HTTP/1.1\r\nHost: a.example\r\nX: ".to_vec();
        request.resize(64 * 1024, b'x');
        let answer = ask(&request).await;
        assert!(!answer.contains(" 403 "), "{answer}");
    }

    #[test]
    fn incidents_are_one_an_hour_for_a_client_and_host() {
        let host = Name::from_host("bad.example").unwrap();
        let of = |client: [u8; 4], at| incident(1, &host, client.into(), Timestamp(at));
        assert_eq!(of([192, 0, 2, 1], 0), of([192, 0, 2, 1], 3599));
        assert_ne!(of([192, 0, 2, 1], 0), of([192, 0, 2, 1], 3600));
        assert_ne!(of([192, 0, 2, 1], 0), of([192, 0, 2, 2], 0));
        assert_eq!(of([192, 0, 2, 1], 0).len(), 8);
    }
}
