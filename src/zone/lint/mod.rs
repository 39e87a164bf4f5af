//! What is wrong with a policy zone in the eyes of those who would load it.
//!
//! A [`Linter`] takes the records of a zone in their order, each with its line, and says everything
//! that a consumer refuses, reads otherwise or pays for dearly, at which owner, and what to do. The
//! zone may be anybody's: nothing here repairs anything. What a finding means to which consumer
//! stands in [`concern`], so that one file can be looked at for one consumer or for all.

mod collected;
pub mod concern;
mod tree;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

pub use concern::{Concern, Weight};

use self::collected::Collected;
use super::file::{Entry, Problem, RecordReader, Reject, SyntaxError};
use super::profile::Profile;
use super::record::{AddressError, Record, Unusable, action, rdata};
use super::{Serial, Soa, TriggerRef};
use crate::model::name::WIRE_OCTETS_MAX;
use crate::model::{Action, Name, NameError, NameRef, TriggerKind};

/// Findings of one sort that are kept; further ones are only counted. A hundred are enough to see
/// what is wrong.
pub const KEPT_MAX: usize = 100;
/// Names of zones up to this length on the wire are no matter: every rule carries the zone's name,
/// and of 255 octets enough remain for any host name in use.
const ORIGIN_OCTETS_MAX: usize = 32;
/// From so many rules on a worker of Unbound stands still for seconds (its issues 998 and 636).
const RULES_AT_ONCE_MAX: usize = 1_000_000;
/// SOA refresh in seconds beyond which a consumer that is not told of news has old rules.
const REFRESH_SECONDS_MAX: u32 = 3600;

/// What can be wrong with a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A line that is no record.
    Syntax,
    /// No SOA at the zone's own name.
    NoSoa,
    /// No NS at the zone's own name.
    NoNs,
    /// An NS whose name lies in the zone.
    NsInZone,
    /// A record other than SOA and NS at the zone's own name.
    ApexRecord,
    /// An owner that is not in the zone.
    OutOfZone,
    /// An owner of more than 255 octets with the zone's name.
    OwnerTooLong,
    /// Different CNAMEs at one owner, or a CNAME beside other data.
    Conflict,
    /// The same record twice.
    Duplicate,
    /// More than 100 records of one type at one owner.
    TooManyRecords,
    /// An address owner that cannot be read.
    AddressMalformed,
    /// An address owner with bits beyond its prefix.
    AddressHostBits,
    /// An address owner that is not written in the one canonical way.
    AddressForm,
    /// A record type that is never a rule.
    RecordType,
    /// A target below `rpz-` that is no action.
    UnknownAction,
    /// The deprecated way to say PASSTHRU.
    OldPassthru,
    /// A trigger that not every consumer has.
    Trigger,
    /// PASSTHRU where the consumer cannot let anything through.
    NoExceptions,
    /// An action that not every consumer has.
    Action,
    /// Tcp-only behind a nameserver name.
    TcpOnlyNameserver,
    /// `CNAME *.target.` that is not expanded.
    NotExpanded,
    /// Local data of a type that has no mnemonic.
    UnknownType,
    /// A rule for all names there are.
    RootRule,
    /// A rule for a whole top-level domain.
    TopRule,
    /// A wildcard that does not reach names below it, since something between exists.
    ShadowedWildcard,
    /// A rule for a name alone where the consumer takes in all below.
    Subtree,
    /// An exception of one kind beside rules of another.
    ExceptionKind,
    /// PASSTHRU, which ends the matter for all zones that come later.
    PassthruEnds,
    /// A TTL that a consumer caps, or that keeps a verdict for long.
    Ttl,
    /// A zone that takes long to load.
    Size,
    /// A long zone name, which every owner carries.
    LongOrigin,
    /// An SOA whose refresh is long.
    Refresh,
    /// More zones than the consumer takes.
    TooManyZones,
}

