//! What can go wrong with a request, and whether to try again.

use std::error::Error;

use ::http::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect;
use tokio::time::timeout;

use crate::ports::{FetchError, FetchRequest, RedirectRefusal};

/// Redirects that are followed: mirrors and release pages need two or three.
const REDIRECTS_MAX: usize = 5;

/// Waits for a step of a connection, and names what went wrong with it.
pub(super) struct Idle<'a> {
    pub(super) request: &'a FetchRequest,
}

impl Idle<'_> {
    pub(super) async fn watch<T>(
        &self,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, FetchError> {
        let time_max = self.request.limits.idle_time_max;
        let location = self.request.location.clone();
        match timeout(time_max, step).await {
            Err(_) => Err(FetchError::Idle { location, time_max }),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(match refusal(&error) {
                Some(refusal) => FetchError::Redirect { location, refusal },
                None => FetchError::Transport { location, reason: reason(error) },
            }),
        }
    }
}

/// What an error of the client says, from the outside in, without the URL and a key in it.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let sources = causes(&error).map(|cause| cause.to_string());
    [error.to_string()].into_iter().chain(sources).collect::<Vec<_>>().join(": ")
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// The refusal of [`follow`], if that is what an error is about.
fn refusal(error: &reqwest::Error) -> Option<RedirectRefusal> {
    causes(error).find_map(|cause| cause.downcast_ref()).copied()
}

/// `https` leads to `https`; `http` may lead to either.
pub(super) fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
    if from_https && attempt.url().scheme() != "https" {
        return attempt.error(RedirectRefusal::Downgrade);
    }
    // The first of the previous URLs is the one that was asked for.
    match attempt.previous().len() > REDIRECTS_MAX {
        true => attempt.error(RedirectRefusal::TooMany(REDIRECTS_MAX)),
        false => attempt.follow(),
    }
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3). A date counts from the server's own `Date`,
/// so that no clock is needed and a wrong one does no harm.
pub(in crate::source) fn retry_after_seconds(headers: &HeaderMap) -> Option<u32> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let retry_after = text(RETRY_AFTER)?;
    if let Ok(seconds) = retry_after.parse() {
        return Some(seconds);
    }
    let date = |text: &str| Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second());
    let wait = date(retry_after)? - date(text(DATE)?)?;
    u32::try_from(wait.max(0)).ok()
}

/// Whether another attempt may well succeed. A server that names a time to wait is left alone until
/// then.
pub(super) fn is_momentary(error: &FetchError) -> bool {
    match error {
        FetchError::Transport { .. } | FetchError::Idle { .. } => true,
        FetchError::Status { status, retry_after_seconds: None, .. } => {
            matches!(status, 408 | 500 | 502 | 503 | 504)
        }
        _ => false,
    }
}
