//! Signs in the traffic of groups, and who does not want to see which.

use serde::{Deserialize, Serialize};

use crate::ports::ledger::Sign;

/// A sign, and until when it is muted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignSays {
    /// The sign.
    #[serde(flatten)]
    pub sign: Sign,
    /// Until when nobody wants to see it, in seconds since 1970.
    pub muted_until: Option<u32>,
}

/// A wish not to be shown signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteQuestion {
    /// The domain, with all below it; `.` for bursts of names of many domains.
    pub subject: String,
    /// `tunnel`, `dga` or `beacon`; all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The group; all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// For how long, in seconds; 0 ends mutes of the subject.
    pub seconds: u32,
    /// Who wants it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
