//! Getting the octets of a feed: from the network, from the disk, or from a script in tests.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

/// Gets the octets of a feed. The real one asks the network or the disk; tests script it.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Gets what is at the location, unless it is what the validators describe.
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchOutcome, FetchError>;
}

/// What to get and how far to go for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Where it is.
    pub location: Location,
    /// What came with the last good copy.
    pub validators: Validators,
    /// What the fetch will not go beyond.
    pub limits: FetchLimits,
    /// What is taken for an answer (RFC 9110 section 12.5.1); anything where absent.
    pub accept: Option<&'static str>,
    /// Chooses the jitter between attempts.
    pub seed: u64,
}

/// Where a feed is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// An `https` or `http` URL.
    Http(http::Uri),
    /// A file by its absolute path.
    File(PathBuf),
}

/// Why a text is not a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Not a URL of one of the three schemes.
    #[error("not an https://, http:// or file:/// URL, nor an absolute path")]
    Scheme,
    /// A character or a form that URLs do not have.
    #[error("not a valid URL")]
    Malformed,
}

impl Location {
    /// Reads `https://host/path`, `http://host/path`, `file:///path` or `/path`.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("file://").or(text.starts_with('/').then_some(text)) {
            return match path.starts_with('/') {
                true => Ok(Self::File(PathBuf::from(path))),
                false => Err(LocationError::Scheme),
            };
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("https" | "http")) {
            return Err(LocationError::Scheme);
        }
        let uri: http::Uri = text.parse().map_err(|_| LocationError::Malformed)?;
        match uri.host().is_some_and(|host| !host.is_empty()) {
            true => Ok(Self::Http(uri)),
            false => Err(LocationError::Malformed),
        }
    }
}

/// Without user information and query, which may hold a key.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Http(uri) => {
                let authority = uri.authority().map_or("", |authority| authority.as_str());
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                write!(f, "{}://{host}{}", uri.scheme_str().unwrap_or("http"), uri.path())
            }
        }
    }
}

/// As [`Display`](fmt::Display), so that no key ends up in a log.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What tells one version of a feed from another (RFC 9110 section 8.8). A file's version is its
/// size and time of change, kept as `etag`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Validators {
    /// `ETag`, as the server wrote it.
    pub etag: Option<String>,
    /// `Last-Modified`, as the server wrote it.
    pub last_modified: Option<String>,
}

/// What a fetch will not go beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// Octets of the body as transferred.
    pub octets_max: u64,
    /// Time for all attempts together.
    pub time_max: Duration,
    /// Time without a single octet.
    pub idle_time_max: Duration,
    /// Attempts, the first included.
    pub attempts_max: u32,
}

impl Default for FetchLimits {
    /// The largest public lists have 50 MB. Ten minutes carry that over 1 Mbit/s; thirty seconds
    /// without an octet is a connection that died.
    fn default() -> Self {
        Self {
            octets_max: 256 * 1024 * 1024,
            time_max: Duration::from_secs(600),
            idle_time_max: Duration::from_secs(30),
            attempts_max: 3,
        }
    }
}

/// What a fetch brought.
#[derive(Debug)]
pub enum FetchOutcome {
    /// The last good copy is still what is there.
    Unchanged,
    /// Something else is there.
    Fetched(Fetched),
}

/// A whole body.
#[derive(Debug)]
pub struct Fetched {
    /// The octets, at the first of them. A body from the network is in a file without a name that
    /// goes with its handle.
    pub body: File,
    /// How many octets there are.
    pub octets: u64,
    /// To ask with the next time, once the body has been accepted.
    pub validators: Validators,
}

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server could not be reached or the connection broke, more often than allowed.
    #[error("{location} could not be fetched: {reason}")]
    Transport {
        /// Where.
        location: Location,
        /// What the connection said, from the outside in.
        reason: String,
    },
    /// The server answered that it will not give it.
    #[error("{location} answered {status}{}", status_hint(*status))]
    Status {
        /// Where.
        location: Location,
        /// The status code.
        status: u16,
        /// How long the server asks to be left alone.
        retry_after_seconds: Option<u32>,
    },
    /// The body is larger than allowed.
    #[error("{location} is larger than {octets_max} octets")]
    TooLarge {
        /// Where.
        location: Location,
        /// The limit.
        octets_max: u64,
    },
    /// Nothing came for too long.
    #[error("{location} sent nothing for {time_max:?}")]
    Idle {
        /// Where.
        location: Location,
        /// The limit.
        time_max: Duration,
    },
    /// It took too long altogether.
    #[error("{location} was not fetched within {time_max:?}")]
    TooSlow {
        /// Where.
        location: Location,
        /// The limit.
        time_max: Duration,
    },
    /// The server redirected to where no one may be sent.
    #[error("{location} {refusal}")]
    Redirect {
        /// Where.
        location: Location,
        /// Why that is not followed.
        refusal: RedirectRefusal,
    },
    /// The file cannot be read.
    #[error("{location} cannot be read: {source}")]
    File {
        /// Where.
        location: Location,
        /// Why.
        source: std::io::Error,
    },
    /// The body could not be kept.
    #[error("the download cannot be kept in the spool directory: {0}")]
    Spool(std::io::Error),
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectRefusal {
    /// From `https` to anything else: whoever sits on the way could then write the list.
    #[error("redirects from https to an unprotected address")]
    Downgrade,
    /// More than anyone needs.
    #[error("redirects more than {0} times")]
    TooMany(usize),
}

impl FetchError {
    /// How long the server asks to be left alone, in seconds.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Status { retry_after_seconds, .. } => *retry_after_seconds,
            _ => None,
        }
    }
}

/// What a status means for a person who wonders about a feed.
fn status_hint(status: u16) -> &'static str {
    match status {
        401 | 403 => " (forbidden: it may need a key, or refuse this address)",
        404 | 410 => " (not found: the feed may have moved or been retired)",
        429 | 509 => " (too many requests: fetch it less often)",
        500..=599 => " (the server has a fault)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_urls_of_three_schemes_or_absolute_paths() {
        for (text, shown) in [
            ("https://a.example/list.txt", "https://a.example/list.txt"),
            ("HTTP://a.example", "http://a.example/"),
            ("file:///etc/list", "/etc/list"),
            ("/etc/list", "/etc/list"),
        ] {
            assert_eq!(Location::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["ftp://a.example/", "list.txt", "file://list", "https:///x", "https://a b/", ""]
        {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_in_a_url_are_not_shown() {
        let location = Location::parse("https://me:secret@a.example/x.csv?auth-key=KEY").unwrap();
        assert_eq!(format!("{location} {location:?}"), ["https://a.example/x.csv"; 2].join(" "));
    }
}
