//! Why a service gave no facts.

use crate::model::Timestamp;
use crate::model::lookup::text::harmless;

/// What a service says in an error is shown, as far as it fits.
const SAYS_OCTETS_MAX: usize = 200;

/// Which quota ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// That of a minute or less.
    Minute,
    /// That of a day.
    Day,
    /// Credits, or that of a month.
    Month,
    /// The service does not say.
    Unknown,
}

impl Window {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Month => "month or credits",
            Self::Unknown => "minute, day or month",
        }
    }
}

/// Why a service gave no facts. What services say is in it, made harmless; a key never is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The service does not know the target.
    #[error("not known there")]
    NotFound,
    /// The service has nothing for that day, which says neither good nor bad.
    #[error("no data for that day")]
    NoData,
    /// An analysis is not over yet.
    #[error("the analysis is not over yet")]
    NotYet,
    /// The service wants a key and got none.
    #[error("a key is needed ({says})")]
    KeyMissing {
        /// The service's words.
        says: String,
    },
    /// The service does not take the key.
    #[error("the key is refused ({says})")]
    KeyRefused {
        /// The service's words.
        says: String,
    },
    /// The plan does not have it.
    #[error("a paid plan is needed ({says})")]
    PaidPlan {
        /// The service's words.
        says: String,
    },
    /// Asked too much.
    #[error("the quota of the {} is used up ({says})", window.as_str())]
    Quota {
        /// Which quota.
        window: Window,
        /// How long the service asks to be left alone.
        retry_after_seconds: Option<u32>,
        /// When there is a new quota, where that is told.
        until: Option<Timestamp>,
        /// The service's words.
        says: String,
    },
    /// The service does not understand the question.
    #[error("the question is refused ({says})")]
    Refused {
        /// The service's words.
        says: String,
    },
    /// The service has a fault.
    #[error("the service has a fault (HTTP status {status}{})", in_words(says))]
    Server {
        /// The HTTP status.
        status: u16,
        /// The service's words.
        says: String,
    },
    /// The answer is not what it should be.
    #[error("the answer cannot be read: {what}")]
    Malformed {
        /// Where, and what is there.
        what: String,
    },
    /// The answer is larger than any sound one.
    #[error("the answer is larger than {octets_max} octets")]
    TooLarge {
        /// The limit.
        octets_max: u64,
    },
    /// The answer is packed in a way that cannot be undone.
    #[error("the answer cannot be unpacked: {what}")]
    Packed {
        /// What the decoder said.
        what: String,
    },
    /// The service leads elsewhere.
    #[error("the service redirects to another host ({host}), which is not followed")]
    Redirect {
        /// Where to.
        host: String,
    },
    /// The service could not be reached or the connection broke.
    #[error("the service cannot be reached: {reason}")]
    Transport {
        /// What the connection said.
        reason: String,
    },
    /// No whole answer in time.
    #[error("no answer within {seconds} s")]
    TooSlow {
        /// The limit.
        seconds: u64,
    },
}

impl ProviderError {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: harmless(&what.into(), SAYS_OCTETS_MAX) }
    }

    /// A word for the class, for metrics and machines.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::NoData => "no-data",
            Self::NotYet => "not-yet",
            Self::KeyMissing { .. } => "key-missing",
            Self::KeyRefused { .. } => "key-refused",
            Self::PaidPlan { .. } => "paid-plan",
            Self::Quota { .. } => "quota",
            Self::Refused { .. } => "refused",
            Self::Server { .. } => "server",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too-large",
            Self::Packed { .. } => "packed",
            Self::Redirect { .. } => "redirect",
            Self::Transport { .. } => "transport",
            Self::TooSlow { .. } => "too-slow",
        }
    }

    /// Whether the service as a whole is out of order, so that it is no use to ask on.
    pub const fn degrades(&self) -> bool {
        !matches!(
            self,
            Self::NotFound
                | Self::NoData
                | Self::NotYet
                | Self::PaidPlan { .. }
                | Self::Refused { .. }
        )
    }
}

/// The words of a service, as far as they are shown.
pub(super) fn says(text: &str) -> String {
    let text = harmless(text, SAYS_OCTETS_MAX).replace('\n', " ");
    if text.is_empty() { "no reason given".to_owned() } else { text }
}

fn in_words(says: &str) -> String {
    if says.is_empty() { String::new() } else { format!(": {says}") }
}
