//! Feed text in, entries out: one parser a format, all of them streams.
//!
//! A feed has up to millions of lines and is never held: entries go to a sink one by one, and only
//! the line in hand is in memory, which is bounded (a longer line is skipped and rejected with its
//! number). One bad line never fails the whole: it becomes a [`Reject`] with line and reason. What
//! does fail the whole is input that is not this kind of list at all, such as the HTML page that a
//! retired feed answers with.
//!
//! A parser decides what the list says; whether the list is to be believed is for
//! [`contract`](super::contract) and the score.

mod adguard;
mod csv;
mod dnsmasq;
mod domains;
mod hosts;
mod lines;
mod misp;
mod networks;
mod ranks;
mod reject;
mod report;
pub mod rpz;
mod spamhaus;
mod urls;

use std::io::BufRead;

pub use csv::{Column, Condition, CsvLayout, SubjectKind, Test};
pub use ranks::RankLayout;
pub use reject::{Reason, Reject, neutralised};
pub use report::{Header, Report};

use crate::model::{Category, Indicator, Scope, Timestamp};

/// The syntaxes a feed can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One name a line.
    Domains,
    /// `/etc/hosts` lines: an address that leads nowhere, then names.
    Hosts,
    /// AdGuard's syntax of DNS filtering rules.
    Adguard,
    /// dnsmasq's `address=/name/`, `local=/name/` and `server=/name/` options.
    Dnsmasq,
    /// Rows of fields, with the columns that matter named.
    Csv(CsvLayout),
    /// One URL a line.
    Urls,
    /// Addresses, prefixes, ranges and DShield's columns.
    Networks,
    /// Spamhaus DROP and ASN-DROP: one JSON object a line.
    SpamhausJson,
    /// One MISP warninglist as a JSON document.
    MispWarninglist,
    /// A response policy zone as a list.
    Rpz,
    /// A popularity list: names with ranks or tiers.
    Ranks(RankLayout),
}

impl Format {
    /// The word used in files and output.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Domains => "domains",
            Self::Hosts => "hosts",
            Self::Adguard => "adguard",
            Self::Dnsmasq => "dnsmasq",
            Self::Csv(_) => "csv",
            Self::Urls => "urls",
            Self::Networks => "networks",
            Self::SpamhausJson => "spamhaus-json",
            Self::MispWarninglist => "misp-warninglist",
            Self::Rpz => "rpz",
            Self::Ranks(_) => "ranks",
        }
    }
}

/// One thing a feed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub subject: Indicator,
    /// How far it reaches.
    pub scope: Scope,
    /// When the feed saw it first, where the feed says so.
    pub first_seen: Option<Timestamp>,
    /// When the feed saw it last, where the feed says so.
    pub last_seen: Option<Timestamp>,
    /// What the feed calls it, where the feed distinguishes.
    pub category: Option<Category>,
    /// The list takes this subject out of itself (`@@||name^`, an RPZ passthru). It never speaks
    /// for other lists.
    pub exception: bool,
    /// Its rank, or the bound of its tier, in a popularity list.
    pub rank: Option<u32>,
}

impl Entry {
    /// An undated claim about a whole subject, as most lists make it.
    pub fn of(subject: Indicator) -> Self {
        Self {
            subject,
            scope: Scope::Name,
            first_seen: None,
            last_seen: None,
            category: None,
            exception: false,
            rank: None,
        }
    }
}

/// What a parser will not go beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one line. A longer one is skipped and rejected.
    pub line_octets_max: usize,
    /// Lines of one feed. More fail the feed.
    pub lines_max: u64,
    /// Entries of one feed (a line may give several). More fail the feed.
    pub entries_max: u64,
    /// Octets of a document that has to be held as a whole (MISP warninglists).
    pub document_octets_max: usize,
    /// How many rejects are kept with their text; all are counted.
    pub rejects_kept: usize,
    /// The fewest labels a claimed name may have. 2 refuses single labels (SCORING 4.4 R6); an
    /// operator's own list may name a whole top-level domain with 1.
    pub labels_min: usize,
}

impl Default for Limits {
    /// No source beyond sense and size for the numbers: the largest public list (Hagezi's TIF, in
    /// 2026) has 1.3 million lines, and the longest URL a browser takes is 64 KiB.
    fn default() -> Self {
        Self {
            line_octets_max: 64 * 1024,
            lines_max: 10_000_000,
            entries_max: 10_000_000,
            document_octets_max: 32 * 1024 * 1024,
            rejects_kept: 20,
            labels_min: 2,
        }
    }
}

