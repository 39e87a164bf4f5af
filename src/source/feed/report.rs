//! What reading a feed found, and the tally that parsers keep while they read.

use super::{Entry, Limits, Reason, Reject, neutralised};
use crate::model::{Indicator, Name, NameError};

/// How many lines from the top may belong to a feed's header.
const HEADER_LINES_MAX: u64 = 100;

/// What reading a feed found. Every line is one of: blank, ignored, accepted, rejected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Lines, or items of a JSON list.
    pub lines: u64,
    /// Empty lines, comments and headers.
    pub lines_blank: u64,
    /// Lines that are understood and say nothing here: `localhost` in a hosts file, a rule with a
    /// modifier that DNS filters must ignore, a row that the configured condition leaves out.
    pub lines_ignored: u64,
    /// Lines that gave at least one entry, or say again what the line before said.
    pub lines_accepted: u64,
    /// Lines that gave a reject and no entry.
    pub lines_rejected: u64,
    /// Entries handed to the sink.
    pub entries: u64,
    /// Dates that are there and cannot be read; their entries are undated.
    pub dates_unread: u64,
    /// All rejects; more than [`lines_rejected`](Self::lines_rejected) where lines have parts.
    pub rejects_total: u64,
    /// The first rejects, with text and reason.
    pub rejects: Vec<Reject>,
    /// What the feed says of itself.
    pub header: Header,
}

/// What a feed says of itself in its first comments, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Its title.
    pub title: Option<String>,
    /// Its licence or copyright line.
    pub licence: Option<String>,
    /// When it was made, as it writes the date.
    pub updated: Option<String>,
    /// How many entries it says it has.
    pub entries_declared: Option<u64>,
}

impl Header {
    /// Takes a `Key: value` comment; the first one of a kind counts.
    pub(super) fn note(&mut self, comment: &str) {
        let Some((key, value)) = comment.split_once(':') else { return };
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let slot = match key.trim().to_ascii_lowercase().as_str() {
            "title" => &mut self.title,
            "license" | "licence" | "copyright" => &mut self.licence,
            "last modified" | "last update" | "last updated" | "updated" | "date" => {
                &mut self.updated
            }
            "entries" | "number of entries" | "domains" => {
                let digits = value.replace([',', '.', '\''], "");
                let number = digits.split_whitespace().next().and_then(|n| n.parse().ok());
                self.entries_declared = self.entries_declared.or(number);
                return;
            }
            _ => return,
        };
        slot.get_or_insert_with(|| neutralised(value));
    }
}

/// Counts what a parser finds and hands entries on.
pub(super) struct Tally<'a> {
    pub(super) limits: &'a Limits,
    pub(super) report: Report,
    sink: &'a mut dyn FnMut(Entry),
    line: u64,
    line_is_blank: bool,
    line_is_repeat: bool,
    entries_before: u64,
    rejects_before: u64,
}

impl<'a> Tally<'a> {
    pub(super) fn new(limits: &'a Limits, sink: &'a mut dyn FnMut(Entry)) -> Self {
        Self {
            limits,
            report: Report::default(),
            sink,
            line: 0,
            line_is_blank: false,
            line_is_repeat: false,
            entries_before: 0,
            rejects_before: 0,
        }
    }

    /// Begins the line (or list item) at line `number`.
    pub(super) fn begin(&mut self, number: u64) {
        self.line = number;
        self.line_is_blank = false;
        self.line_is_repeat = false;
        self.entries_before = self.report.entries;
        self.rejects_before = self.report.rejects_total;
    }

    /// The number of the line in hand.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Ends the line and counts it by what came of it.
    pub(super) fn end(&mut self) {
        let report = &mut self.report;
        report.lines += 1;
        let count = if report.entries > self.entries_before || self.line_is_repeat {
            &mut report.lines_accepted
        } else if report.rejects_total > self.rejects_before {
            &mut report.lines_rejected
        } else if self.line_is_blank {
            &mut report.lines_blank
        } else {
            &mut report.lines_ignored
        };
        *count += 1;
    }

    /// The line is empty or a comment.
    pub(super) fn blank(&mut self) {
        self.line_is_blank = true;
    }

    /// The line is a comment that may be part of the header.
    pub(super) fn comment(&mut self, text: &str) {
        self.line_is_blank = true;
        if self.line <= HEADER_LINES_MAX {
            self.report.header.note(text);
        }
    }

    /// Hands an entry on, unless the limit is reached.
    pub(super) fn entry(&mut self, entry: Entry) {
        self.report.entries += 1;
        if !self.is_full() {
            (self.sink)(entry);
        }
    }

    /// The line says again what the line before said.
    pub(super) fn repeat(&mut self) {
        self.line_is_repeat = true;
    }

    /// Whether there were more entries than allowed.
    pub(super) fn is_full(&self) -> bool {
        self.report.entries > self.limits.entries_max
    }

    pub(super) fn reject(&mut self, text: &str, reason: Reason) {
        self.report.rejects_total += 1;
        if self.report.rejects.len() < self.limits.rejects_kept {
            let text = neutralised(text);
            self.report.rejects.push(Reject { line: self.line, text, reason });
        }
    }

    /// An entry for a host name, or a reject.
    pub(super) fn host(&mut self, host: &str) {
        match host_name(host, self.limits) {
            Ok(name) => self.entry(Entry::of(Indicator::Domain(name))),
            Err(reason) => self.reject(host, reason),
        }
    }
}

/// No name is written with more octets: 253 characters at most, each of at most four in UTF-8.
const HOST_OCTETS_MAX: usize = 4 * 253;

/// A claimed host name. A leading `*.` or dot means "below", which a claim about a name includes.
pub(super) fn host_name(host: &str, limits: &Limits) -> Result<Name, Reason> {
    let bare = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host);
    if bare.len() > HOST_OCTETS_MAX {
        return Err(Reason::Name(NameError::NameTooLong));
    }
    let name = Name::from_host(bare)?;
    match name.as_ref().label_count() < limits.labels_min {
        true => Err(Reason::SingleLabel),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_as_lists_write_it() {
        let mut header = Header::default();
        for line in [
            " Title: Basic Block List",
            " License: MIT",
            " Last modified: 2026-07-06 00:40:19 UTC",
            " Entries: 76,036",
            " Title: another",
            " URL: ",
            " no key at all",
        ] {
            header.note(line);
        }
        assert_eq!(header.title.as_deref(), Some("Basic Block List"));
        assert_eq!(header.licence.as_deref(), Some("MIT"));
        assert_eq!(header.updated.as_deref(), Some("2026-07-06 00:40:19 UTC"));
        assert_eq!(header.entries_declared, Some(76_036));
    }

    #[test]
    fn only_the_first_rejects_are_kept_and_all_are_counted() {
        let limits = Limits { rejects_kept: 2, ..Limits::default() };
        let mut sink = |_| {};
        let mut tally = Tally::new(&limits, &mut sink);
        for number in 1..=5 {
            tally.begin(number);
            tally.reject("x", Reason::Wildcard);
            tally.end();
        }
        assert_eq!((tally.report.rejects_total, tally.report.rejects.len()), (5, 2));
        assert_eq!(tally.report.lines_rejected, 5);
    }
}
