//! Spamhaus DROP and ASN-DROP: one JSON object a line (<https://www.spamhaus.org/drop/>).
//!
//! `{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"arin"}` names a prefix,
//! `{"asn":64496,"rir":"arin","asname":"X"}` an AS. The last line describes the list; its date and
//! copyright text have to stay with the data, so they are kept in the report.

use std::borrow::Cow;
use std::io::BufRead;

use super::lines::{self, Opening};
use super::report::Tally;
use super::{Entry, Limits, ParseError, Reason, Report, networks, neutralised};
use crate::model::{Indicator, Timestamp};

pub(super) fn parse(
    reader: &mut dyn BufRead,
    limits: &Limits,
    sink: &mut dyn FnMut(Entry),
) -> Result<Report, ParseError> {
    lines::each(reader, limits, sink, Opening::Json, |text, tally| {
        line(text, tally);
        Ok(())
    })
}

/// The fields of either kind of line.
#[derive(serde::Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    cidr: Option<Cow<'a, str>>,
    asn: Option<u32>,
    r#type: Option<Cow<'a, str>>,
    timestamp: Option<u32>,
    records: Option<u64>,
    copyright: Option<Cow<'a, str>>,
}

fn line(text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if text.starts_with([';', '#']) {
        return tally.blank();
    }
    let Ok(object) = serde_json::from_str::<Object<'_>>(text) else {
        return tally.reject(text, Reason::JsonLine);
    };
    if object.r#type.as_deref() == Some("metadata") {
        return metadata(&object, tally);
    }
    let subject = match (object.cidr, object.asn) {
        (Some(cidr), _) => networks::network(&cidr).map(Indicator::Network),
        (None, Some(number)) => Ok(Indicator::As(number)),
        (None, None) => Err(Reason::JsonLine),
    };
    match subject {
        Ok(subject) => tally.entry(Entry::of(subject)),
        Err(reason) => tally.reject(text, reason),
    }
}

fn metadata(object: &Object<'_>, tally: &mut Tally<'_>) {
    tally.blank();
    let header = &mut tally.report.header;
    header.entries_declared = object.records;
    header.updated = object.timestamp.map(|at| Timestamp(at).to_string());
    header.licence = object.copyright.as_deref().map(neutralised);
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{claims, read, rejects};

    #[test]
    fn prefixes_as_numbers_and_the_description_are_read() {
        let text = concat!(
            "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"arin\"}\n",
            "{\"cidr\":\"2001:db8::\\/29\",\"sblid\":\"SBL2\",\"rir\":\"ripencc\"}\n",
            "{\"asn\":64496,\"rir\":\"arin\",\"domain\":\"x.example\",\"cc\":\"ZZ\",\"asname\":\"X\"}\n",
            "{\"type\":\"metadata\",\"timestamp\":1790072042,\"size\":9,\"records\":3,",
            "\"copyright\":\"(c) The list\",\"terms\":\"t\"}\n"
        );
        assert_eq!(claims(&Format::SpamhausJson, text), "192.0.2.0/24 2001:db8::/29 AS64496");
        let report = read(&Format::SpamhausJson, text.as_bytes()).1;
        assert_eq!(report.header.entries_declared, Some(3));
        assert_eq!(report.header.licence.as_deref(), Some("(c) The list"));
        assert_eq!(report.header.updated.as_deref(), Some("2026-09-22T10:14:02Z"));
        assert_eq!((report.lines_accepted, report.lines_blank), (3, 1));
    }

    #[test]
    fn other_lines_are_rejected() {
        let text =
            "{\"sblid\":\"SBL3\"}\nnot json\n{\"cidr\":\"0.0.0.0/0\"}\n{\"asn\":\"x\"}\n; note\n";
        assert_eq!(
            rejects(&Format::SpamhausJson, text),
            [
                "1: not a JSON object with `cidr` or `asn`",
                "2: not a JSON object with `cidr` or `asn`",
                "3: this would cover everything",
                "4: not a JSON object with `cidr` or `asn`",
            ]
        );
    }
}
