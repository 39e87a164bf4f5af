//! How the daemon answers people and machines: HTTP on a unix socket, and on a loopback port where
//! the operator asks for one.
//!
//! The unix socket is for the machine's administrators (its directory's permissions decide) and
//! takes commands; the port gives `/health` and `/metrics` only. What the answers hold comes from
//! an [`Answers`], which the daemon implements.

pub mod client;
pub mod routes;

pub use client::{Client, ClientError};
pub use routes::{local, public};

use crate::diagnostic::Diagnostic;
use crate::pipeline::report::{FeedSays, Status, Why};

/// What somebody asks about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WhyQuestion {
    /// A name, address, prefix or AS number.
    pub indicator: String,
    /// The client whose groups count; none means a client in no group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<std::net::IpAddr>,
    /// The query type by name, `A` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
}

/// How a reload went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reloaded {
    /// Whether the files are in force now.
    pub accepted: bool,
    /// What was found in them, as people read it.
    pub findings: Vec<String>,
}

/// What the daemon can say of itself.
#[async_trait::async_trait]
pub trait Answers: Send + Sync + 'static {
    /// Whether the resolver answers under a snapshot, and a word on it.
    fn health(&self) -> Result<String, String>;
    /// Metrics in OpenMetrics text.
    fn metrics(&self) -> String;
    /// How the program is.
    fn status(&self) -> Status;
    /// Every source and its state.
    fn feeds(&self) -> Vec<FeedSays>;
    /// Why an indicator is answered as it is.
    async fn why(&self, question: WhyQuestion) -> Result<Why, Diagnostic>;
    /// Reads policies and zones again, as an edit does.
    async fn reload(&self) -> Reloaded;
    /// Forgets what is known of a name, or of it and all names below.
    fn flush(&self, name: &str, below: bool) -> Result<(), Diagnostic>;
    /// Makes a source due at once; all of them where none is named.
    async fn refresh(&self, source: Option<String>) -> Result<usize, Diagnostic>;
}