/// Why a feed could not be read as the list it should be. Nothing that went to the sink before may
/// be used.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Reading failed, or a limit of the reader was reached.
    #[error("the feed could not be read: {0}")]
    Read(#[from] std::io::Error),
    /// The text begins like a page of markup.
    #[error("this is {kind}, not a list; it begins with \"{start}\"")]
    Markup {
        /// What it looks like.
        kind: &'static str,
        /// Its first characters.
        start: String,
    },
    /// The text begins like a JSON document and the format is a list of lines.
    #[error("this is a JSON document, not a list; it begins with \"{start}\"")]
    UnexpectedJson {
        /// Its first characters.
        start: String,
    },
    /// Zero octets, or a byte order mark of UTF-16.
    #[error("this is {0}, not text in UTF-8")]
    NotText(&'static str),
    /// More lines than allowed.
    #[error("the feed has more than {0} lines")]
    TooManyLines(u64),
    /// More entries than allowed.
    #[error("the feed has more than {0} entries")]
    TooManyEntries(u64),
    /// The document is larger than can be held.
    #[error("the document is larger than {0} octets")]
    DocumentTooLarge(usize),
    /// A named column is not in the header, so the feed has changed its layout.
    #[error("line {line}: no column {missing:?}; the header has {found}")]
    ColumnMissing {
        /// Where the header should be, or the last line read where there was none.
        line: u64,
        /// The first name that is not there.
        missing: String,
        /// The names that are there.
        found: String,
    },
    /// The JSON document is malformed or lacks a field.
    #[error("malformed JSON document: {0}")]
    Json(#[from] serde_json::Error),
    /// The warninglist matches in a way that names and prefixes cannot express.
    #[error("a warninglist of type {0:?} cannot be read as names or networks")]
    WarninglistType(String),
    /// The warninglist is about something else, such as file hashes.
    #[error("the warninglist is about {0}, not about names, addresses or URLs")]
    WarninglistSubject(String),
}

/// Reads a feed. Each entry goes to `sink` as soon as it is known; a caller that must not act on
/// half a feed collects them until the report has been judged.
pub fn parse(
    format: &Format,
    reader: &mut dyn BufRead,
    limits: &Limits,
    sink: &mut dyn FnMut(Entry),
) -> Result<Report, ParseError> {
    match format {
        Format::Domains => lines::parse(reader, limits, sink, domains::line),
        Format::Hosts => lines::parse(reader, limits, sink, hosts::line),
        Format::Adguard => lines::parse(reader, limits, sink, adguard::line),
        Format::Dnsmasq => lines::parse(reader, limits, sink, dnsmasq::line),
        Format::Csv(layout) => csv::parse(layout, reader, limits, sink),
        Format::Urls => lines::parse(reader, limits, sink, urls::line),
        Format::Networks => lines::parse(reader, limits, sink, networks::line),
        Format::SpamhausJson => spamhaus::parse(reader, limits, sink),
        Format::MispWarninglist => misp::parse(reader, limits, sink),
        Format::Rpz => rpz::parse(&mut rpz::ZoneRecords::new(reader), limits, sink),
        Format::Ranks(layout) => {
            lines::parse(reader, limits, sink, |text, tally| ranks::line(*layout, text, tally))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads `text` and returns the entries with the report.
    pub(super) fn read(format: &Format, text: &[u8]) -> (Vec<Entry>, Report) {
        let mut entries = Vec::new();
        let report =
            parse(format, &mut &text[..], &Limits::default(), &mut |e| entries.push(e)).unwrap();
        (entries, report)
    }

    /// What the entries claim, one a line: `!` marks an exception, `/` a claim about one URL.
    pub(super) fn claims(format: &Format, text: &str) -> String {
        let show = |entry: &Entry| {
            let exception = if entry.exception { "!" } else { "" };
            let url = if entry.scope == Scope::Url { "/" } else { "" };
            format!("{exception}{}{url}", entry.subject)
        };
        read(format, text.as_bytes()).0.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    /// The rejects as `line: reason`.
    pub(super) fn rejects(format: &Format, text: &str) -> Vec<String> {
        let report = read(format, text.as_bytes()).1;
        report.rejects.iter().map(|r| format!("{}: {}", r.line, r.reason)).collect()
    }

    fn refusal(format: &Format, text: &[u8]) -> ParseError {
        parse(format, &mut &text[..], &Limits::default(), &mut |_| {}).unwrap_err()
    }

    fn all_formats() -> Vec<Format> {
        let csv = CsvLayout::new(',', Column::Number(1));
        let named = CsvLayout {
            first_seen: Some(Column::Name("seen".into())),
            category: Some(Column::Name("class".into())),
            conditions: vec![Condition { column: Column::Number(2), test: Test::AtLeast(3) }],
            ..CsvLayout::new('\t', Column::Name("host".into()))
        };
        vec![
            Format::Domains,
            Format::Hosts,
            Format::Adguard,
            Format::Dnsmasq,
            Format::Csv(csv),
            Format::Csv(named),
            Format::Urls,
            Format::Networks,
            Format::SpamhausJson,
            Format::MispWarninglist,
            Format::Ranks(RankLayout { tier: None }),
        ]
    }

    #[test]
    fn a_page_instead_of_a_list_is_named_in_every_format() {
        for format in all_formats() {
            for page in [
                "<!DOCTYPE html>\n<title>Just a moment...</title>\n",
                "\n\n  <html><body>404</body></html>",
                "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
            ] {
                let error = refusal(&format, page.as_bytes());
                assert!(matches!(error, ParseError::Markup { .. }), "{format:?}: {error}");
            }
        }
        assert_eq!(
            refusal(&Format::Domains, b"<!doctype html>\n\x1b[31m").to_string(),
            "this is an HTML page, not a list; it begins with \"<!doctype html>\""
        );
    }

    #[test]
    fn an_error_in_json_is_not_a_list_of_lines() {
        let error = refusal(&Format::Domains, b"{\"error\": \"rate limit\"}");
        assert!(error.to_string().starts_with("this is a JSON document"), "{error}");
        assert!(matches!(refusal(&Format::Hosts, b"[\"a\"]"), ParseError::UnexpectedJson { .. }));
        let (entries, _) = read(&Format::Adguard, b"[Adblock Plus]\n||bad.example^\n");
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn binary_and_utf16_are_named() {
        for format in all_formats() {
            let binary = refusal(&format, b"ustar\0\0\0\0\n").to_string();
            assert!(binary.contains("binary"), "{format:?}: {binary}");
            let wide = refusal(&format, b"\xff\xfeb\0a\0d\0.\0").to_string();
            assert!(wide.contains("UTF-16"), "{format:?}: {wide}");
        }
    }

    #[test]
    fn limits_on_lines_and_entries_fail_the_feed() {
        let limits = Limits { lines_max: 2, entries_max: 3, ..Limits::default() };
        let read = |format, text: &str| parse(&format, &mut text.as_bytes(), &limits, &mut |_| {});
        assert!(read(Format::Domains, "a.example\nb.example\n").is_ok());
        assert!(matches!(
            read(Format::Domains, "a.example\nb.example\n\n"),
            Err(ParseError::TooManyLines(2))
        ));
        assert!(matches!(
            read(Format::Hosts, "0.0.0.0 a.example b.example c.example d.example"),
            Err(ParseError::TooManyEntries(3))
        ));
    }

    #[test]
    fn a_single_label_needs_an_operators_list() {
        assert_eq!(
            rejects(&Format::Domains, "Forbidden\n"),
            ["1: one label alone is a top-level domain or a local name"]
        );
        let limits = Limits { labels_min: 1, ..Limits::default() };
        let mut count = 0;
        parse(&Format::Adguard, &mut &b"||zip^\n"[..], &limits, &mut |_| count += 1).unwrap();
        assert_eq!(count, 1);
    }

    proptest! {
        #[test]
        fn no_parser_panics_on_octets(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for format in all_formats() {
                let _ = parse(&format, &mut &bytes[..], &Limits::default(), &mut |_| {});
            }
        }

        #[test]
        fn no_parser_panics_on_near_misses(
            lines in proptest::collection::vec("[a-z0-9.:/|^@$*#!=,~\\[\\]{}\"'\\\\ \té-]{0,40}", 0..12),
            limit in 1usize..50,
        ) {
            let text = lines.join("\n");
            let limits = Limits { line_octets_max: limit, ..Limits::default() };
            for format in all_formats() {
                let mut entries = 0;
                let report = parse(&format, &mut text.as_bytes(), &limits, &mut |_| entries += 1);
                if let Ok(report) = report {
                    prop_assert_eq!(report.entries, entries);
                    let told = report.lines_blank + report.lines_ignored + report.lines_accepted
                        + report.lines_rejected;
                    prop_assert!(report.lines >= told);
                    prop_assert!(report.rejects_total >= report.lines_rejected);
                }
            }
        }
    }
}
