//! The records of a zone's text, by the reader that all zones are read by.

use std::io::{self, BufRead};

use super::{BadRecord, PolicyRecord, PolicyRecords};
use crate::model::{Action, Name, RrSet, Trigger};
use crate::zone::TriggerRef;
use crate::zone::file::{Limits, RecordReader};
use crate::zone::record::{Owner, action::read_cname, read_owner};

/// Record type numbers (RFC 1035 section 3.2.2).
const TYPE_NS: u16 = 2;
const TYPE_CNAME: u16 = 5;
const TYPE_SOA: u16 = 6;

/// What relative names lie under where the file has no `$ORIGIN`; nobody sees it.
const ANY_ORIGIN: &str = "rpz";

/// Reads a zone's text. The zone's own name is that of its SOA record, which comes first.
pub(in super::super) struct ZoneRecords<'i> {
    reader: RecordReader<'i>,
    origin: Name,
}

impl<'i> ZoneRecords<'i> {
    pub fn new(reader: &'i mut dyn BufRead) -> Self {
        let origin = Name::from_presentation(ANY_ORIGIN).expect("a constant name is sound");
        let reader = RecordReader::new(reader, origin.clone(), &Limits::default());
        Self { reader, origin }
    }
}

impl PolicyRecords for ZoneRecords<'_> {
    fn next_record(&mut self) -> io::Result<Option<Result<PolicyRecord, BadRecord>>> {
        loop {
            let entry = match self.reader.next()? {
                None => return Ok(None),
                Some(Ok(entry)) => entry,
                Some(Err(reject)) => {
                    let reason = reject.problem.to_string();
                    let line = u64::from(reject.line);
                    return Ok(Some(Err(BadRecord { line, text: String::new(), reason })));
                }
            };
            let (record, line) = (entry.record, u64::from(entry.line));
            if record.rtype == TYPE_SOA {
                self.origin = record.owner.to_owned();
                continue;
            }
            let bad = |error: &dyn std::fmt::Display| {
                let (text, reason) = (record.owner.to_string(), error.to_string());
                Ok(Some(Err(BadRecord { line, text, reason })))
            };
            let trigger: Trigger = match read_owner(record.owner, self.origin.as_ref()) {
                Ok(Owner::Trigger(trigger)) => TriggerRef::to_owned(trigger),
                Ok(Owner::Apex) if record.rtype == TYPE_NS => continue,
                Ok(Owner::Apex) => return bad(&"a record at the zone's own name is no rule"),
                Err(error) => return bad(&error),
            };
            let action = match record.rtype {
                TYPE_CNAME => match read_cname(record.rdata) {
                    Ok(action) => action,
                    Err(error) => return bad(&error),
                },
                rtype => {
                    let rdata = vec![record.rdata.into()];
                    Action::Data([RrSet { rtype, ttl: record.ttl, rdata }].into())
                }
            };
            return Ok(Some(Ok(PolicyRecord { line, trigger, action })));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Format;
    use super::super::super::tests::{claims, rejects};

    const ZONE: &str = "$TTL 300\n@ IN SOA localhost. root.localhost. (1 43200 3600 259200 300)\n\
                        @ IN NS localhost.\nbad.example CNAME .\n*.bad.example CNAME .\n\
                        good.example CNAME rpz-passthru.\n24.0.2.0.192.rpz-ip CNAME .\n\
                        page.example A 203.0.113.1\n";

    #[test]
    fn a_zone_is_a_list_of_what_its_rules_claim() {
        assert_eq!(claims(&Format::Rpz, ZONE), "bad.example !good.example 192.0.2.0/24");
        assert_eq!(rejects(&Format::Rpz, ZONE).len(), 1);
    }

    #[test]
    fn the_zone_is_named_by_its_soa() {
        let text = ZONE.replace("$TTL 300\n", "$TTL 300\n$ORIGIN rpz.list.example.\n");
        assert_eq!(claims(&Format::Rpz, &text), "bad.example !good.example 192.0.2.0/24");
    }
}
