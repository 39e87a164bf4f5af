//! Feeds over HTTP: conditional requests, bounded bodies, attempts.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{
    ACCEPT, ACCEPT_ENCODING, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use ::http::{StatusCode, Uri};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reqwest::redirect;
use rustls::RootCertStore;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::fault::{Idle, follow, is_momentary, retry_after_seconds};
use crate::ports::{FetchError, FetchLimits, FetchOutcome, FetchRequest, Fetched, Validators};

/// A validator longer than this is not kept; the next request is then unconditional.
const VALIDATOR_OCTETS_MAX: usize = 1024;

/// How to ask.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// What the client calls itself.
    pub user_agent: String,
    /// Where bodies are kept while they are read.
    pub spool_directory: PathBuf,
    /// Who may vouch for servers.
    pub roots: RootCertStore,
    /// The pause after a first failure; it doubles with each.
    pub back_off: Duration,
}

impl HttpConfig {
    /// This program's name and version, Mozilla's roots, and a second before a second attempt.
    pub fn new(spool_directory: PathBuf) -> Self {
        Self {
            user_agent: concat!("sekisho/", env!("CARGO_PKG_VERSION")).to_owned(),
            spool_directory,
            roots: webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
            back_off: Duration::from_secs(1),
        }
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The TLS set-up is inconsistent.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The client cannot be built, for example for a user agent that is no header value.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Asks servers for feeds.
#[derive(Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    spool_directory: PathBuf,
    back_off: Duration,
}

impl HttpClient {
    /// A client with its own TLS set-up: no provider is installed for the process.
    pub fn new(config: HttpConfig) -> Result<Self, HttpError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(config.roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(config.user_agent)
            .redirect(redirect::Policy::custom(follow))
            .referer(false)
            .no_proxy()
            .build()?;
        Ok(Self { client, spool_directory: config.spool_directory, back_off: config.back_off })
    }

    /// Fetches, with as many attempts as the limits allow.
    pub(super) async fn fetch(
        &self,
        uri: &Uri,
        request: &FetchRequest,
    ) -> Result<FetchOutcome, FetchError> {
        let time_max = request.limits.time_max;
        timeout(time_max, self.attempts(uri, request)).await.unwrap_or_else(|_| {
            Err(FetchError::TooSlow { location: request.location.clone(), time_max })
        })
    }

