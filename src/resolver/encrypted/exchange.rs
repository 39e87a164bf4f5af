//! What DNS over HTTPS is, whatever HTTP it is on (RFC 8484).

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::super::handler::{Client, Handler};
use super::super::message::{QUERY_OCTETS_MAX, ttl_min};
use crate::telemetry::Shard;

/// Where questions are put; what everyone uses.
pub const PATH: &str = "/dns-query";
const MEDIA_TYPE: &str = "application/dns-message";

/// Answers requests.
#[derive(Clone)]
pub(super) struct Exchange {
    pub handler: Arc<Handler>,
    pub shard: Arc<Shard>,
}

/// Where a request has its message.
pub(super) enum Source {
    /// In the URI.
    Message(Vec<u8>),
    /// In the body, of at most [`QUERY_OCTETS_MAX`].
    Body,
}

impl Exchange {
    /// Finds the message of a request.
    pub fn source(&self, request: &Parts) -> Result<Source, Response<()>> {
        if request.uri.path() != PATH {
            return Err(refused(StatusCode::NOT_FOUND));
        }
        match request.method {
            Method::GET => {
                let query = request.uri.query().unwrap_or_default();
                let encoded = query.split('&').find_map(|pair| pair.strip_prefix("dns="));
                encoded
                    // Four characters carry three octets.
                    .filter(|encoded| encoded.len() <= QUERY_OCTETS_MAX.div_ceil(3) * 4)
                    .and_then(|encoded| BASE64URL_NOPAD.decode(encoded.as_bytes()).ok())
                    .map(Source::Message)
                    .ok_or_else(|| refused(StatusCode::BAD_REQUEST))
            }
            Method::POST => match request.headers.get(CONTENT_TYPE) {
                Some(kind) if kind == MEDIA_TYPE => Ok(Source::Body),
                _ => Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            },
            _ => {
                let mut response = refused(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
                Err(response)
            }
        }
    }

    /// Answers a message. Every DNS answer is a success of HTTP (RFC 8484 section 4.2.1); none is
    /// silence.
    pub async fn answer(&self, message: &[u8], client: Client) -> Option<Response<Bytes>> {
        let answer = self.handler.answer(message, client, &self.shard).await?;
        let age = format!("max-age={}", ttl_min(&answer).unwrap_or_default());
        let mut response = Response::new(Bytes::from(answer));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        // RFC 8484 section 5.1: no longer than the records.
        headers.insert(CACHE_CONTROL, HeaderValue::try_from(age).ok()?);
        Some(response)
    }
}

/// A response without content.
pub(super) fn refused(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}