impl Code {
    /// The word for it.
    pub fn as_str(self) -> String {
        let word = serde_json::to_value(self).ok();
        word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Where a finding stands: a file that is included, if it is one, line and column from 1; 0 where
/// the zone is no file.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Spot {
    /// The included file; none for the file itself.
    pub file: Option<String>,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Spot {
    /// The beginning of a line of the file itself.
    pub fn line(line: u32) -> Self {
        Self { file: None, line, column: 1 }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What sort of thing.
    pub code: Code,
    /// Where.
    #[serde(flatten)]
    pub spot: Spot,
    /// What, in words.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
    /// The consumers it matters to.
    pub concerns: Vec<Concern>,
}

impl Finding {
    /// The gravest of what it means.
    pub fn weight(&self) -> Weight {
        self.concerns.iter().map(|concern| concern.weight).max().unwrap_or(Weight::Note)
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// By place; of each sort the first.
    pub findings: Vec<Finding>,
    /// How many there are of each sort, those not kept included.
    pub counts: BTreeMap<Code, usize>,
    /// Records that were looked at.
    pub records: usize,
    /// The zone's serial.
    pub serial: Option<Serial>,
    /// Rules that the zone has.
    pub rules: usize,
}

impl Report {
    /// The gravest of all.
    pub fn weight(&self) -> Option<Weight> {
        self.findings.iter().map(Finding::weight).max()
    }
}

/// Looks at a zone for some consumers.
pub struct Linter<'p> {
    profiles: &'p [&'p Profile],
    origin: Name,
    report: Report,
    collected: Collected,
    soa: Option<Soa>,
    has_ns: bool,
}

impl<'p> Linter<'p> {
    /// For the zone named `origin`. Nobody else's resolver is thought of than those of `profiles`.
    pub fn new(origin: Name, profiles: &'p [&'p Profile]) -> Self {
        let mut linter = Self {
            profiles,
            collected: Collected::new(origin.clone()),
            origin,
            report: Report::default(),
            soa: None,
            has_ns: false,
        };
        let octets = linter.origin.as_ref().wire_octets();
        if octets > ORIGIN_OCTETS_MAX {
            let text = format!("the zone's name takes {octets} octets of every owner's 255");
            let hint = "give the zone a short name; where a feed is fetched from is no name";
            linter.find(Code::LongOrigin, Spot::default(), text, Some(hint));
        }
        linter
    }

    fn find(&mut self, code: Code, spot: Spot, text: String, hint: Option<&str>) {
        let concerns = concern::of(code, self.profiles);
        self.find_for(concerns, code, spot, text, hint);
    }

    /// A finding that matters to these alone.
    fn find_for(
        &mut self,
        concerns: Vec<Concern>,
        code: Code,
        spot: Spot,
        text: String,
        hint: Option<&str>,
    ) {
        if concerns.is_empty() {
            return;
        }
        let count = self.report.counts.entry(code).or_default();
        *count += 1;
        if *count <= KEPT_MAX {
            let hint = hint.map(str::to_owned);
            self.report.findings.push(Finding { code, spot, text, hint, concerns });
        }
    }

    /// A line that is no record.
    pub fn reject(&mut self, reject: &Reject) {
        self.report.records += 1;
        let Reject { file, line, column, problem } = reject;
        let file = file.as_deref().map(str::to_owned);
        let spot = Spot { file, line: *line, column: *column };
        if matches!(problem, Problem::Syntax(SyntaxError::Name(NameError::NameTooLong))) {
            let origin = self.origin.as_ref().wire_octets();
            let text = format!("a name is too long with the zone's {origin} octets");
            return self.find(Code::OwnerTooLong, spot, text, Some(TOO_LONG_HINT));
        }
        self.find(Code::Syntax, spot, problem.to_string(), None);
    }

    /// An address owner in a line as it is written, which records no longer show: letters of the
    /// `zz` in upper case.
    pub fn upper_case(&mut self, line: u32) {
        let text = "`ZZ` in an address owner is not in lower case".to_owned();
        self.find(Code::AddressForm, Spot::line(line), text, Some("write `zz`"));
    }

    /// A record.
    pub fn push(&mut self, record: Record<'_>, spot: Spot) {
        self.report.records += 1;
        let octets = record.owner.wire_octets();
        if octets > WIRE_OCTETS_MAX {
            let text = format!("the owner has {octets} octets with the zone's name");
            return self.find(Code::OwnerTooLong, spot, text, Some(TOO_LONG_HINT));
        }
        if record.owner == self.origin.as_ref() {
            return self.apex(record, spot);
        }
        let taken = self.collected.push(record, spot.line);
        if let Err(problem) = taken {
            return self.unusable(record, &problem, spot);
        }
        self.ttl(record, &spot);
        self.rule(record, spot);
    }

    fn apex(&mut self, record: Record<'_>, spot: Spot) {
        match record.rtype {
            rdata::SOA if self.soa.is_none() => {
                self.soa = Soa::from_wire(record.rdata, record.ttl);
                let refresh = self.soa.as_ref().map_or(0, |soa| soa.refresh);
                if refresh > REFRESH_SECONDS_MAX {
                    let text = format!("secondaries ask for news every {refresh} s only");
                    let hint = "an hour or less, or a NOTIFY to each of them";
                    self.find(Code::Refresh, spot, text, Some(hint));
                }
            }
            rdata::SOA => self.find(Code::Conflict, spot, "a second SOA".to_owned(), None),
            rdata::NS => {
                self.has_ns = true;
                let target = Name::from_wire(record.rdata).ok();
                let origin = self.origin.as_ref();
                if let Some(target) = target.filter(|t| t.as_ref().is_at_or_below(origin)) {
                    let text = format!("the server `{target}.` lies in the zone");
                    self.find(Code::NsInZone, spot, text, Some("write `NS localhost.`"));
                }
            }
            other => {
                let text = format!("{} at the zone's own name", rdata::type_name(other));
                let hint = "nothing but SOA and NS belongs there";
                self.find(Code::ApexRecord, spot, text, Some(hint));
            }
        }
    }

    fn unusable(&mut self, record: Record<'_>, problem: &Unusable, spot: Spot) {
        let (code, hint) = match problem {
            Unusable::OutOfZone => {
                let hint = "write owners without a final dot, so that the zone's name follows";
                (Code::OutOfZone, Some(hint))
            }
            Unusable::Address(AddressError::HostBits) => {
                let hint = "set the bits beyond the prefix to zero";
                (Code::AddressHostBits, Some(hint))
            }
            Unusable::Address(AddressError::NotCanonical(_)) => (Code::AddressForm, None),
            Unusable::Address(_) | Unusable::EmptyTrigger => (Code::AddressMalformed, None),
            Unusable::Type(_) | Unusable::AtApex(_) => {
                (Code::RecordType, Some("leave the record out"))
            }
            Unusable::UnknownAction(_) => (Code::UnknownAction, None),
            Unusable::SecondSoa => (Code::Conflict, None),
            Unusable::Malformed(_) | Unusable::Full => (Code::Syntax, None),
        };
        let text = format!("{}: {problem}", self.shown(record.owner));
        self.find(code, spot, text, hint);
    }

    fn ttl(&mut self, record: Record<'_>, spot: &Spot) {
        let most = self.profiles.iter().map(|p| p.ttl.1).min().unwrap_or(u32::MAX);
        let least = self.profiles.iter().map(|p| p.ttl.0).max().unwrap_or(0);
        if record.ttl > most || record.ttl < least {
            let text = format!("answers by this rule may be kept for {} s", record.ttl);
            let hint = format!("between {least} and {most}");
            self.find(Code::Ttl, spot.clone(), text, Some(&hint));
        }
    }

    /// What is to be said of one rule's record.
    fn rule(&mut self, record: Record<'_>, spot: Spot) {
        let Ok(super::record::Owner::Trigger(trigger)) =
            super::record::read_owner(record.owner, self.origin.as_ref())
        else {
            return;
        };
        let (kind, shown) = (trigger.kind(), self.shown(record.owner));
        let profiles = self.profiles;
        let lacking: Vec<&Profile> =
            profiles.iter().copied().filter(|profile| !profile.has(kind)).collect();
        let text = format!("{shown}: a trigger of kind {}", kind.as_str());
        let concerns = concern::of(Code::Trigger, &lacking);
        self.find_for(concerns, Code::Trigger, spot.clone(), text, None);
        if record.rtype != rdata::CNAME {
            if !rdata::has_text(record.rtype) {
                let text = format!("{shown}: data of type {}", rdata::type_name(record.rtype));
                self.find(Code::UnknownType, spot, text, None);
            }
            return;
        }
        let Ok(action) = action::read_cname(record.rdata) else { return };
        self.breadth(trigger, &action, &shown, &spot);
        self.action(kind, &action, &shown, spot.clone());
        if let Action::Redirect(target) = &action
            && record.owner.below(self.origin.as_ref()) == Some(target.as_ref())
        {
            let text = format!("{shown}: an alias for the trigger's own name");
            self.find(Code::OldPassthru, spot, text, Some("write `CNAME rpz-passthru.`"));
        }
    }

    fn breadth(&mut self, trigger: TriggerRef<'_>, action: &Action, shown: &str, spot: &Spot) {
        let TriggerRef::Name { kind: TriggerKind::QueryName, name, .. } = trigger else { return };
        if *action == Action::Passthru {
            return;
        }
        let (code, what) = match name.label_count() {
            0 => (Code::RootRule, "a rule for all names there are"),
            1 => (Code::TopRule, "a rule for a whole top-level domain"),
            _ => return,
        };
        self.find(code, spot.clone(), format!("{shown}: {what}"), None);
    }

    fn action(&mut self, kind: TriggerKind, action: &Action, shown: &str, spot: Spot) {
        let word = action.as_str();
        let code = match action {
            Action::Passthru => Code::NoExceptions,
            Action::TcpOnly if kind == TriggerKind::NameserverName => Code::TcpOnlyNameserver,
            Action::TcpOnly | Action::Drop | Action::Redirect(_) => Code::Action,
            Action::RedirectBelow(_) => Code::NotExpanded,
            _ => return,
        };
        // Address triggers are where Unbound does not expand; elsewhere only Knot does not.
        let profiles = self.profiles.iter().copied();
        let concerned: Vec<&Profile> = profiles
            .filter(|profile| code != Code::NotExpanded || !profile.expands.contains(&kind))
            .collect();
        let concerns = concern::of(code, &concerned);
        self.find_for(concerns, code, spot, format!("{shown}: the action {word}"), None);
    }

    /// The owner without the zone's name.
    fn shown(&self, owner: NameRef<'_>) -> String {
        match owner.below(self.origin.as_ref()) {
            Some(relative) => format!("`{relative}`"),
            None => format!("`{owner}.`"),
        }
    }

    /// Everything that was found.
    pub fn finish(mut self) -> Report {
        if self.soa.is_none() {
            let text = format!("there is no SOA at `{}.`", self.origin);
            self.find(Code::NoSoa, Spot::default(), text, Some("is that the zone's name?"));
        }
        if !self.has_ns {
            let text = "there is no NS at the zone's own name".to_owned();
            self.find(Code::NoNs, Spot::default(), text, Some("add `@ NS localhost.`"));
        }
        self.report.serial = self.soa.as_ref().map(|soa| soa.serial);
        let collected = std::mem::replace(&mut self.collected, Collected::new(Name::root()));
        collected.finish(&mut self);
        self.report.findings.sort_by(|a, b| {
            (a.spot.line, a.spot.column, a.code).cmp(&(b.spot.line, b.spot.column, b.code))
        });
        self.report
    }
}

const TOO_LONG_HINT: &str = "block a name above it, or give the zone a shorter name: one such owner and the zone is refused";

/// Says of a zone of ours what would be said of its file. What cannot be written is left out of
/// files, so it is no finding about them.
pub fn zone(zone: &super::Zone, profiles: &[&Profile]) -> Report {
    let origin = zone.origin();
    let mut linter = Linter::new(origin.to_owned(), profiles);
    let soa = zone.soa().to_wire();
    let localhost = b"\x09localhost\0".as_slice();
    for (rtype, rdata) in [(rdata::SOA, &soa[..]), (rdata::NS, localhost)] {
        let record = Record { owner: origin, rtype, ttl: zone.soa().ttl, rdata };
        linter.push(record, Spot::default());
    }
    let mut encoder = super::record::Encoder::new(origin);
    let mut walk = zone.walk();
    while let Some((trigger, effect)) = walk.next() {
        if encoder.take(trigger, effect).is_ok() {
            encoder.records().for_each(|record| linter.push(record, Spot::default()));
        }
    }
    linter.finish()
}

/// Looks at the records of a master file, and takes what [`upper_case_lines`] found in its text.
pub fn file(
    mut reader: RecordReader<'_>,
    origin: &Name,
    profiles: &[&Profile],
    upper_case: &[u32],
) -> io::Result<Report> {
    let mut linter = Linter::new(origin.clone(), profiles);
    upper_case.iter().for_each(|line| linter.upper_case(*line));
    while let Some(read) = reader.next()? {
        match read {
            Err(reject) => linter.reject(&reject),
            Ok(Entry { record, line }) => linter.push(record, Spot::line(line)),
        }
    }
    Ok(linter.finish())
}

/// The lines of a master file with an address owner that has `zz` in upper case, which the records
/// no longer show, up to [`KEPT_MAX`].
pub fn upper_case_lines(mut input: impl BufRead) -> io::Result<Vec<u32>> {
    let (mut lines, mut text, mut number) = (Vec::new(), Vec::new(), 0);
    while input.read_until(b'\n', &mut text)? > 0 && lines.len() < KEPT_MAX {
        number += 1;
        let owner = text.split(|b| b.is_ascii_whitespace()).next().unwrap_or_default();
        let has_zz =
            owner.split(|b| *b == b'.').any(|l| l != b"zz" && l.eq_ignore_ascii_case(b"zz"));
        let upper = owner.to_ascii_lowercase();
        if has_zz && memchr::memmem::find(&upper, b".rpz-").is_some() {
            lines.push(number);
        }
        text.clear();
    }
    Ok(lines)
}

/// Adds what is to be said of how many zones there are.
pub fn count_zones(report: &mut Report, zones: usize, profiles: &[&Profile]) {
    let most = profiles.iter().filter_map(|profile| profile.zones_max).min();
    if most.is_some_and(|most| zones > most) {
        let concerns = concern::of(Code::TooManyZones, profiles);
        let text = format!("{zones} zones leave");
        let hint = Some("take fewer of them".to_owned());
        let spot = Spot::default();
        report.counts.insert(Code::TooManyZones, 1);
        report.findings.push(Finding { code: Code::TooManyZones, spot, text, hint, concerns });
    }
}

/// The zone that a master file is about: the name of its SOA; none where that is written relative,
/// or where there is none.
pub fn origin_of(mut reader: RecordReader<'_>) -> io::Result<Option<Name>> {
    while let Some(read) = reader.next()? {
        if let Ok(Entry { record, .. }) = read
            && record.rtype == rdata::SOA
        {
            return Ok((!record.owner.is_root()).then(|| record.owner.to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
