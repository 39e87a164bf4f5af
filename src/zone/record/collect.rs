//! Records in any order, made into a zone or into the next version of one.
//!
//! Records that came are kept as small numbers beside their sorted owners, since a zone has few
//! different record data; so millions of records take little more than their names.

use std::collections::HashMap;

use super::settle::Settler;
use super::{Owner, Record, Unusable, action, encode, rdata, read_owner};
use crate::model::{Action, Name, Network, Trigger, TriggerKind};
use crate::names::NameSorter;
use crate::zone::walk::Subject;
use crate::zone::{Soa, TriggerRef, Zone, ZoneBuilder};

/// The most records at one owner: BIND's 100 for a type, and local data seldom has more than two
/// types. It also bounds the search for repeats.
pub const OWNER_RECORDS_MAX: usize = 256;

/// What happens to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It comes in. One that is there already is no second one.
    Add,
    /// It goes. It must be there; its TTL does not matter.
    Remove,
}

/// A record that cannot stand beside one that came before at the same owner. The earlier one
/// stays: resolvers refuse a whole zone over such an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// What both are for.
    pub trigger: Trigger,
    /// What is wrong.
    pub reason: ClashReason,
    /// The place of the first record there, as it was given.
    pub kept: u32,
    /// The place of the record left out.
    pub dropped: u32,
}

/// Why records cannot stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClashReason {
    /// An owner has at most one CNAME (RFC 2181 section 10.1).
    #[error("a second, different CNAME")]
    SecondCname,
    /// A CNAME stands alone (RFC 1034 section 3.6.2).
    #[error("CNAME and other data at one owner")]
    CnameAndData,
    /// More records than any resolver would take.
    #[error("more than {OWNER_RECORDS_MAX} records at one owner")]
    TooMany,
}

/// A change removes a record that is not there, so it was not made for this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inexact(pub Trigger);

/// Takes records and changes and makes a zone of them.
pub struct Collector {
    origin: Name,
    soa: Option<Soa>,
    parts: Parts,
    names: [NameSorter<Change>; 2],
    networks: [Vec<(Network, Change)>; 5],
}

/// A record that came or went: the number of its data with the bits below, and the place where it
/// was read. A record for a name and the one for all names below it, which most often follow each
/// other with the same data, are one change.
#[derive(Clone, Copy)]
pub(super) struct Change {
    packed: u32,
    place: u32,
}

const EXACT: u32 = 1;
const BELOW: u32 = 2;
const REMOVE: u32 = 4;
/// How far the number of the data is from the lowest bit.
const PART_SHIFT: u32 = 3;

impl Change {
    pub fn part(self) -> usize {
        (self.packed >> PART_SHIFT) as usize
    }

    pub fn is_removal(self) -> bool {
        self.packed & REMOVE > 0
    }

    /// Whether it is for the name itself, or for the names below it.
    pub fn is_for(self, below: bool) -> bool {
        self.packed & if below { BELOW } else { EXACT } > 0
    }

    /// Where the record was read.
    pub fn place(self, below: bool) -> u32 {
        let second = below && self.packed & EXACT > 0;
        self.place.saturating_add(u32::from(second))
    }

    /// Takes in the record that came right after, if it is the same for the names below.
    fn join(&mut self, next: Change) -> bool {
        let joins = self.packed ^ next.packed == EXACT | BELOW
            && next.packed & BELOW > 0
            && self.place.checked_add(1) == Some(next.place);
        self.packed |= if joins { BELOW } else { 0 };
        joins
    }
}

impl Collector {
    /// For the zone named `origin`.
    pub fn new(origin: Name) -> Self {
        Self {
            origin,
            soa: None,
            parts: Parts::default(),
            names: Default::default(),
            networks: Default::default(),
        }
    }

    /// Takes a record, or the reason why it is no rule. Apex NS records are of no use and pass
    /// silently; the first apex SOA is kept. The place is what a [`Clash`] reports.
    pub fn push(&mut self, record: Record<'_>, op: Op, place: u32) -> Result<(), Unusable> {
        let Owner::Trigger(trigger) = read_owner(record.owner, self.origin.as_ref())? else {
            return self.push_apex(record);
        };
        let mut part = self.parts.number(record)?;
        if let Some(Action::Redirect(target)) = &self.parts.list[part as usize].action
            && encode::own_target(record.owner, self.origin.as_ref(), trigger, target)
        {
            part = self.parts.number(Record { rdata: action::PASSTHRU_RDATA, ..record })?;
        }
        let op = if op == Op::Remove { REMOVE } else { 0 };
        let change = |reach| Change { packed: part << PART_SHIFT | op | reach, place };
        let kind = trigger.kind();
        match trigger {
            TriggerRef::Name { name, wildcard, .. } => {
                let change = change(if wildcard { BELOW } else { EXACT });
                let names = &mut self.names[usize::from(kind == TriggerKind::NameserverName)];
                if let Some((last, before)) = names.last_mut()
                    && last == name
                    && before.join(change)
                {
                    return Ok(());
                }
                names.push(name, change).then_some(()).ok_or(Unusable::Full)
            }
            TriggerRef::Network { network, .. } => {
                self.networks[kind as usize].push((network, change(EXACT)));
                Ok(())
            }
        }
    }

