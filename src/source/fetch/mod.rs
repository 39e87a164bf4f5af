//! The octets of a feed, from the network or the disk.
//!
//! A body is streamed into a file without a name in the spool directory, within limits on octets,
//! on the time without an octet and on the time altogether. Faults of the moment are tried again
//! with back-off and jitter; what the server says for certain is not. `https` is never left for
//! `http`.

mod fault;
mod file;
mod http;
#[cfg(test)]
pub(crate) mod loopback;

use async_trait::async_trait;

use crate::ports::{Fetch, FetchError, FetchOutcome, FetchRequest, Location};

pub(super) use fault::retry_after_seconds;
pub use http::{HttpClient, HttpConfig, HttpError};

/// Fetches from wherever a source is.
pub struct Fetcher {
    http: HttpClient,
}

impl Fetcher {
    /// A fetcher that asks servers through `http`.
    pub fn new(http: HttpClient) -> Self {
        Self { http }
    }
}

#[async_trait]
impl Fetch for Fetcher {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchOutcome, FetchError> {
        match &request.location {
            Location::Http(uri) => self.http.fetch(uri, request).await,
            Location::File(path) => file::fetch(path, request).await,
        }
    }
}
