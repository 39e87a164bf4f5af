//! The page of the walled garden: what a browser sees where policy answers with its address.
//!
//! A small HTTP server without state, on listeners of its own. For the host that was asked it says
//! which rule stands behind it, a number to quote and whom to ask. HTTPS is not answered: no
//! certificate we could show would be the right one. Nothing a client sends is stored, and nothing
//! of it is shown but a host name that is one.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use siphasher::sip::SipHasher24;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::handler::InForce;
use super::message::rtype;
use super::quota::Limits;
use super::tcp::TcpFront;
use crate::model::time::Clock;
use crate::model::{Name, NameRef, Timestamp};
use crate::snapshot::{Need, Query, Step, Transport};

/// Seconds in which the same name has the same number.
const INCIDENT_SECONDS: u32 = 3600;
/// Said of a name that can be reached again.
const NO_RULE: &str = "No rule applies to it any more, so trying again may help.";
/// Said of a name that only its answer tells about.
const OTHER_RULE: &str = "No rule names it; one may name its addresses or its servers.";
/// Characters of an incident number before and after the hyphen.
const INCIDENT_PART: usize = 4;

/// What the page says, and how much it serves.
#[derive(Debug, Clone)]
pub struct GardenSettings {
    /// Who runs this resolver, such as `Example Corp`.
    pub organization: String,
    /// Whom to ask, such as a mail address or telephone number.
    pub contact: String,
    /// Makes incident numbers; whoever knows it can tell which name and hour stands behind one.
    pub seed: u64,
    /// Connections open at once.
    pub connections: Limits,
    /// How long a request may take to come in.
    pub request: Duration,
    /// How long a connection may stay open.
    pub connection: Duration,
    /// Octets of a request's head; browsers send cookies of the host that is blocked.
    pub request_octets_max: usize,
    /// Header lines of a request.
    pub headers_max: usize,
}

impl GardenSettings {
    /// With limits that suit one page.
    pub fn new(organization: String, contact: String, seed: u64) -> Self {
        Self {
            organization,
            contact,
            seed,
            connections: Limits { all_max: 500, client_max: 20 },
            request: Duration::from_secs(5),
            connection: Duration::from_secs(30),
            request_octets_max: 16 << 10,
            headers_max: 64,
        }
    }
}

/// Serves the page on listeners that are bound already. Needs a runtime around it.
pub fn start(
    listeners: Vec<StdTcpListener>,
    in_force: Arc<ArcSwap<InForce>>,
    clock: Arc<dyn Clock>,
    settings: GardenSettings,
) -> io::Result<TcpFront> {
    let limits = settings.connections;
    let garden = Arc::new(Garden { in_force, clock, settings });
    TcpFront::start_with(listeners, limits, move |stream, address, stop| {
        let garden = Arc::clone(&garden);
        async move { garden.serve(stream, address, stop).await }
    })
}

struct Garden {
    in_force: Arc<ArcSwap<InForce>>,
    clock: Arc<dyn Clock>,
    settings: GardenSettings,
}