    fn push_apex(&mut self, record: Record<'_>) -> Result<(), Unusable> {
        match record.rtype {
            rdata::NS => Ok(()),
            rdata::SOA if self.soa.is_some() => Err(Unusable::SecondSoa),
            rdata::SOA => {
                let soa = Soa::from_wire(record.rdata, record.ttl);
                self.soa = Some(soa.ok_or(Unusable::Malformed(rdata::SOA))?);
                Ok(())
            }
            other => Err(Unusable::AtApex(other)),
        }
    }

    /// The start of authority, once one came.
    pub fn soa(&self) -> Option<&Soa> {
        self.soa.as_ref()
    }

    /// Whether no record came or went, those of the apex not counted.
    pub fn is_empty(&self) -> bool {
        self.names.iter().all(NameSorter::is_empty) && self.networks.iter().all(Vec::is_empty)
    }

    /// The zone: the rules of `base`, if there is one, with all changes made in their order. Each
    /// record left out on the way goes to `report`. The seed keys the zone's hash tables.
    pub fn finish(
        self,
        soa: Soa,
        hash_seed: u64,
        base: Option<&Zone>,
        report: &mut dyn FnMut(Clash),
    ) -> Result<Zone, Inexact> {
        let Self { origin, parts, mut names, mut networks, .. } = self;
        let builder = ZoneBuilder::new(origin, soa, hash_seed);
        let mut settler = Settler::new(builder, parts.list, base, report);
        for kind in TriggerKind::ALL {
            match kind {
                TriggerKind::QueryName | TriggerKind::NameserverName => {
                    let names = &mut names[usize::from(kind == TriggerKind::NameserverName)];
                    names.sort();
                    settler.settle(kind, names.iter().map(|(n, c)| (Subject::Name(n), c)))?;
                    *names = NameSorter::default();
                }
                _ => {
                    let networks = &mut networks[kind as usize];
                    networks.sort_by_key(|(network, _)| *network);
                    let changes = networks.iter().map(|(n, c)| (Subject::Network(*n), *c));
                    settler.settle(kind, changes)?;
                }
            }
        }
        Ok(settler.finish())
    }
}

/// Record data that came, each once.
#[derive(Default)]
struct Parts {
    list: Vec<Part>,
    numbers: HashMap<Box<[u8]>, u32>,
    key: Vec<u8>,
    last: u32,
}

/// The data of a record.
pub(super) struct Part {
    pub rtype: u16,
    pub ttl: u32,
    pub rdata: Box<[u8]>,
    /// What a CNAME stands for.
    action: Option<Action>,
}

impl Parts {
    fn number(&mut self, record: Record<'_>) -> Result<u32, Unusable> {
        let Record { rtype, ttl, rdata: data, .. } = record;
        if let Some(last) = self.list.get(self.last as usize)
            && (last.rtype, last.ttl, &*last.rdata) == (rtype, ttl, data)
        {
            return Ok(self.last);
        }
        self.key.clear();
        self.key.extend(rtype.to_be_bytes());
        self.key.extend(ttl.to_be_bytes());
        self.key.extend_from_slice(data);
        self.last = match self.numbers.get(&self.key[..]) {
            Some(&number) => number,
            None => self.add(rtype, ttl, data)?,
        };
        Ok(self.last)
    }

