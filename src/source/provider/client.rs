//! The one place that talks to services: bounded in octets and seconds, and nowhere but where it was
//! told to go.

use std::error::Error as _;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect;
use rustls::RootCertStore;
use tokio::time::timeout;

use super::error::ProviderError;
use super::settings::{ApiKey, Provider};
use super::{KeyPlace, Method, Reply, Request, Signs, percent};
use crate::model::lookup::text::harmless;
use crate::source::decompress::{self, DecompressError, DecompressLimits};

/// The longest body as transferred: the largest answers, rankings of all AS, have some 300 kB.
pub const BODY_OCTETS_MAX: u64 = 8 << 20;
/// The longest body once unpacked.
pub const UNPACKED_OCTETS_MAX: u64 = 32 << 20;
/// How long an answer may take in all. The slowest question (checks of a whole set-up) takes some
/// twenty seconds.
pub const TIME_MAX: Duration = Duration::from_secs(45);
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Redirects within one host, such as to a path with a slash.
const REDIRECTS_MAX: usize = 3;
/// The longest header that is looked at.
const HEADER_OCTETS_MAX: usize = 512;

/// What a client may do.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Who may vouch for servers.
    pub roots: RootCertStore,
    /// How long an answer may take in all.
    pub time_max: Duration,
}

impl Default for ClientSettings {
    /// Mozilla's roots and [`TIME_MAX`].
    fn default() -> Self {
        Self { roots: webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(), time_max: TIME_MAX }
    }
}

/// Asks services.
#[derive(Debug, Clone)]
pub struct Client {
    client: reqwest::Client,
    time_max: Duration,
}

/// A reply with the hash of its body as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What came.
    pub reply: Reply,
    /// SHA-256 of the body as transferred, in hexadecimal digits.
    pub body_sha256: String,
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("redirects to {0}")]
struct Elsewhere(String);

impl Client {
    /// A client with its own TLS set-up.
    pub fn new(settings: ClientSettings) -> Result<Self, crate::source::fetch::HttpError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(settings.roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            // VirusTotal packs answers for those only whose name has this word in it.
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION"), " (gzip)"))
            .redirect(redirect::Policy::custom(follow))
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_MAX)
            .build()?;
        Ok(Self { client, time_max: settings.time_max })
    }

    /// Puts a request to a service.
    pub async fn ask(
        &self,
        provider: &Provider,
        key: Option<&ApiKey>,
        request: &Request,
    ) -> Result<Received, ProviderError> {
        let asked = self.prepared(provider, key, request)?;
        match timeout(self.time_max, exchange(asked)).await {
            Ok(received) => received,
            Err(_) => Err(ProviderError::TooSlow { seconds: self.time_max.as_secs().max(1) }),
        }
    }

    fn prepared(
        &self,
        provider: &Provider,
        key: Option<&ApiKey>,
        request: &Request,
    ) -> Result<reqwest::RequestBuilder, ProviderError> {
        let base = match request.from_host {
            true => host_of(&provider.base),
            false => provider.base.trim_end_matches('/'),
        };
        let mut url = format!("{base}{}", request.path);
        if let (KeyPlace::Query(name), Some(key)) = (request.key, key) {
            url.push_str(if url.contains('?') { "&" } else { "?" });
            url.push_str(&format!("{name}={}", percent(key.reveal())));
        }
        let mut asked = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
        };
        asked = asked.header(ACCEPT, "application/json").header(ACCEPT_ENCODING, "gzip");
        if let (KeyPlace::Header(name), Some(key)) = (request.key, key) {
            let mut value = HeaderValue::from_str(key.reveal())
                .map_err(|_| ProviderError::KeyRefused { says: "no header value".to_owned() })?;
            value.set_sensitive(true);
            asked = asked.header(name, value);
        }
        if let Some((kind, body)) = &request.body {
            asked = asked.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        Ok(asked)
    }
}

