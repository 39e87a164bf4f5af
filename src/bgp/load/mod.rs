//! Prefix-to-AS tables and AS names in the formats in which they are published.
//!
//! Every reader is a stream: prefixes and names go to a sink one by one, and only the line or record
//! in hand is in memory, which is bounded. Input is given unpacked; whoever opens the file takes off
//! gzip or bzip2. A bad line becomes a [`Reject`] with its line or octet, and input that ends early
//! (a truncated download) keeps what was read and says where it ended.
//!
//! MRT is read here and not by `bgpkit-parser`: that library decodes every attribute of every path
//! and brings chrono and regex, where an origin needs one attribute in two hundred lines. On the
//! same dumps both find the same paths.

mod asnames;
mod iptoasn;
mod lines;
mod mmdb;
mod mrt;
mod pfx2as;
mod pyasn;
mod ranges;
mod report;

use std::io::BufRead;

pub use report::{End, Place, Reason, Reject, Report};

use crate::model::Network;

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Dumps of routing tables (RFC 6396), as RouteViews and RIPE RIS publish them.
    Mrt,
    /// CAIDA's `prefix length origins`.
    Pfx2as,
    /// pyasn's `prefix/length origin`.
    Pyasn,
    /// iptoasn.com's `first last AS country description`.
    Iptoasn,
    /// `first,last,AS,"name"` of ip-location-db, with addresses or numbers, and tables with a
    /// header such as IPinfo's.
    Ranges,
    /// MaxMind DB, as MaxMind, IPinfo and others use it for AS.
    Mmdb,
    /// A JSON object of names by AS number, as pyasn makes it.
    Asnames,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 7] = [
        Self::Mrt,
        Self::Pfx2as,
        Self::Pyasn,
        Self::Iptoasn,
        Self::Ranges,
        Self::Mmdb,
        Self::Asnames,
    ];

    /// The word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mrt => "mrt",
            Self::Pfx2as => "pfx2as",
            Self::Pyasn => "pyasn",
            Self::Iptoasn => "iptoasn",
            Self::Ranges => "ranges",
            Self::Mmdb => "mmdb",
            Self::Asnames => "asnames",
        }
    }

    /// The format of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }
}

/// One thing a table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A prefix and the AS that announce it, the most important one first.
    Route {
        /// The prefix, never of length 0.
        network: Network,
        /// At least one, none twice.
        origins: &'a [u32],
    },
    /// The name of an AS, as the table writes it.
    Name {
        /// The AS.
        system: u32,
        /// Its name.
        name: &'a str,
    },
}

/// What a reader will not go beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one line. A longer one is skipped and rejected.
    pub line_octets_max: usize,
    /// Prefixes handed to the sink. More end the reading. The Internet had 1.3 million in 2026, and
    /// ranges come to one and a half prefixes each.
    pub routes_max: u64,
    /// Octets of a format that has to be held as a whole (MaxMind DB). IPinfo's have some 60 MiB.
    pub document_octets_max: u64,
    /// How many rejects are kept with their text; all are counted.
    pub rejects_kept: usize,
    /// Whether origins that nobody may announce to the Internet are kept, as a laboratory wants it
    /// (MRT only; the other formats are tables that somebody has cleaned).
    pub reserved_origins: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_octets_max: 64 * 1024,
            routes_max: 8_000_000,
            document_octets_max: 512 * 1024 * 1024,
            rejects_kept: 100,
            reserved_origins: false,
        }
    }
}

/// Reads a table and hands what it says to the sink.
pub fn read(
    format: Format,
    reader: &mut dyn BufRead,
    limits: &Limits,
    sink: &mut dyn FnMut(Item<'_>),
) -> Report {
    let mut tally = report::Tally::new(limits, sink);
    match format {
        Format::Mrt => mrt::read(reader, &mut tally),
        Format::Mmdb => mmdb::read(reader, &mut tally),
        Format::Asnames => asnames::read(reader, &mut tally),
        Format::Pfx2as => lines::each(reader, &mut tally, pfx2as::line),
        Format::Pyasn => lines::each(reader, &mut tally, pyasn::line),
        Format::Iptoasn => lines::each(reader, &mut tally, iptoasn::line),
        Format::Ranges => {
            let mut columns = ranges::Columns::default();
            lines::each(reader, &mut tally, |text, tally| columns.line(text, tally));
        }
    }
    tally.report
}

#[cfg(test)]
mod tests;
