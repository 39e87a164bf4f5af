//! A zone as a master file.

use std::io::{self, Write};

use super::{Limits, RecordReader};
use crate::model::{Action, Name, NameRef, Trigger};
use crate::zone::record::{Encoder, Record, Unwritable, rdata};
use crate::zone::{Effect, Soa, TriggerRef, Zone};

/// Rules that were left out are kept up to this many, enough to see what is wrong.
pub const SKIPPED_KEPT_MAX: usize = 100;

/// What came of writing a zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// Records that were written, SOA and NS included.
    pub records: usize,
    /// How many rules cannot be written and were left out.
    pub skipped: usize,
    /// The first of them, up to [`SKIPPED_KEPT_MAX`].
    pub kept: Vec<(Trigger, Unwritable)>,
}

/// Writes a zone: its SOA, `NS localhost.` (a secondary refuses a zone without NS, and one inside
/// the zone would need an address), and its rules in the order of [`Zone::walk`], with owners
/// relative to `$ORIGIN`. What cannot be written is left out and reported.
pub fn write_zone(zone: &Zone, out: &mut impl Write) -> io::Result<WriteReport> {
    let origin = zone.origin();
    let ttl = zone.soa().ttl;
    let mut line = Vec::with_capacity(512);
    write!(line, "$ORIGIN {}\n$TTL {ttl}\n", origin.fqdn())?;
    write_soa(zone.soa(), &mut line);
    line.extend_from_slice(b"@ NS localhost.\n");
    out.write_all(&line)?;
    let mut report = WriteReport { records: 2, ..WriteReport::default() };
    let mut encoder = Encoder::new(origin);
    // Rules have few different actions, and most rules the same as the rule before.
    let mut last: Option<(&Effect, String)> = None;
    let mut walk = zone.walk();
    while let Some((trigger, effect)) = walk.next() {
        if let Err(problem) = encoder.take(trigger, effect) {
            report.skip(trigger, problem);
            continue;
        }
        line.clear();
        for record in encoder.records() {
            write_name(record.owner.below(origin).expect("an owner in the zone"), &mut line);
            line.push(b' ');
            if record.ttl != ttl {
                write!(line, "{} ", record.ttl)?;
            }
            match &last {
                Some((known, text)) if std::ptr::eq(*known, effect) => line.extend(text.bytes()),
                _ => {
                    let text = data_text(record);
                    line.extend(text.bytes());
                    let single = !matches!(effect.action, Action::Data(_));
                    last = single.then_some((effect, text));
                }
            }
            line.push(b'\n');
            report.records += 1;
        }
        out.write_all(&line)?;
    }
    Ok(report)
}

impl WriteReport {
    fn skip(&mut self, trigger: TriggerRef<'_>, problem: Unwritable) {
        self.skipped += 1;
        if self.kept.len() < SKIPPED_KEPT_MAX {
            self.kept.push((trigger.to_owned(), problem));
        }
    }
}

fn write_soa(soa: &Soa, line: &mut Vec<u8>) {
    let Soa { mname, rname, serial, refresh, retry, expire, minimum, .. } = soa;
    let (mname, rname) = (mname.as_ref().fqdn(), rname.as_ref().fqdn());
    let text = format!("@ SOA {mname} {rname} {serial} {refresh} {retry} {expire} {minimum}\n");
    line.extend_from_slice(text.as_bytes());
}

/// Appends a name without the final dot. Most names have nothing to escape.
fn write_name(name: NameRef<'_>, line: &mut Vec<u8>) {
    let start = line.len();
    for label in name.labels().rev() {
        let plain =
            label.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*'));
        if !plain {
            line.truncate(start);
            line.extend_from_slice(name.to_string().as_bytes());
            return;
        }
        if line.len() > start {
            line.push(b'.');
        }
        line.extend_from_slice(label);
    }
}

/// Type and data of a record as text. Where its presentation form would not read back the same,
/// the generic form does.
fn data_text(record: Record<'_>) -> String {
    let Record { rtype, rdata: data, .. } = record;
    let name = rdata::type_name(rtype);
    match rdata::text(rtype, data) {
        Some(text) if reads_back(&format!("@ 0 {name} {text}"), data) => format!("{name} {text}"),
        _ => format!("{name} {}", rdata::generic_text(data)),
    }
}

fn reads_back(line: &str, data: &[u8]) -> bool {
    let mut reader = RecordReader::new(line.as_bytes(), Name::root(), &Limits::default());
    let same = matches!(reader.next(), Ok(Some(Ok(entry))) if entry.record.rdata == data);
    same && matches!(reader.next(), Ok(None))
}