async fn exchange(asked: reqwest::RequestBuilder) -> Result<Received, ProviderError> {
    let mut response = asked.send().await.map_err(transport)?;
    let too_large = || ProviderError::TooLarge { octets_max: BODY_OCTETS_MAX };
    if response.content_length().is_some_and(|octets| octets > BODY_OCTETS_MAX) {
        return Err(too_large());
    }
    let (status, signs) = (response.status().as_u16(), signs(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if (body.len() + chunk.len()) as u64 > BODY_OCTETS_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, &body);
    let body_sha256 = data_encoding::HEXLOWER.encode(digest.as_ref());
    let body = unpacked(body)?;
    Ok(Received { reply: Reply { status, signs, body }, body_sha256 })
}

/// The body without its packing, which is recognised and not believed: errors have been seen that
/// call themselves packed and are not.
fn unpacked(body: Vec<u8>) -> Result<Vec<u8>, ProviderError> {
    let limits =
        DecompressLimits { octets_max: UNPACKED_OCTETS_MAX, ..DecompressLimits::default() };
    let read = decompress::read(Cursor::new(body), None, &limits, |text| {
        let mut out = Vec::new();
        text.read_to_end(&mut out).map(|_| out)
    });
    let failed = |error: &DecompressError| match error {
        DecompressError::TooLarge(_) => ProviderError::TooLarge { octets_max: UNPACKED_OCTETS_MAX },
        error => ProviderError::Packed { what: harmless(&error.to_string(), 200) },
    };
    match read {
        Ok(Ok(body)) => Ok(body),
        Err(error) => Err(failed(&error)),
        Ok(Err(error)) => Err(match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => failed(inner),
            None => ProviderError::Packed { what: harmless(&error.to_string(), 200) },
        }),
    }
}

/// Stays with scheme, host and port, so that a key goes nowhere else.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let origin = |url: &reqwest::Url| {
        (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
    };
    let same =
        attempt.previous().first().is_some_and(|asked| origin(asked) == origin(attempt.url()));
    if !same || attempt.previous().len() > REDIRECTS_MAX {
        let host = attempt.url().host_str().unwrap_or("nowhere");
        let host = harmless(host, 200);
        return attempt.error(Elsewhere(host));
    }
    attempt.follow()
}

/// What went wrong with a connection, without the URL, which may hold a key.
fn transport(error: reqwest::Error) -> ProviderError {
    let error = error.without_url();
    let causes = || std::iter::successors(error.source(), |cause| (*cause).source());
    if let Some(Elsewhere(host)) = causes().find_map(|cause| cause.downcast_ref()) {
        return ProviderError::Redirect { host: host.clone() };
    }
    // The innermost cause says most.
    let reason = match causes().last() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    ProviderError::Transport { reason: harmless(&reason, 300) }
}

/// Scheme, host and port of a base URL.
fn host_of(base: &str) -> &str {
    let after = base.find("://").map_or(0, |at| at + 3);
    let end = base[after..].find('/').map_or(base.len(), |at| after + at);
    &base[..end]
}

fn signs(headers: &HeaderMap) -> Signs {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= HEADER_OCTETS_MAX).then(|| value.trim().to_owned())
    };
    Signs {
        retry_after_seconds: crate::source::fetch::retry_after_seconds(headers)
            .filter(|_| headers.contains_key(RETRY_AFTER)),
        service_quota: text("x-service-quota"),
        rate_remaining: text("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_base_url_is_without_its_path() {
        assert_eq!(host_of("https://a.example/api/v3"), "https://a.example");
        assert_eq!(host_of("http://127.0.0.1:80"), "http://127.0.0.1:80");
    }

    #[test]
    fn what_only_calls_itself_packed_is_taken_as_it_is() {
        assert_eq!(unpacked(b"{}".to_vec()).unwrap(), b"{}");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, b"{\"a\": 1}").unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(unpacked(packed.clone()).unwrap(), b"{\"a\": 1}");
        let error = unpacked(packed[..packed.len() - 9].to_vec()).unwrap_err();
        assert_eq!(error.class(), "packed", "{error}");
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![b' '; 1 << 20];
        (0..40).for_each(|_| std::io::Write::write_all(&mut packed, &zeros).unwrap());
        let error = unpacked(packed.finish().unwrap()).unwrap_err();
        assert!(matches!(error.class(), "too-large" | "packed"), "{error}");
    }
}
