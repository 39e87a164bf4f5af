//! What the tests of this folder share: records from text, and name servers in this process.

use hickory_proto::op::{Message, Metadata, ResponseCode};
use hickory_proto::rr::{self, RecordType};
use hickory_proto::serialize::txt::Parser;

use super::convert::{self, Item, Outcome};
use crate::model::Name;

pub(super) fn parsed(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

/// Records from master file lines, in the order written, whatever their zone.
pub(super) fn records(lines: &str) -> Vec<rr::Record> {
    let record = |line: &str| {
        let (_, sets) = Parser::new(format!("{line}\n"), None, Some(rr::Name::root()))
            .parse()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let set = sets.into_values().next().unwrap();
        let mut of = set.records(true).cloned().collect::<Vec<_>>();
        of.remove(0)
    };
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(record).collect()
}

pub(super) fn items(lines: &str) -> Vec<Item> {
    records(lines).iter().filter_map(convert::item).collect()
}

pub(super) fn outcome(answers: &str, authorities: &str) -> Outcome {
    Outcome { answers: items(answers), authorities: items(authorities), ..Outcome::default() }
}