    async fn attempts(
        &self,
        uri: &Uri,
        request: &FetchRequest,
    ) -> Result<FetchOutcome, FetchError> {
        let mut dice = ChaCha8Rng::seed_from_u64(request.seed);
        let mut pause = self.back_off;
        let mut attempt = 1;
        loop {
            match self.attempt(uri, request).await {
                Err(error) if attempt < request.limits.attempts_max && is_momentary(&error) => {
                    // Between half of the pause and all of it, so that clients which failed
                    // together do not come back together.
                    tokio::time::sleep(pause.mul_f64(dice.random_range(0.5..1.0))).await;
                    pause *= 2;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn attempt(&self, uri: &Uri, request: &FetchRequest) -> Result<FetchOutcome, FetchError> {
        let idle = Idle { request };
        let mut asked = self.client.get(uri.to_string()).header(ACCEPT_ENCODING, "gzip");
        if let Some(accept) = request.accept {
            asked = asked.header(ACCEPT, accept);
        }
        let validators = &request.validators;
        if let Some(etag) = &validators.etag {
            asked = asked.header(IF_NONE_MATCH, etag);
        }
        if let Some(last_modified) = &validators.last_modified {
            asked = asked.header(IF_MODIFIED_SINCE, last_modified);
        }
        let response = idle.watch(asked.send()).await?;
        match response.status() {
            StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {
                self.body(response, request).await.map(FetchOutcome::Fetched)
            }
            StatusCode::NOT_MODIFIED if *validators != Validators::default() => {
                Ok(FetchOutcome::Unchanged)
            }
            status => Err(FetchError::Status {
                location: request.location.clone(),
                status: status.as_u16(),
                retry_after_seconds: retry_after_seconds(response.headers()),
            }),
        }
    }

    async fn body(
        &self,
        mut response: reqwest::Response,
        request: &FetchRequest,
    ) -> Result<Fetched, FetchError> {
        let FetchLimits { octets_max, .. } = request.limits;
        let too_large = || FetchError::TooLarge { location: request.location.clone(), octets_max };
        if response.content_length().is_some_and(|octets| octets > octets_max) {
            return Err(too_large());
        }
        let validators = Validators {
            etag: validator(response.headers(), &ETAG),
            last_modified: validator(response.headers(), &LAST_MODIFIED),
        };
        let mut spool = self.spool().await.map_err(FetchError::Spool)?;
        let mut octets = 0;
        let idle = Idle { request };
        while let Some(chunk) = idle.watch(response.chunk()).await? {
            octets += chunk.len() as u64;
            if octets > octets_max {
                return Err(too_large());
            }
            spool.write_all(&chunk).await.map_err(FetchError::Spool)?;
        }
        let body = rewound(spool).await.map_err(FetchError::Spool)?;
        Ok(Fetched { body, octets, validators })
    }

    /// A file without a name, which goes with its handle even if the process is killed.
    async fn spool(&self) -> io::Result<tokio::fs::File> {
        let directory = self.spool_directory.clone();
        let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(directory));
        file.await.map_err(io::Error::other)?.map(tokio::fs::File::from_std)
    }
}

async fn rewound(mut spool: tokio::fs::File) -> io::Result<File> {
    spool.flush().await?;
    let mut file = spool.into_std().await;
    file.rewind()?;
    Ok(file)
}

/// A validator that can be sent back.
fn validator(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (text.len() <= VALIDATOR_OCTETS_MAX).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::loopback::{Reply, Server, answer};
    use super::*;
    use crate::ports::{Location, RedirectRefusal};
    use std::io::Read as _;

    const LIST: &[u8] = b"bad.example\nworse.example\n";

    /// A client that spools into `directory` and barely pauses between attempts.
    fn client(directory: &tempfile::TempDir) -> HttpClient {
        HttpClient::new(config(directory)).unwrap()
    }

    fn config(directory: &tempfile::TempDir) -> HttpConfig {
        let back_off = Duration::from_millis(1);
        HttpConfig { back_off, ..HttpConfig::new(directory.path().to_owned()) }
    }

    fn request(url: &str) -> FetchRequest {
        FetchRequest {
            location: Location::parse(url).unwrap(),
            validators: Validators::default(),
            limits: FetchLimits { octets_max: 1 << 20, ..FetchLimits::default() },
            accept: None,
            seed: 7,
        }
    }

    async fn fetch_with(
        client: &HttpClient,
        request: &FetchRequest,
    ) -> Result<FetchOutcome, FetchError> {
        let Location::Http(uri) = &request.location else { panic!("not over HTTP") };
        client.fetch(uri, request).await
    }

    /// Fetches and checks that nothing is left in the spool directory.
    async fn fetch(request: &FetchRequest) -> Result<FetchOutcome, FetchError> {
        let directory = tempfile::tempdir().unwrap();
        let result = fetch_with(&client(&directory), request).await;
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        result
    }

    async fn body(request: &FetchRequest) -> (Vec<u8>, Validators) {
        match fetch(request).await.unwrap() {
            FetchOutcome::Unchanged => panic!("unchanged"),
            FetchOutcome::Fetched(mut fetched) => {
                let mut octets = Vec::new();
                fetched.body.read_to_end(&mut octets).unwrap();
                assert_eq!(octets.len() as u64, fetched.octets);
                (octets, fetched.validators)
            }
        }
    }

    #[tokio::test]
    async fn what_the_server_calls_unchanged_is_not_sent_again() {
        let headers = ["ETag: \"v1\"", "Last-Modified: Sat, 22 Aug 2026 17:30:08 GMT"];
        let server = Server::start(vec![
            answer("200 OK", &headers, LIST),
            answer("304 Not Modified", &[], b""),
        ])
        .await;
        let (octets, validators) = body(&request(&server.url("/list"))).await;
        assert_eq!(octets, LIST);
        assert_eq!(validators.etag.as_deref(), Some("\"v1\""));
        let again = FetchRequest { validators, ..request(&server.url("/list")) };
        assert!(matches!(fetch(&again).await, Ok(FetchOutcome::Unchanged)));
        let [first, second] = server.requests().try_into().unwrap();
        assert!(first.contains(concat!("user-agent: sekisho/", env!("CARGO_PKG_VERSION"))));
        assert!(!first.contains("if-"), "{first}");
        assert!(second.contains("if-none-match: \"v1\""), "{second}");
        assert!(second.contains("if-modified-since: sat, 22 aug 2026 17:30:08 gmt"), "{second}");
    }

    #[tokio::test]
    async fn unchanged_without_having_asked_is_an_error() {
        let server = Server::start(vec![answer("304 Not Modified", &[], b"")]).await;
        let error = fetch(&request(&server.url("/"))).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { status: 304, .. }));
    }

    #[tokio::test]
    async fn faults_of_the_moment_are_tried_again() {
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nbad.exa".to_vec();
        let server = Server::start(vec![
            answer("503 Service Unavailable", &[], b""),
            Reply::Octets(cut),
            answer("200 OK", &[], LIST),
        ])
        .await;
        assert_eq!(body(&request(&server.url("/"))).await.0, LIST);
        assert_eq!(server.requests().len(), 3);
    }

    #[tokio::test]
    async fn a_body_that_is_always_cut_short_is_an_error_after_the_last_attempt() {
        let cut =
            || Reply::Octets(b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nbad.exa".to_vec());
        let server = Server::start(vec![cut(), cut(), cut(), cut()]).await;
        let error = fetch(&request(&server.url("/"))).await.unwrap_err();
        assert!(matches!(error, FetchError::Transport { .. }), "{error}");
        assert_eq!(server.requests().len(), 3);
    }

    #[tokio::test]
    async fn what_the_server_says_for_certain_is_not_asked_again() {
        for (status, hint) in [
            ("404 Not Found", "may have moved or been retired"),
            ("403 Forbidden", "may need a key"),
            ("204 No Content", "204"),
        ] {
            let server = Server::start(vec![answer(status, &[], b""), answer("200 OK", &[], LIST)]);
            let server = server.await;
            let error = fetch(&request(&server.url("/"))).await.unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
            assert_eq!(server.requests().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_server_that_names_a_time_is_left_alone_until_then() {
        let date = "Date: Sat, 22 Aug 2026 17:30:00 GMT";
        for (headers, seconds) in [
            (vec!["Retry-After: 120"], Some(120)),
            (vec![date, "Retry-After: Sat, 22 Aug 2026 17:31:00 GMT"], Some(60)),
            (vec![date, "Retry-After: Sat, 22 Aug 2026 17:00:00 GMT"], Some(0)),
            (vec!["Retry-After: Sat, 22 Aug 2026 17:00:00 GMT"], None),
            (vec!["Retry-After: soon"], None),
        ] {
            let server = Server::start(vec![answer("429 Too Many Requests", &headers, b"")]).await;
            let error = fetch(&request(&server.url("/"))).await.unwrap_err();
            assert_eq!(error.retry_after_seconds(), seconds, "{headers:?}");
            assert_eq!(server.requests().len(), 1);
        }
        let busy = || answer("503 Service Unavailable", &["Retry-After: 9"], b"");
        let server = Server::start(vec![busy(), busy()]).await;
        let error = fetch(&request(&server.url("/"))).await.unwrap_err();
        assert_eq!((error.retry_after_seconds(), server.requests().len()), (Some(9), 1));
    }

    #[tokio::test]
    async fn an_endless_body_ends_at_the_limit() {
        let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        let server = Server::start(vec![Reply::Endless(head, b'x')]).await;
        let error = fetch(&request(&server.url("/"))).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { octets_max: 0x10_0000, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_body_announced_as_too_large_is_not_read() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n".to_vec();
        let server = Server::start(vec![Reply::Stall(head)]).await;
        let error = fetch(&request(&server.url("/"))).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_silent_server_is_left() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nbad.exa".to_vec();
        for reply in [Reply::Stall(Vec::new()), Reply::Stall(head)] {
            let server = Server::start(vec![reply]).await;
            let limits = FetchLimits {
                idle_time_max: Duration::from_millis(20),
                attempts_max: 1,
                ..FetchLimits::default()
            };
            let request = FetchRequest { limits, ..request(&server.url("/")) };
            let error = fetch(&request).await.unwrap_err();
            assert!(error.to_string().ends_with("sent nothing for 20ms"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_time_for_all_attempts_is_bounded() {
        let server = Server::start(vec![Reply::Stall(Vec::new())]).await;
        let limits = FetchLimits { time_max: Duration::from_millis(20), ..FetchLimits::default() };
        let request = FetchRequest { limits, ..request(&server.url("/")) };
        let error = fetch(&request).await.unwrap_err();
        assert!(error.to_string().ends_with("was not fetched within 20ms"), "{error}");
    }

    #[tokio::test]
    async fn redirects_are_followed_up_to_five_times() {
        let hop = || answer("302 Found", &["Location: /next"], b"");
        let server =
            Server::start((0..5).map(|_| hop()).chain([answer("200 OK", &[], LIST)]).collect());
        assert_eq!(body(&request(&server.await.url("/"))).await.0, LIST);
        let server = Server::start((0..7).map(|_| hop()).collect()).await;
        let error = fetch(&request(&server.url("/"))).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Redirect { refusal: RedirectRefusal::TooMany(5), .. }),
            "{error}"
        );
        assert_eq!(server.requests().len(), 6);
    }

    /// A server with its own certificate, and a client that trusts it.
    async fn tls_server(
        replies: Vec<Reply>,
        directory: &tempfile::TempDir,
    ) -> (Server, HttpClient) {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let certificate = certified.cert.der().clone();
        let key =
            rustls_pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = HttpClient::new(HttpConfig { roots, ..config(directory) }).unwrap();
        (Server::start_with(replies, Some(Arc::new(tls).into())).await, client)
    }

    #[tokio::test]
    async fn https_is_never_left_for_http() {
        let directory = tempfile::tempdir().unwrap();
        let plain = Server::start(vec![answer("200 OK", &[], LIST)]).await;
        let location = format!("Location: {}", plain.url("/list"));
        let (server, client) =
            tls_server(vec![answer("301 Moved", &[&location], b"")], &directory).await;
        let url = format!("https://localhost:{}/list", server.address.port());
        let error = fetch_with(&client, &request(&url)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{url} redirects from https to an unprotected address")
        );
        assert!(plain.requests().is_empty());
    }

    #[tokio::test]
    async fn http_may_lead_to_https() {
        let directory = tempfile::tempdir().unwrap();
        let (server, client) = tls_server(vec![answer("200 OK", &[], LIST)], &directory).await;
        let location = format!("Location: https://localhost:{}/list", server.address.port());
        let plain = Server::start(vec![answer("301 Moved", &[&location], b"")]).await;
        let outcome = fetch_with(&client, &request(&plain.url("/"))).await.unwrap();
        assert!(matches!(outcome, FetchOutcome::Fetched(Fetched { octets: 26, .. })));
    }

    #[tokio::test]
    async fn a_certificate_that_no_one_vouches_for_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let (server, _) = tls_server(vec![answer("200 OK", &[], LIST)], &directory).await;
        let url = format!("https://localhost:{}/list?key=secret", server.address.port());
        let error = fetch(&request(&url)).await.unwrap_err().to_string();
        assert!(error.contains("UnknownIssuer") || error.contains("certificate"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_spool_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let client = client(&directory);
        directory.close().unwrap();
        let server = Server::start(vec![answer("200 OK", &[], LIST)]).await;
        let error = fetch_with(&client, &request(&server.url("/"))).await.unwrap_err();
        assert!(matches!(error, FetchError::Spool(_)), "{error}");
    }
}
