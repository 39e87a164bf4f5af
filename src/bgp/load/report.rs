//! What reading a table found, and the tally that readers keep while they read.

use std::fmt;
use std::net::IpAddr;

use ipnet::{Ipv4Subnets, Ipv6Subnets};

use super::{Item, Limits};
use crate::model::Network;

/// The most characters of a line that a reject keeps: enough for a person to find it again.
const TEXT_CHARACTERS_MAX: usize = 80;

/// The most origins of one prefix. Real ones have up to about twenty.
pub(super) const ORIGINS_MAX: usize = 255;

/// Where in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// An octet, from 0, of the unpacked input.
    Octet(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Octet(octet) => write!(f, "octet {octet}"),
        }
    }
}

/// A line or record, or a part of one, that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where it begins.
    pub place: Place,
    /// The text, cut short and without control characters; empty for binary records.
    pub text: String,
    /// Why.
    pub reason: Reason,
}

/// Why a line or record gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Fewer columns than the format has.
    #[error("not the columns of this format")]
    Columns,
    /// Not an address or prefix.
    #[error("not an address or prefix")]
    Network,
    /// A range whose last address comes before its first, or is of the other family.
    #[error("the range does not run upwards")]
    Range,
    /// Not an AS number.
    #[error("not an AS number")]
    AsNumber,
    /// A prefix with more origins than any real one.
    #[error("more than {ORIGINS_MAX} origins")]
    TooManyOrigins,
    /// The line is longer than the limit and was skipped.
    #[error("the line is longer than {0} octets")]
    LineTooLong(usize),
    /// The record is longer than the limit and was skipped.
    #[error("the record has {0} octets")]
    RecordTooLong(u32),
    /// A record whose parts do not fit together.
    #[error("{0}")]
    Record(&'static str),
    /// Not a document of this format.
    #[error("{0}")]
    Document(String),
}

/// How the input ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum End {
    /// Where the format lets it end.
    #[default]
    Complete,
    /// Inside a record, which is not counted; all before it is.
    CutShort(Place),
    /// With an error of the reader, such as the one for a truncated archive. All before it is
    /// counted.
    Unreadable(Place, String),
    /// With more prefixes than allowed; the rest was not read.
    TooManyRoutes(u64),
}

/// What reading a table found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Lines or records read.
    pub records: u64,
    /// Prefixes handed to the sink; one may come more than once.
    pub routes: u64,
    /// Names handed to the sink.
    pub names: u64,
    /// Paths in MRT records, one a prefix and peer.
    pub paths: u64,
    /// Paths without an origin: announced by the collector itself, or unreadable.
    pub paths_without_origin: u64,
    /// Mentions of origins that nobody may announce (RFC 6996, 5398, 7607, 7300, 6793), left out.
    pub reserved_origins: u64,
    /// Records or ranges that say that nobody announces this.
    pub not_routed: u64,
    /// Default routes, which say nothing of whose an address is.
    pub default_routes: u64,
    /// Records of other kinds, which are not read.
    pub other_records: u64,
    /// All rejects.
    pub rejects_total: u64,
    /// The first rejects.
    pub rejects: Vec<Reject>,
    /// How the input ended.
    pub end: End,
}

/// Counts what a reader finds and hands it on.
pub(super) struct Tally<'a> {
    pub limits: &'a Limits,
    pub report: Report,
    sink: &'a mut dyn FnMut(Item<'_>),
}

impl<'a> Tally<'a> {
    pub fn new(limits: &'a Limits, sink: &'a mut dyn FnMut(Item<'_>)) -> Self {
        Self { limits, report: Report::default(), sink }
    }

    /// Whether the limit of prefixes ended the reading.
    pub fn is_full(&self) -> bool {
        matches!(self.report.end, End::TooManyRoutes(_))
    }

    /// A prefix with its origins, of which 0 stands for nobody (RFC 7607).
    pub fn route(&mut self, network: Network, origins: &[u32]) {
        if network.length() == 0 {
            self.report.default_routes += 1;
        } else if origins.is_empty() || origins == [0] {
            self.report.not_routed += 1;
        } else if self.report.routes >= self.limits.routes_max {
            self.report.end = End::TooManyRoutes(self.limits.routes_max);
        } else {
            self.report.routes += 1;
            (self.sink)(Item::Route { network, origins });
        }
    }

    /// A range with its origin: the fewest prefixes that hold exactly the range, at most 62 for IPv4
    /// and 254 for IPv6.
    pub fn range(&mut self, first: IpAddr, last: IpAddr, origin: u32) -> Result<(), Reason> {
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(Reason::Range);
        }
        if origin == 0 {
            self.report.not_routed += 1;
            return Ok(());
        }
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0)
                .for_each(|net| self.route(Network::from(net), &[origin])),
            (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0)
                .for_each(|net| self.route(Network::from(net), &[origin])),
            _ => {}
        }
        Ok(())
    }

    /// The name of an AS; one of nobody or without text is left out.
    pub fn name(&mut self, system: u32, name: &str) {
        let name = name.trim();
        if system != 0 && !name.is_empty() {
            self.report.names += 1;
            (self.sink)(Item::Name { system, name });
        }
    }

    pub fn reject(&mut self, place: Place, text: &str, reason: Reason) {
        self.report.rejects_total += 1;
        if self.report.rejects.len() < self.limits.rejects_kept {
            self.report.rejects.push(Reject { place, text: neutralised(text), reason });
        }
    }
}

/// The text cut to what a person needs, with what could steer a terminal written as escapes.
fn neutralised(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == TEXT_CHARACTERS_MAX {
            shown.push('…');
            break;
        }
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Reads `64500`, `AS64500` or `1.10` (RFC 5396's asdot).
pub(super) fn as_number(text: &str) -> Result<u32, Reason> {
    let text = text.trim();
    let digits = match text.get(..2) {
        Some(start) if start.eq_ignore_ascii_case("as") => &text[2..],
        _ => text,
    };
    let number = match digits.split_once('.') {
        Some((high, low)) => {
            let halves = high.parse::<u16>().ok().zip(low.parse::<u16>().ok());
            halves.map(|(high, low)| u32::from(high) << 16 | u32::from(low))
        }
        None => digits.parse().ok(),
    };
    number.ok_or(Reason::AsNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_numbers_are_read_as_tables_write_them() {
        for (text, number) in [("64500", 64500), ("AS64500", 64500), ("as1", 1), (" 1.10 ", 65546)]
        {
            assert_eq!(as_number(text), Ok(number), "{text}");
        }
        for text in ["", "AS", "x", "1.65536", "4294967296", "-1", "1.2.3"] {
            assert_eq!(as_number(text), Err(Reason::AsNumber), "{text}");
        }
    }

    #[test]
    fn rejected_text_cannot_steer_a_terminal() {
        assert_eq!(neutralised("a\x1b[2J\u{202e}\"b\" "), "a\\u{1b}[2J\\u{202e}\"b\"");
        assert_eq!(neutralised(&"x".repeat(200)).chars().count(), 81);
    }
}
