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
    /// List the policy zones in order of precedence, and who takes them by transfer.
    Zones(Zones),
    /// Write the policy zones as RPZ files.
    Export(Export),
    /// Make keys.
    #[command(subcommand)]
    Key(Key),
    /// Look after those who read the zones as RPZ.
    #[command(subcommand)]
    Rpz(Rpz),
    /// Read policies and zones again, as an edit of a file does.
    Reload,
    /// Forget the answers about a name.
    Flush(Flush),
    /// Fetch a source now, or all of them.
    Refresh(Refresh),
    /// Show the worst AS (`asn rank`), or one of them (`asn AS64500`).
    Asn(Asn),
    /// Gather all that is known of a domain, address, prefix, AS or URL, also at look-up services.
    Investigate(Investigate),
    /// Show what was asked of look-up services, what may be asked, and what is asked next.
    Budget,
    /// Say what was resolved here: where a name led, which names led to an address, since when.
    Pdns(Pdns),
    /// Review entries of sources: `audit next`, then `audit NAME --malicious` or `--benign`.
    Audit(Audit),
    /// Say that a name is blocked wrongly, or ought to be blocked.
    Report(Report),
    /// Show signs in what groups of clients ask: tunnels, made-up names, calls home.
    Signs(Signs),
    /// Mute signs of a domain for a time.
    Mute(Mute),
    /// Say what lists, reviews and reports teach of the model of scores, and what it would change.
    Learn(Learn),
    /// Work with scoring models.
    #[command(subcommand)]
    Model(Model),
    /// Judge scoring and prediction: what feeds knew before a day, against what came after it.
    Evaluate(Evaluate),
}

/// What to judge, and by what.
///
/// Every option that takes a PATH takes a file or a folder of files, any number of times. A row is
/// a name, or a name and the day it was first seen (or seconds since 1970), or also a class, with
/// tabs between; in a popularity list the second field is a rank or tier. Files may be packed (xz,
/// gzip, zstd, bzip2). `blp_20260720.txt.xz` is the list `blp` of that day.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// Feeds: rows before the cut are evidence, rows from the cut on are malicious truth. A file
    /// without dates is used where its name has a day before the cut.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub feeds: Vec<PathBuf>,
    /// More malicious truth, which is never evidence; rows dated before the cut are left out.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub truth: Vec<PathBuf>,
    /// Names that people use, each file a list of its own in the report.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub benign: Vec<PathBuf>,
    /// Popularity lists; of each, the newest of a day before the cut is evidence.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub popularity: Vec<PathBuf>,
    /// The day from which on nothing is evidence, such as 2026-07-01.
    #[arg(long, value_name = "DAY")]
    pub cut: String,
    /// The scoring model; the shipped one where absent.
    #[arg(long, value_name = "MODEL.json")]
    pub model: Option<PathBuf>,
    /// Write the whole report as JSON as well.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What to check.
#[derive(Debug, Args)]
pub struct Check {
    /// Policy files or directories instead of the configured ones.
    pub paths: Vec<PathBuf>,
}

/// What to investigate, and in which forms to hand it out.
///
/// The services of `[provider.NAME]` are asked within their budgets; what they said before is used as
/// long as it holds. A FILE of `-` is standard output.
#[derive(Debug, Args)]
pub struct Investigate {
    /// A domain, an address, a prefix, an AS such as `AS64500`, or an `http://` URL.
    pub target: String,
    /// Wait so many seconds for a service's quota of a minute.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u32,
    /// Ask this service only; several times for several.
    #[arg(long, value_name = "NAME")]
    pub service: Vec<String>,
    /// One page with everything, that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The connections, for Graphviz.
    #[arg(long, value_name = "FILE")]
    pub dot: Option<PathBuf>,
    /// The connections as GraphML.
    #[arg(long, value_name = "FILE")]
    pub graphml: Option<PathBuf>,
    /// A bundle of STIX 2.1.
    #[arg(long, value_name = "FILE")]
    pub stix: Option<PathBuf>,
    /// An event of MISP.
    #[arg(long, value_name = "FILE")]
    pub misp: Option<PathBuf>,
    /// A table, a line for each fact.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// The same as a workbook.
    #[arg(long, value_name = "FILE")]
    pub xlsx: Option<PathBuf>,
}

