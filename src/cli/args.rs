//! The words of the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A DNS firewall that scores its own blocklist, explains every verdict and publishes it as RPZ.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, max_term_width = 100)]
pub struct Arguments {
    /// Configuration file; without one the embedded defaults are used.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer in JSON, for machines.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the resolver, refresh sources, export zones.
    Serve,
    /// Check configuration, policies and zones; every finding with its place.
    Check(Check),
    /// Say why a name is answered as it is.
    Why(Why),
    /// Say how the program is: what runs, what does not, what is in force.
    Status,
    /// List the sources: entries, rejects with samples, age, last error.
    Feeds(Feeds),
    /// List the policy zones in order of precedence.
    Zones,
    /// Write the policy zones as RPZ files.
    Export(Export),
    /// Read policies and zones again, as an edit of a file does.
    Reload,
    /// Forget the answers about a name.
    Flush(Flush),
    /// Fetch a source now, or all of them.
    Refresh(Refresh),
    /// Work with scoring models.
    #[command(subcommand)]
    Model(Model),
}

/// What to check.
#[derive(Debug, Args)]
pub struct Check {
    /// Policy files or directories instead of the configured ones.
    pub paths: Vec<PathBuf>,
}

/// What to explain.
#[derive(Debug, Args)]
pub struct Why {
    /// A name, such as `login.bad.net`.
    pub name: String,
    /// Explain what this client would be told.
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<IpAddr>,
    /// Query type.
    #[arg(long = "type", value_name = "TYPE")]
    pub rtype: Option<String>,
}

/// Which sources.
#[derive(Debug, Args)]
pub struct Feeds {
    /// Show this source alone, with all its samples.
    pub source: Option<String>,
}

/// Where to.
#[derive(Debug, Args)]
pub struct Export {
    /// Directory to write into.
    pub directory: PathBuf,
}

/// Which answers.
#[derive(Debug, Args)]
pub struct Flush {
    /// A name, such as `example.com`.
    pub name: String,
    /// All names below it as well.
    #[arg(long)]
    pub below: bool,
}

/// Which source.
#[derive(Debug, Args)]
pub struct Refresh {
    /// The source; all where none is named.
    pub source: Option<String>,
}

/// Scoring models.
#[derive(Debug, Subcommand)]
pub enum Model {
    /// Compile a model description to canonical JSON, named by its SHA-256.
    Compile {
        /// The description (TOML).
        description: PathBuf,
        /// Where to write the model; standard output where absent.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Score fact records and print every contribution.
    Score {
        /// The model; the shipped one where absent.
        #[arg(long, value_name = "MODEL.json")]
        model: Option<PathBuf>,
        /// A list of `{id, facts, prev?, overlay?}`.
        facts: PathBuf,
    },
}