impl Garden {
    async fn serve(&self, stream: TcpStream, address: SocketAddr, stop: CancellationToken) {
        let answer = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
            Ok::<_, Infallible>(self.response(request.headers(), address.ip()))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.request)
            .max_buf_size(self.settings.request_octets_max)
            .max_headers(self.settings.headers_max)
            // One page, one connection: a body that was sent along need not be read.
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer);
        tokio::select! {
            _ = tokio::time::timeout(self.settings.connection, connection) => {}
            () = stop.cancelled() => {}
        }
    }

    fn response(&self, headers: &HeaderMap, client: IpAddr) -> Response<Full<Bytes>> {
        let page = self.page(asked_host(headers), client);
        let mut response = Response::new(Full::new(Bytes::from(page)));
        *response.status_mut() = StatusCode::FORBIDDEN;
        for (header, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            // The name may be free again by the next look.
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ] {
            response.headers_mut().insert(header, HeaderValue::from_static(value));
        }
        response
    }

    fn page(&self, host: Option<Name>, client: IpAddr) -> String {
        let now = self.clock.now();
        let in_force = self.in_force.load();
        let why =
            host.as_ref().map_or(NO_RULE.to_owned(), |name| why(&in_force, name.as_ref(), client));
        let name = host.as_ref().map_or("This name".to_owned(), Name::to_string);
        let incident = host.unwrap_or_default();
        let incident = incident_number(self.settings.seed, incident.as_ref(), now);
        let [name, why, organization, contact] =
            [&name, &why, &self.settings.organization, &self.settings.contact].map(|t| escaped(t));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{name} is blocked</title>\n\
             <style>body{{font-family:sans-serif;max-width:40em;margin:3em auto;padding:0 1em}}\
             </style>\n</head>\n<body>\n<h1>{name} is blocked</h1>\n\
             <p>{organization} does not let this network reach it. {why}</p>\n\
             <p>If that is wrong, tell {contact} and quote <strong>{incident}</strong>.</p>\n\
             </body>\n</html>\n"
        )
    }
}

/// The host that a request is for, without its port, if it is a host name.
fn asked_host(headers: &HeaderMap) -> Option<Name> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    Name::from_host(host).ok()
}

/// Which zone and trigger keep a client from a name, as far as the name alone tells.
fn why(in_force: &InForce, name: NameRef<'_>, client: IpAddr) -> String {
    let query = Query {
        name,
        rtype: rtype::A,
        client,
        transport: Transport::Tcp,
        recursion_desired: true,
        dnssec_ok: false,
    };
    let hit = match in_force.snapshot().begin(&query) {
        Step::Decided { hit, .. } if hit.response.rewrites(Transport::Tcp) => hit,
        Step::Decided { .. } => return NO_RULE.to_owned(),
        Step::Resolve(evaluation) => {
            let needs = evaluation.needs();
            let servers = [needs.nameserver_names, needs.nameserver_addresses];
            let may = needs.answer_addresses || servers.iter().any(|need| *need != Need::No);
            return if may { OTHER_RULE } else { NO_RULE }.to_owned();
        }
    };
    let Some(zone) = in_force.snapshot().zone(hit.zone) else { return NO_RULE.to_owned() };
    let reason = zone.options.extended_error.as_ref().map_or("", |error| &error.text);
    let mut why = format!("The rule is {} in {}", hit.matched, zone.zone.origin());
    if !reason.is_empty() {
        let _ = write!(why, " ({reason})");
    }
    why + "."
}

/// A short number that is the same for a name within an hour, such as `7K2M-Q9TF`. It tells
/// nothing to who does not know the seed.
pub fn incident_number(seed: u64, name: NameRef<'_>, now: Timestamp) -> String {
    let mut hasher = SipHasher24::new_with_keys(seed, 0);
    hasher.write(name.key());
    hasher.write_u32(now.0 / INCIDENT_SECONDS);
    let text = BASE32_NOPAD.encode(&hasher.finish().to_be_bytes());
    format!("{}-{}", &text[..INCIDENT_PART], &text[INCIDENT_PART..2 * INCIDENT_PART])
}