/// What to explain.
#[derive(Debug, Args)]
pub struct Why {
    /// A name such as `login.bad.net`, an address, a prefix, or an AS such as `AS64500`.
    pub name: String,
    /// Explain what this client would be told.
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<IpAddr>,
    /// Query type.
    #[arg(long = "type", value_name = "TYPE")]
    pub rtype: Option<String>,
    /// How the client asks; encrypted transports count as tcp.
    #[arg(long, value_parser = ["udp", "tcp"])]
    pub transport: Option<String>,
    /// The client sets DO, as one that validates does.
    #[arg(long)]
    pub dnssec: bool,
    /// The client does not ask for recursion (RD=0).
    #[arg(long)]
    pub no_recursion: bool,
    /// Do not resolve the name, although rules depend on its answer.
    #[arg(long)]
    pub no_resolve: bool,
}

/// Which sources.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Feeds {
    /// Show what each source is worth: names that it alone has, that others have too, that clients
    /// asked for, and that are kept from them because of it alone.
    #[arg(long)]
    pub value: bool,
    /// Show this source alone, with all its samples.
    pub source: Option<String>,
    /// What to do with a source.
    #[command(subcommand)]
    pub command: Option<FeedsCommand>,
}

/// What to do with a source.
#[derive(Debug, Subcommand)]
pub enum FeedsCommand {
    /// Put in force what the contract of a source puts aside, and take its next copy as it is.
    Accept {
        /// The source.
        source: String,
    },
}

/// Which AS.
#[derive(Debug, Args)]
pub struct Asn {
    /// `rank` for the worst, or an AS such as `AS64500`.
    #[arg(value_name = "rank|AS")]
    pub what: String,
    /// Rank in the definition of CIRCL's BGP Ranking instead of ours.
    #[arg(long)]
    pub circl: bool,
    /// Rank by IPv6 instead of IPv4.
    #[arg(long)]
    pub v6: bool,
    /// Days of history, at most 100.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub days: u16,
    /// How many of the worst, at most 1000.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
}

/// Which zones.
#[derive(Debug, Args)]
pub struct Zones {
    /// What to do with a zone that leaves by transfer.
    #[command(subcommand)]
    pub command: Option<ZonesCommand>,
}

/// What to do with a zone that leaves by transfer.
#[derive(Debug, Subcommand)]
pub enum ZonesCommand {
    /// List the versions that are kept, with the snapshot that each is from.
    History {
        /// The zone.
        zone: String,
    },
    /// Give everybody the version that canaries have.
    Promote {
        /// The zone.
        zone: String,
    },
    /// Give secondaries the content of an earlier version, under a new serial, until `resume`.
    Rollback {
        /// The zone.
        zone: String,
        /// The version.
        serial: u32,
    },
    /// Give secondaries what is in force again.
    Resume {
        /// The zone.
        zone: String,
    },
}

/// What was seen.
#[derive(Debug, Args)]
pub struct Pdns {
    /// A name such as `shop.example`, an address, or `.` for everything.
    #[arg(value_name = "NAME|IP")]
    pub what: String,
    /// All names below it as well.
    #[arg(long)]
    pub below: bool,
    /// Every record as a line in the Passive DNS Common Output Format.
    #[arg(long)]
    pub cof: bool,
}

