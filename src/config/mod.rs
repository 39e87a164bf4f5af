//! The configuration file, read into plain settings, a structure for each section.
//!
//! What an operator decides about names and clients is policy and has files of its own; here is
//! what the program needs to run: where to listen, whom to ask, where to keep things, and which
//! sources to gather from. [`v1`] reads the file as strictly as a policy: every unknown key and
//! wrong value is a finding with its place, and nothing is accepted that is not built.
//!
//! Nothing here opens a file; paths and addresses are as they were written.

mod cross;
mod key;
pub mod provider;
mod publish;
pub mod resolver;
mod source;
pub mod v1;
pub mod zone;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use cross::check_against;
pub use key::{Secret, TransferKey};
pub use provider::Provider;
pub use publish::{Folder, HttpPublish, Publish, SecondaryServer, Transfer};
pub use resolver::Resolver;
pub use source::Source;
pub use zone::Zone;

pub use crate::resolver::upstream::{
    ServerSettings as UpstreamServer, Transport as UpstreamTransport,
};

use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::model::{Name, Network};
use crate::source::settings::LicenceMode;

/// The configuration that is used where no file is given: it answers this machine on port 5300
/// and keeps its state in `./var`. It is also the example to start from.
pub const DEFAULT: &str = include_str!("default.toml");
/// The name of [`DEFAULT`] in messages.
pub const DEFAULT_FILE: &str = "the built-in configuration";

/// Everything a configuration file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What must survive a restart: archive, ledger, generations.
    pub state_directory: PathBuf,
    /// Where `*.toml` of the policy are.
    pub policies_directory: PathBuf,
    /// What the files of [`Config::zones`] are relative to.
    pub zones_directory: PathBuf,
    /// What the installation is used for.
    pub licence: LicenceMode,
    /// The resolver's own side.
    pub resolver: Resolver,
    /// Where answers come from.
    pub upstream: Upstream,
    /// Validation.
    pub dnssec: Dnssec,
    /// Where the page for redirected clients is served.
    pub page: Page,
    /// How programs and people ask.
    pub api: Api,
    /// Where zones go.
    pub publish: Publish,
    /// What is written to the log.
    pub log: Log,
    /// What is remembered of what was resolved.
    pub pdns: PassiveDns,
    /// Asking registries.
    pub registration: RegistrationLookups,
    /// Prediction from names and their neighbourhood.
    pub prediction: Prediction,
    /// Where claims come from, in the order of the file.
    pub sources: Vec<Source>,
    /// Keys that sign transfers.
    pub keys: Vec<TransferKey>,
    /// Where systemd puts credentials, if it does. It is of the environment and not of the file.
    pub credentials_directory: Option<PathBuf>,
    /// Services that are asked about single indicators, in the order of the file.
    pub providers: Vec<Provider>,
    /// Policy zones, in the order in which they count within their standing.
    pub zones: Vec<Zone>,
}

/// Where answers come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// From the servers of each zone, or from other resolvers.
    pub mode: UpstreamMode,
    /// Addresses of the root servers, for recursion; those of IANA if none are given.
    pub roots: Vec<std::net::IpAddr>,
    /// Zones that are asked elsewhere.
    pub zones: Vec<UpstreamZone>,
    /// Networks whose name servers are asked although they are not public; for recursion.
    pub allow_servers: Vec<Network>,
    /// Whether servers are asked over IPv6, for recursion; none where the host's routes decide.
    pub ipv6: Option<bool>,
    /// Networks that names of others must not lead into, against rebinding.
    pub deny_answers: Vec<Network>,
    /// Networks that they may lead into although `deny_answers` has them.
    pub allow_answers: Vec<Network>,
    /// Names that, with all below, may lead anywhere.
    pub allow_names: Vec<Name>,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamMode {
    /// The servers of each zone, from the root down.
    Recursion,
    /// Other resolvers.
    Forward {
        /// In order of preference, at least one.
        servers: Vec<UpstreamServer>,
        /// Whether their AD bit is believed: only for servers that validate, over a path that
        /// nobody else can write to.
        trust_ad: bool,
    },
}

/// A zone that is asked elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamZone {
    /// The zone.
    pub name: Name,
    /// Whether the servers are authoritative for it (a stub zone) rather than resolvers.
    pub stub: bool,
    /// In order of preference, at least one.
    pub servers: Vec<UpstreamServer>,
}

/// Validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dnssec {
    /// Whether answers are validated.
    pub validate: bool,
    /// Trust anchors of the root as DNSKEY records in master file form; those that IANA publishes
    /// if none are given.
    pub trust_anchors: Option<String>,
}

/// The page for redirected clients. What stands on it is policy (`[notice]`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Addresses for HTTP; none means that no page is served.
    pub listen: Vec<SocketAddr>,
}

/// How programs and people ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The path of the unix socket.
    pub socket: PathBuf,
    /// An address of this machine for HTTP, if any.
    pub http: Option<SocketAddr>,
}

/// What is remembered of what was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveDns {
    /// Whether anything is.
    pub enabled: bool,
    /// Whether signs of tunnels, made-up names and calls home are looked for.
    pub signs: bool,
    /// How much, and for how long.
    pub limits: crate::pdns::Limits,
}

impl Default for PassiveDns {
    /// On; 64 MiB hold some 200,000 names, and 90 days are a season.
    fn default() -> Self {
        let limits =
            crate::pdns::Limits { size_octets_max: 64 << 20, age_seconds_max: 90 * 86_400 };
        Self { enabled: true, signs: true, limits }
    }
}

/// Asking registries when domains were registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationLookups {
    /// Whether anybody is asked.
    pub enabled: bool,
    /// Questions a day, at most.
    pub per_day: u32,
    /// Whether WHOIS is asked where a registry has no RDAP.
    pub whois: bool,
}

impl Default for RegistrationLookups {
    /// Off, since it tells registries which domains are of interest here. 500 a day is what one
    /// person at a keyboard could not ask, and what registries do not notice.
    fn default() -> Self {
        Self { enabled: false, per_day: 500, whois: true }
    }
}

/// Prediction from names and their neighbourhood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction {
    /// Whether a model is trained and used.
    pub enabled: bool,
    /// Seconds between two trainings.
    pub interval_seconds: u32,
}

impl Default for Prediction {
    /// On, daily: feeds bring a day's news a day.
    fn default() -> Self {
        Self { enabled: true, interval_seconds: 86_400 }
    }
}

/// What is written to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `human`, `json` or `journald`; what fits where standard error leads if none is given.
    pub form: Option<String>,
    /// Levels as `tracing` filters have them: `info`, `info,sekisho::source=debug`.
    pub levels: String,
}

/// Reads a configuration file. There is no configuration where any finding is an error.
pub fn read(file: &str, text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    let document = Document::parse(file, text);
    let config = document.read(|root| v1::read(root, file));
    let findings = document.into_findings();
    let sound = !findings.iter().any(Diagnostic::is_error);
    (Some(config).filter(|_| sound), findings)
}
