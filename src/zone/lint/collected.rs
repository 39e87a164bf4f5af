//! What shows only when all records have come: repeats, conflicts, and how rules lie to each other.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::tree;
use super::{Code, Linter, RULES_AT_ONCE_MAX, Spot};
use crate::model::{Name, NameRef};
use crate::zone::record::action::SET_RECORDS_MAX;
use crate::zone::record::{ClashReason, Collector, Op, Record, Unusable, rdata, write_owner};
use crate::zone::{Serial, Soa, TriggerRef};

/// Records that came, as hashes of their owners and of all their parts.
pub(super) struct Collected {
    origin: Name,
    collector: Collector,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    owner: u64,
    record: u64,
    line: u32,
}

impl Collected {
    pub fn new(origin: Name) -> Self {
        let collector = Collector::new(origin.clone());
        Self { origin, collector, seen: Vec::new() }
    }

    /// Takes a record below the zone's own name.
    pub fn push(&mut self, record: Record<'_>, line: u32) -> Result<(), Unusable> {
        self.collector.push(record, Op::Add, line)?;
        let mut octets = record.owner.key().to_vec();
        let owner = xxh3_64(&octets);
        octets.extend(record.rtype.to_be_bytes());
        octets.extend_from_slice(record.rdata);
        self.seen.push(Seen { owner, record: xxh3_64(&octets), line });
        Ok(())
    }

    pub fn finish(mut self, linter: &mut Linter<'_>) {
        self.seen.sort_unstable();
        for pair in self.seen.windows(2) {
            if (pair[0].owner, pair[0].record) == (pair[1].owner, pair[1].record) {
                let text = format!("the record of line {} again", pair[0].line);
                let hint = Some("leave one of them out");
                linter.find(Code::Duplicate, Spot::line(pair[1].line), text, hint);
            }
        }
        let mut clashes = Vec::new();
        let soa = linter.soa.clone().unwrap_or_else(|| Soa::ours(Serial::default()));
        let zone = self.collector.finish(soa, 0, None, &mut |clash| clashes.push(clash));
        let zone = zone.expect("a file only adds records");
        for clash in clashes {
            let (code, kept) = match clash.reason {
                ClashReason::TooMany => (Code::TooManyRecords, clash.kept),
                _ => (Code::Conflict, clash.kept),
            };
            let text = format!("{}; the first record there is that of line {kept}", clash.reason);
            let hint = Some("one owner says one thing: keep the rule that is meant");
            linter.find(code, Spot::line(clash.dropped), text, hint);
        }
        linter.report.rules = zone.len();
        let lines = Lines { origin: self.origin, seen: self.seen };
        sets(&zone, &lines, linter);
        tree::look(&zone, &lines, linter);
        if zone.len() > RULES_AT_ONCE_MAX {
            let text = format!("{} rules in one zone", zone.len());
            let hint = "split it into a small zone that changes and a large one that seldom does";
            linter.find(Code::Size, Spot::default(), text, Some(hint));
        }
    }
}

/// Sets with more records than BIND takes.
fn sets(zone: &crate::zone::Zone, lines: &Lines, linter: &mut Linter<'_>) {
    use crate::model::Action;
    let large = |action: &Action| match action {
        Action::Data(sets) => sets
            .iter()
            .find(|set| set.rdata.len() > SET_RECORDS_MAX)
            .map(|set| (set.rtype, set.rdata.len())),
        _ => None,
    };
    if !zone.effects().iter().any(|effect| large(&effect.action).is_some()) {
        return;
    }
    let mut found: BTreeMap<u32, (u16, usize)> = BTreeMap::new();
    let mut walk = zone.walk();
    while let Some((trigger, effect)) = walk.next() {
        if let Some(large) = large(&effect.action) {
            found.insert(lines.of(trigger), large);
        }
    }
    for (line, (rtype, count)) in found {
        let text = format!("{count} {} records at one owner", rdata::type_name(rtype));
        linter.find(Code::TooManyRecords, Spot::line(line), text, Some("at most 100"));
    }
}

/// Where the first record of an owner stands.
pub(super) struct Lines {
    origin: Name,
    seen: Vec<Seen>,
}

impl Lines {
    /// The line of a rule; 0 where it has none.
    pub fn of(&self, trigger: TriggerRef<'_>) -> u32 {
        let mut owner = Vec::new();
        if write_owner(trigger, self.origin.as_ref(), &mut owner).is_err() {
            return 0;
        }
        let hash = xxh3_64(NameRef::from_key(&owner).key());
        let at = self.seen.partition_point(|seen| seen.owner < hash);
        let same = self.seen[at..].iter().take_while(|seen| seen.owner == hash);
        same.map(|seen| seen.line).min().unwrap_or(0)
    }
}
