//! How the daemon answers people and machines: HTTP on a unix socket, and on a loopback port where
//! the operator asks for one.
//!
//! The unix socket is for the machine's administrators (its directory's permissions decide) and
//! takes commands; the port gives `/health` and `/metrics` only. What the answers hold comes from
//! an [`Answers`], which the daemon implements.

pub mod client;
pub mod learning;
pub mod reviews;
pub mod routes;
pub mod signs;

pub use client::{Client, ClientError};
pub use routes::{local, public};

use crate::diagnostic::Diagnostic;
use crate::pdns::question as pdns;
use crate::pipeline::FeedValue;
use crate::pipeline::report::{AsnRanking, AsnSays, FeedSays, Status, VersionSays, Why};
use crate::ports::budget::BudgetSays;

use self::learning::{AppliedSays, LearnSays};
use self::reviews::{DrawQuestion, DrawSays, Noted, SourceReviews, Word};
use self::signs::{MuteQuestion, SignSays};

/// What somebody asks about.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct WhyQuestion {
    /// A name, address, prefix or AS number.
    pub indicator: String,
    /// The client whose groups count; none means a client in no group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<std::net::IpAddr>,
    /// The query type by name, `A` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// How the client asks: `udp`, which is usual, or `tcp`, as which encrypted transports count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Whether the client sets DO.
    #[serde(default)]
    pub dnssec_ok: bool,
    /// Whether the client leaves RD out.
    #[serde(default)]
    pub no_recursion: bool,
    /// Whether the name is resolved where rules depend on its answer.
    #[serde(default)]
    pub resolve: bool,
}

/// Which AS somebody wants to see.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AsnRankQuestion {
    /// By IPv6 instead of IPv4.
    pub v6: bool,
    /// In CIRCL's definition instead of ours.
    pub circl: bool,
    /// Days of history beside each.
    pub days: usize,
    /// How many.
    pub count: usize,
}

/// An AS somebody asks about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AsnQuestion {
    /// The AS.
    pub system: u32,
    /// Days of history.
    pub days: usize,
}

/// What somebody wants done with a zone that leaves by transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneOrder {
    /// Give everybody what canaries have.
    Promote,
    /// Publish the content of an earlier version again.
    RollBack {
        /// That version.
        serial: u32,
    },
    /// Follow what is in force again.
    Resume,
}

/// What somebody wants investigated.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InvestigateQuestion {
    /// A domain, address, prefix, AS or URL.
    pub target: String,
    /// How long each service may wait for its quota of a minute.
    #[serde(default)]
    pub wait_seconds: u32,
    /// Services to ask, with commas between; all where it is empty.
    #[serde(default)]
    pub services: String,
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
    /// The versions of a zone that are kept for secondaries, newest first.
    fn zone_history(&self, zone: &str) -> Result<Vec<VersionSays>, Diagnostic>;
    /// Has something done with a zone that leaves by transfer; says what became of it.
    async fn order_zone(&self, zone: &str, order: ZoneOrder) -> Result<String, Diagnostic>;
    /// What was seen of a name or address.
    fn pdns(&self, question: pdns::Question) -> Result<pdns::Answer, Diagnostic>;
    /// What every source is worth.
    async fn feed_values(&self) -> Result<Vec<FeedValue>, Diagnostic>;
    /// What reviews and reports say of every scored source.
    async fn reviews(&self) -> Result<Vec<SourceReviews>, Diagnostic>;
    /// Something to review.
    async fn draw(&self, question: DrawQuestion) -> Result<DrawSays, Diagnostic>;
    /// Notes a reviewer's answer.
    async fn audit(&self, word: Word) -> Result<Noted, Diagnostic>;
    /// Notes what somebody says about an answer they got.
    async fn report(&self, word: Word) -> Result<Noted, Diagnostic>;
    /// Signs in what groups ask, the latest first.
    async fn signs(&self) -> Result<Vec<SignSays>, Diagnostic>;
    /// Mutes signs, or ends mutes. How many were ended.
    async fn mute(&self, question: MuteQuestion) -> Result<usize, Diagnostic>;
    /// What would be changed of the model of scores.
    async fn learn(&self) -> Result<LearnSays, Diagnostic>;
    /// Puts reviewed changes in force.
    async fn apply(&self, changes: String) -> Result<AppliedSays, Diagnostic>;
    /// Goes back to the model that ships.
    async fn apply_shipped(&self) -> Result<(), Diagnostic>;
    /// Has the model of names trained anew; `status` tells when that is done.
    fn train(&self) -> Result<(), Diagnostic>;
    /// Every source and its state.
    fn feeds(&self) -> Vec<FeedSays>;
    /// The worst AS.
    fn asn_ranking(&self, question: AsnRankQuestion) -> AsnRanking;
    /// Everything known of one AS.
    fn asn(&self, question: AsnQuestion) -> AsnSays;
    /// Why an indicator is answered as it is.
    async fn why(&self, question: WhyQuestion) -> Result<Why, Diagnostic>;
    /// Reads policies and zones again, as an edit does.
    async fn reload(&self) -> Reloaded;
    /// Forgets what is known of a name, or of it and all names below.
    fn flush(&self, name: &str, below: bool) -> Result<(), Diagnostic>;
    /// Makes a source due at once; all of them where none is named.
    async fn refresh(&self, source: Option<String>) -> Result<usize, Diagnostic>;
    /// Investigates an indicator. Lines of JSON say how it goes; the last one has the dossier.
    async fn investigate(
        &self,
        question: InvestigateQuestion,
    ) -> Result<tokio::sync::mpsc::Receiver<String>, Diagnostic>;
    /// How look-ups stand.
    async fn budget(&self) -> BudgetSays;
    /// Puts in force what the contract of a source puts aside.
    async fn accept(&self, source: String) -> Result<usize, Diagnostic>;
}