/// Text as HTML shows it, in an element or a quoted attribute.
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::script::{HASH_SEED, Rig, World, data, name, policy, rig, rule};
    use super::*;
    use crate::snapshot::Snapshot;
    use crate::zone::options::ExtendedError;

    fn settings() -> GardenSettings {
        GardenSettings::new("Example & Sons".into(), "<noc@example.com>".into(), 7)
    }

    fn serve(settings: GardenSettings) -> (Rig, TcpFront, SocketAddr) {
        let mut zone = policy("threat.policy", [rule("*.bad.test", data(&["A 192.0.2.80"]))]);
        let text = "known for \"phishing\"".to_owned();
        zone.options.extended_error = Some(ExtendedError { code: 15, text });
        let rig = rig([zone], World::default());
        let listener = StdTcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let in_force = Arc::clone(&rig.in_force);
        let front = start(vec![listener], in_force, rig.world.clone(), settings).unwrap();
        (rig, front, address)
    }

    /// Sends octets and reads all that comes back.
    async fn exchange(address: SocketAddr, octets: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The other end may have closed already.
        let _ = stream.write_all(octets).await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        String::from_utf8(reply).unwrap()
    }

    async fn page_for(address: SocketAddr, host: &str) -> String {
        let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\nCookie: secret=1\r\n\r\n");
        exchange(address, request.as_bytes()).await
    }

    #[tokio::test]
    async fn the_page_tells_the_rule_a_number_and_whom_to_ask() {
        let (_rig, _front, address) = serve(settings());
        let page = page_for(address, "Www.Bad.test:80").await;
        assert!(page.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{page}");
        let number = incident_number(7, name("www.bad.test").as_ref(), Timestamp(0));
        for part in [
            "cache-control: no-store",
            "default-src 'none'",
            "<h1>www.bad.test is blocked</h1>",
            "<p>Example &amp; Sons does not",
            "The rule is *.bad.test in threat.policy (known for &quot;phishing&quot;).",
            "tell &lt;noc@example.com&gt; and quote",
            &format!("<strong>{number}</strong>"),
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("secret"));
    }

    #[tokio::test]
    async fn a_host_that_is_no_name_is_not_shown_and_one_that_is_free_is_told_so() {
        let (rig, _front, address) = serve(settings());
        for host in ["<script>alert(1)</script>", "192.0.2.1", "[::1]:80", "a b"] {
            let page = page_for(address, host).await;
            assert!(page.contains("<h1>This name is blocked</h1>"), "{page}");
            assert!(!page.contains("script"), "{page}");
        }
        let page = page_for(address, "free.test").await;
        assert!(page.contains("No rule applies to it any more"), "{page}");
        let by_address = rule("ip 192.0.2.0/24", data(&["A 192.0.2.80"]));
        let zone = policy("threat.policy", [by_address]);
        let snapshot = Snapshot::new(2, HASH_SEED, vec![zone], Vec::new(), None).unwrap();
        rig.in_force.store(InForce::new(snapshot.into(), &rig.metrics).into());
        let page = page_for(address, "www.test").await;
        assert!(page.contains("one may name its addresses"), "{page}");
    }

    #[tokio::test]
    async fn large_slow_and_malformed_requests_end_and_the_page_is_still_there() {
        let short = Duration::from_millis(100);
        let (_rig, front, address) = serve(GardenSettings { request: short, ..settings() });
        let large =
            format!("GET / HTTP/1.1\r\nHost: a.bad.test\r\nX: {}\r\n\r\n", "x".repeat(40_000));
        let many = format!("GET / HTTP/1.1\r\nHost: a.bad.test\r\n{}\r\n", "X: y\r\n".repeat(100));
        for request in [large.as_bytes(), many.as_bytes(), b"\x16\x03\x01\x02\0\x01\0\r\n\r\n"] {
            let reply = exchange(address, request).await;
            assert!(!reply.contains("blocked"), "{reply}");
        }
        assert_eq!(exchange(address, b"GET / HTTP/1.1\r\nHost: a.bad").await, "", "too slow");
        assert!(page_for(address, "a.bad.test").await.contains("a.bad.test is blocked"));
        while front.open() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn numbers_differ_by_name_hour_and_seed_and_hold_for_an_hour() {
        let number =
            |seed, text, seconds| incident_number(seed, name(text).as_ref(), Timestamp(seconds));
        let one = number(1, "a.test", 3600);
        assert_eq!(one, number(1, "a.test", 7199));
        for other in
            [number(2, "a.test", 3600), number(1, "b.test", 3600), number(1, "a.test", 7200)]
        {
            assert_ne!(one, other);
        }
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [4, 4]);
    }

    #[test]
    fn every_character_with_a_meaning_in_html_is_escaped() {
        assert_eq!(
            escaped(r#"<a href="x" id='y'>&"#),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;"
        );
    }
}