    fn add(&mut self, rtype: u16, ttl: u32, data: &[u8]) -> Result<u32, Unusable> {
        let action = match rtype {
            rdata::CNAME => Some(action::read_cname(data)?),
            _ if rdata::may_be_rule(rtype) => None,
            _ => return Err(Unusable::Type(rtype)),
        };
        let number =
            u32::try_from(self.list.len()).ok().filter(|n| n.leading_zeros() >= PART_SHIFT);
        let number = number.ok_or(Unusable::Full)?;
        self.list.push(Part { rtype, ttl, rdata: data.into(), action });
        self.numbers.insert(self.key.as_slice().into(), number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamePattern, RrSet, Rule};
    use crate::zone::{Effect, OwnedRecord, Serial, records_of};

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn cname(owner: &str, target: &str) -> OwnedRecord {
        let rdata = name(target).as_ref().to_wire();
        OwnedRecord { owner: name(owner), rtype: rdata::CNAME, ttl: 60, rdata }
    }

    fn a(owner: &str, last: u8, ttl: u32) -> OwnedRecord {
        let rdata = vec![192, 0, 2, last];
        OwnedRecord { owner: name(owner), rtype: rdata::A, ttl, rdata }
    }

    fn collect(
        records: &[(Op, OwnedRecord)],
        base: Option<&Zone>,
    ) -> (Result<Zone, Inexact>, Vec<Clash>) {
        let mut collector = Collector::new(name("rpz.test"));
        for (place, (op, record)) in (1..).zip(records) {
            collector.push(record.as_ref(), *op, place).unwrap();
        }
        let mut clashes = Vec::new();
        let soa = Soa::ours(Serial(1));
        let zone = collector.finish(soa, 7, base, &mut |clash| clashes.push(clash));
        (zone, clashes)
    }

    fn actions(zone: &Zone) -> Vec<String> {
        zone.rules().map(|r| format!("{:?} {:?} {}", r.trigger, r.action, r.ttl)).collect()
    }

    #[test]
    fn sets_at_one_owner_become_one_rule_wherever_they_stand() {
        let (zone, clashes) = collect(
            &[
                (Op::Add, a("b.rpz.test", 2, 60)),
                (Op::Add, cname("a.rpz.test", ".")),
                (Op::Add, a("b.rpz.test", 1, 30)),
                (Op::Add, a("b.rpz.test", 2, 20)),
            ],
            None,
        );
        let zone = zone.unwrap();
        assert_eq!(clashes, []);
        assert_eq!(zone.len(), 2);
        let pattern = Trigger::QueryName(NamePattern::exact(name("b")));
        let sets = [RrSet {
            rtype: rdata::A,
            ttl: 20,
            rdata: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
        }];
        let data = Action::Data(sets.into());
        assert_eq!(zone.effect(&pattern), Some(&Effect { action: data, ttl: 20 }));
    }

    #[test]
    fn of_records_that_cannot_stand_together_the_first_stays() {
        let (zone, clashes) = collect(
            &[
                (Op::Add, cname("a.rpz.test", ".")),
                (Op::Add, cname("a.rpz.test", "*")),
                (Op::Add, a("a.rpz.test", 1, 60)),
                (Op::Add, a("b.rpz.test", 1, 60)),
                (Op::Add, cname("b.rpz.test", ".")),
                (Op::Add, cname("a.rpz.test", ".")),
                (Op::Add, cname("c.rpz.test", ".")),
                (Op::Add, cname("*.c.rpz.test", ".")),
                (Op::Add, cname("*.c.rpz.test", "*")),
            ],
            None,
        );
        assert_eq!(zone.unwrap().len(), 4);
        let found: Vec<_> = clashes.iter().map(|c| (c.reason, c.kept, c.dropped)).collect();
        assert_eq!(
            found,
            [
                (ClashReason::SecondCname, 1, 2),
                (ClashReason::CnameAndData, 1, 3),
                (ClashReason::CnameAndData, 4, 5),
                (ClashReason::SecondCname, 8, 9),
            ]
        );
    }

    #[test]
    fn a_clash_names_the_places_of_both_records() {
        let mut collector = Collector::new(name("rpz.test"));
        for (place, owner, target) in
            [(1, "c", "."), (5, "*.c", "."), (9, "*.c", "*"), (12, "d", "."), (13, "*.d", ".")]
        {
            let record = cname(&format!("{owner}.rpz.test"), target);
            collector.push(record.as_ref(), Op::Add, place).unwrap();
        }
        let last = cname("*.d.rpz.test", "*");
        collector.push(last.as_ref(), Op::Add, 20).unwrap();
        let mut places = Vec::new();
        let mut report = |clash: Clash| places.push((clash.kept, clash.dropped));
        collector.finish(Soa::ours(Serial(1)), 7, None, &mut report).unwrap();
        assert_eq!(places, [(5, 9), (13, 20)]);
    }

    #[test]
    fn an_alias_for_the_triggers_own_name_means_passthru() {
        let (zone, _) = collect(
            &[
                (Op::Add, cname("ok.test.rpz.test", "ok.test")),
                (Op::Add, cname("*.w.test.rpz.test", "*.w.test")),
                (Op::Add, cname("32.1.2.0.192.rpz-ip.rpz.test", "32.1.2.0.192")),
                (Op::Add, cname("ns.test.rpz-nsdname.rpz.test", "ns.test")),
            ],
            None,
        );
        let passthru = |text: &str| format!("{text} Passthru 60");
        let actions = actions(&zone.unwrap());
        assert_eq!(
            actions[0],
            passthru("QueryName(NamePattern { name: ok.test., wildcard: false })")
        );
        assert!(actions[1].contains("RedirectBelow(w.test.)"), "{}", actions[1]);
        assert_eq!(actions[2], passthru("AnswerAddress(192.0.2.1/32)"));
        assert!(actions[3].ends_with("Passthru 60"));
    }

    #[test]
    fn changes_make_the_next_version_or_do_not_fit() {
        let (base, _) = collect(
            &[
                (Op::Add, cname("a.rpz.test", ".")),
                (Op::Add, a("b.rpz.test", 1, 60)),
                (Op::Add, a("b.rpz.test", 2, 60)),
                (Op::Add, cname("32.1.2.0.192.rpz-ip.rpz.test", ".")),
                (Op::Add, cname("z.rpz.test", ".")),
            ],
            None,
        );
        let base = base.unwrap();
        let (next, _) = collect(
            &[
                (Op::Remove, a("b.rpz.test", 1, 0)),
                (Op::Add, a("b.rpz.test", 3, 60)),
                (Op::Remove, cname("a.rpz.test", ".")),
                (Op::Add, cname("a.rpz.test", "*")),
                (Op::Remove, cname("32.1.2.0.192.rpz-ip.rpz.test", ".")),
                (Op::Add, cname("*.a.rpz.test", ".")),
            ],
            Some(&base),
        );
        let (expected, _) = collect(
            &[
                (Op::Add, cname("a.rpz.test", "*")),
                (Op::Add, cname("*.a.rpz.test", ".")),
                (Op::Add, a("b.rpz.test", 2, 60)),
                (Op::Add, a("b.rpz.test", 3, 60)),
                (Op::Add, cname("z.rpz.test", ".")),
            ],
            None,
        );
        assert_eq!(actions(&next.unwrap()), actions(&expected.unwrap()));

        let (refused, _) = collect(&[(Op::Remove, cname("a.rpz.test", "*"))], Some(&base));
        assert!(matches!(refused, Err(Inexact(Trigger::QueryName(p))) if p.name == name("a")));
    }

    #[test]
    fn what_is_no_rule_says_why() {
        let mut collector = Collector::new(name("rpz.test"));
        let mut push = |record: OwnedRecord| {
            collector.push(record.as_ref(), Op::Add, 0).map_err(|e| e.to_string())
        };
        let of_type = |owner: &str, rtype, rdata: &[u8]| OwnedRecord {
            owner: name(owner),
            rtype,
            ttl: 60,
            rdata: rdata.into(),
        };
        let soa = Soa::ours(Serial(4)).to_wire();
        let err = |text: &str| Err(text.to_owned());
        assert_eq!(push(of_type("rpz.test", rdata::SOA, &soa)), Ok(()));
        assert_eq!(push(of_type("rpz.test", rdata::SOA, &soa)), err("a second SOA"));
        assert_eq!(push(of_type("rpz.test", rdata::NS, b"\0")), Ok(()));
        assert_eq!(
            push(of_type("rpz.test", 63, b"")),
            err("ZONEMD at the zone's own name is no rule")
        );
        assert_eq!(
            push(of_type("x.rpz.test", rdata::NS, b"\0")),
            err("NS records are never rules")
        );
        assert_eq!(push(cname("x.test", ".")), err("the owner is not in the zone"));
        assert_eq!(
            push(cname("x.rpz.test", "rpz-log")),
            err("`rpz-log.` is no action that is known")
        );
        assert_eq!(collector.soa().map(|soa| soa.serial), Some(Serial(4)));
        assert!(collector.is_empty());
    }

    #[test]
    fn a_rule_and_its_records_are_the_same_thing() {
        let data = [
            RrSet { rtype: rdata::A, ttl: 5, rdata: vec![[192, 0, 2, 1].into()] },
            RrSet { rtype: rdata::TXT, ttl: 9, rdata: vec![(*b"\x01x").into()] },
        ];
        let network = |text| Network::parse_strict(text).unwrap();
        for trigger in [
            Trigger::QueryName(NamePattern::below(name("bad.test"))),
            Trigger::NameserverName(NamePattern::exact(name("ns.bad.test"))),
            Trigger::ClientAddress(network("10.0.0.0/8")),
            Trigger::AnswerAddress(network("2001:db8::/32")),
            Trigger::NameserverAddress(network("192.0.2.1")),
        ] {
            for action in [
                Action::NxDomain,
                Action::NoData,
                Action::Passthru,
                Action::Drop,
                Action::TcpOnly,
                Action::Redirect(name("garden.test")),
                Action::RedirectBelow(name("garden.test")),
                Action::Data(data.clone().into()),
            ] {
                let ttl = if matches!(action, Action::Data(_)) { 5 } else { 60 };
                let rule = Rule { trigger: trigger.clone(), action, ttl };
                let records = records_of(&rule, name("rpz.test").as_ref()).unwrap();
                let records: Vec<_> = records.into_iter().map(|r| (Op::Add, r)).collect();
                let (zone, _) = collect(&records, None);
                assert_eq!(zone.unwrap().rules().collect::<Vec<_>>(), [rule]);
            }
        }
    }
}