/// What to review, or what was found.
#[derive(Debug, Args)]
pub struct Audit {
    /// `next`, or what was reviewed; without it, what was found so far.
    #[arg(value_name = "next|NAME")]
    pub what: Option<String>,
    /// It ought to be blocked.
    #[arg(long, conflicts_with_all = ["benign", "unsure"])]
    pub malicious: bool,
    /// It ought not.
    #[arg(long, conflicts_with = "unsure")]
    pub benign: bool,
    /// It cannot be told.
    #[arg(long)]
    pub unsure: bool,
    /// With `next`: an entry of this source.
    #[arg(long, value_name = "ID")]
    pub source: Option<String>,
    /// Who reviewed it; whoever runs this where absent.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}

/// What to report.
#[derive(Debug, Args)]
pub struct Report {
    /// A name, an address, a prefix or an AS.
    pub name: String,
    /// It ought to be blocked.
    #[arg(long, conflicts_with = "benign", required_unless_present = "benign")]
    pub malicious: bool,
    /// It ought not.
    #[arg(long)]
    pub benign: bool,
    /// What happened, in a few words.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Who says so; whoever runs this where absent.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}

/// What to do with what was learnt.
#[derive(Debug, Args)]
pub struct Learn {
    /// Write the changes down for review; `sekisho model apply FILE` puts them in force.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Which signs.
#[derive(Debug, Args)]
pub struct Signs {
    /// Those that are muted as well.
    #[arg(long)]
    pub all: bool,
}

/// What to mute.
#[derive(Debug, Args)]
pub struct Mute {
    /// The domain of the sign, with all below it; `.` for bursts of made-up names.
    pub subject: String,
    /// Signs of this kind alone: `tunnel`, `dga` or `beacon`.
    #[arg(long)]
    pub kind: Option<String>,
    /// Signs of this group alone.
    #[arg(long)]
    pub group: Option<String>,
    /// For how long, such as `12h` or `7d`, a year at most.
    #[arg(long = "for", value_name = "TIME", default_value = "7d")]
    pub duration: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who wants it; whoever runs this where absent.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// End the mutes of the domain instead.
    #[arg(long)]
    pub end: bool,
}

/// Where to.
#[derive(Debug, Args)]
pub struct Export {
    /// Directory to write into.
    pub directory: PathBuf,
    /// Write what this consumer takes: bind, unbound, pdns-recursor, knot, generic, or one of their
    /// versions such as unbound-1.19, and say what was left out.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
}

/// What to look after.
#[derive(Debug, Subcommand)]
pub enum Rpz {
    /// Say what consumers refuse or misread in a zone: ours as they leave, or any file.
    Lint(Lint),
    /// Print a block for a consumer's configuration that takes our zones, with what to know.
    Snippet(Snippet),
}

/// For whom, and how the zones get there.
#[derive(Debug, Args)]
pub struct Snippet {
    /// The consumer: bind, unbound, pdns-recursor, knot, or one of their versions such as knot-5.
    pub consumer: String,
    /// How the zones get there.
    #[arg(long, value_enum, default_value_t = SnippetBy::Transfer)]
    pub by: SnippetBy,
    /// The `[[secondary]]` that it is; else the first one.
    #[arg(long, value_name = "NAME")]
    pub secondary: Option<String>,
    /// Where this server is reached, such as 192.0.2.1:53; else the first address of
    /// `[resolver] listen` that others reach.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub server: Option<std::net::SocketAddr>,
    /// Only this zone; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub zone: Vec<String>,
    /// Where the consumer finds the files, if not where they are written.
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// Show the secret of the key.
    #[arg(long)]
    pub secrets: bool,
}

/// How zones get to a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SnippetBy {
    /// From files.
    File,
    /// By transfer.
    Transfer,
}

/// Keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key that signs artefacts, in the form of minisign: the secret key in FILE, the public
    /// one in FILE.pub.
    Signing {
        /// Where to write the secret key; it must not be there yet.
        file: PathBuf,
    },
}

/// What to look at, and for whom. The exit code is 1 where a consumer would refuse a zone.
#[derive(Debug, Args)]
pub struct Lint {
    /// The consumer: bind, unbound, pdns-recursor, knot, generic, one of their versions such as
    /// unbound-1.19, or all.
    #[arg(long, default_value = "all", value_name = "PROFILE")]
    pub profile: String,
    /// Only this zone of ours; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    pub zone: Vec<String>,
    /// The name of the zone in the files, where neither their SOA nor their own name says it.
    #[arg(long, value_name = "NAME", requires = "files")]
    pub origin: Option<String>,
    /// RPZ files of anybody; without any, our own zones are looked at.
    pub files: Vec<PathBuf>,
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
    /// Put reviewed changes of `sekisho learn` in force.
    Apply {
        /// The file; `--shipped` goes back to the model that ships.
        #[arg(required_unless_present = "shipped", conflicts_with = "shipped")]
        changes: Option<PathBuf>,
        /// Go back to the model that ships.
        #[arg(long)]
        shipped: bool,
    },
    /// Have the running daemon train the model of names on its own sources, and wait for it.
    Train,
    /// Score fact records and print every contribution.
    Score {
        /// The model; the shipped one where absent.
        #[arg(long, value_name = "MODEL.json")]
        model: Option<PathBuf>,
        /// A list of `{id, facts, prev?, overlay?}`.
        facts: PathBuf,
    },
}
