//! What is blocked as STIX 2.1 indicators.
//!
//! An indicator's id follows from what it is about, so that it is the same in every state. It holds
//! for two weeks from the beginning of the week and is issued anew every week; so a collector that
//! asks for what was added since it last asked learns of news at once, and what is no longer
//! blocked runs out without anybody keeping a list of the dead.
//!
//! Objects lie in a file in the order in which they were added, each followed by a comma and a new
//! line, so that any run of them is a piece of the file. [`Index`] says where each begins.

use std::io::{self, Write};

use ring::digest;
use serde::Serialize;

use super::blocked::{Blocked, BlockedName};
use super::reasons;
use crate::model::{Indicator, Network, Timestamp};

/// Seconds of a week.
const WEEK_SECONDS: u32 = 7 * 86_400;
/// 1970-01-01 was a Thursday; weeks begin on Monday.
const MONDAY_SECONDS: u32 = 4 * 86_400;
/// The namespace of our ids (RFC 9562 section 5.5), made once at random.
const NAMESPACE: [u8; 16] = [
    0x6b, 0x1d, 0x0e, 0x4c, 0x83, 0x5f, 0x4a, 0x0b, 0x9c, 0x52, 0x2f, 0x77, 0x1e, 0x90, 0xd4, 0xa6,
];
/// The most indicators; beyond this a SIEM has other troubles.
pub const OBJECTS_MAX: usize = 5_000_000;
/// What stands between two objects.
pub const SEPARATOR: &str = ",\n";

/// A STIX indicator.
#[derive(Debug, Serialize)]
struct Object {
    r#type: &'static str,
    spec_version: &'static str,
    id: String,
    created: String,
    modified: String,
    name: String,
    description: String,
    indicator_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<u8>,
    pattern: String,
    pattern_type: &'static str,
    valid_from: String,
    valid_until: String,
    labels: Vec<String>,
}

/// Where an object lies, and when it was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When, in seconds since 1970.
    pub added: u32,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its octets, the separator not counted.
    pub length: u32,
    /// The first half of its id.
    pub id: u64,
}

/// Where objects lie, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Index {
    entries: Vec<Entry>,
    /// Positions in the order of ids.
    by_id: Vec<u32>,
}

impl Index {
    /// Of entries in the order of the file.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut by_id: Vec<u32> = (0..u32::try_from(entries.len()).unwrap_or(0)).collect();
        by_id.sort_by_key(|at| entries[*at as usize].id);
        Self { entries, by_id }
    }

    /// All objects.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The position of the object with an id.
    pub fn find(&self, id: u64) -> Option<usize> {
        let found = self.by_id.binary_search_by_key(&id, |at| self.entries[*at as usize].id);
        found.ok().map(|at| self.by_id[at] as usize)
    }

    /// The position of the first object that was added after a time.
    pub fn after(&self, time: Timestamp) -> usize {
        self.entries.partition_point(|entry| entry.added <= time.0)
    }
}

/// Writes every indicator in the order of names, and gives where each lies, to be put in the order
/// of time.
pub fn write(
    blocked: Blocked<'_>,
    networks: &[Network],
    now: Timestamp,
    out: &mut impl Write,
) -> io::Result<Vec<Entry>> {
    let mut writer = Writer { out, entries: Vec::new(), offset: 0, week: week_of(now) };
    blocked.each_name(|name| writer.name(blocked, &name))?;
    for network in networks {
        writer.network(blocked, *network)?;
    }
    Ok(writer.entries)
}

struct Writer<'w, W> {
    out: &'w mut W,
    entries: Vec<Entry>,
    offset: u64,
    week: Timestamp,
}

impl<W: Write> Writer<'_, W> {
    fn name(&mut self, blocked: Blocked<'_>, name: &BlockedName<'_>) -> io::Result<()> {
        let verdict = blocked.state.verdicts.of(name.name);
        let mut labels = vec![name.zone.zone.origin().to_string()];
        labels.extend(verdict.map(|verdict| verdict.category.to_string()));
        let sources = reasons::sources(blocked.state, name.name).join(", ");
        let text = name.name.to_string();
        let value = escaped(&text);
        let pattern = match (name.itself, name.below && !name.has_exception) {
            (true, false) => format!("[domain-name:value = '{value}']"),
            (true, true) => {
                format!("[domain-name:value = '{value}' OR domain-name:value LIKE '%.{value}']")
            }
            (false, true) => format!("[domain-name:value LIKE '%.{value}']"),
            (false, false) => return Ok(()),
        };
        self.put(Subject {
            text,
            pattern,
            since: reasons::since(blocked.state, name.name),
            score: verdict.map(|verdict| verdict.score),
            labels,
            sources,
        })
    }

    fn network(&mut self, blocked: Blocked<'_>, network: Network) -> io::Result<()> {
        let text = network.to_string();
        let kind = if network.address().is_ipv4() { "ipv4-addr" } else { "ipv6-addr" };
        let indicator = Indicator::Network(network);
        let verdicts = &blocked.state.network_verdicts;
        let found = verdicts.binary_search_by(|(held, _)| held.cmp(&indicator)).ok();
        let verdict = found.map(|at| verdicts[at].1);
        self.put(Subject {
            pattern: format!("[{kind}:value = '{text}']"),
            text,
            since: verdict.map(|verdict| verdict.since),
            score: verdict.map(|verdict| verdict.score),
            labels: verdict.map(|verdict| verdict.category.to_string()).into_iter().collect(),
            sources: String::new(),
        })
    }

    fn put(&mut self, subject: Subject) -> io::Result<()> {
        if self.entries.len() == OBJECTS_MAX {
            return Err(io::Error::other(format!("more than {OBJECTS_MAX} indicators")));
        }
        let since = subject.since.unwrap_or(self.week);
        let added = since.max(self.week);
        let (high, id) = id_of(&subject.text);
        let object = Object {
            r#type: "indicator",
            spec_version: "2.1",
            id: format!("indicator--{id}"),
            created: rfc3339(since),
            modified: rfc3339(added),
            name: subject.text,
            description: match subject.sources.is_empty() {
                true => "blocked by policy".to_owned(),
                false => format!("blocked by policy; named by {}", subject.sources),
            },
            indicator_types: ["malicious-activity"],
            confidence: subject.score.map(confidence),
            pattern: subject.pattern,
            pattern_type: "stix",
            valid_from: rfc3339(since),
            valid_until: rfc3339(self.week.plus_seconds(2 * WEEK_SECONDS)),
            labels: subject.labels,
        };
        let line = serde_json::to_string(&object)?;
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(SEPARATOR.as_bytes())?;
        let length = u32::try_from(line.len()).map_err(io::Error::other)?;
        self.entries.push(Entry { added: added.0, offset: self.offset, length, id: high });
        self.offset += u64::from(length) + SEPARATOR.len() as u64;
        Ok(())
    }
}

/// What an indicator is about.
struct Subject {
    text: String,
    pattern: String,
    since: Option<Timestamp>,
    score: Option<i32>,
    labels: Vec<String>,
    sources: String,
}

/// The beginning of the week.
fn week_of(now: Timestamp) -> Timestamp {
    let since_monday = (now.0.wrapping_sub(MONDAY_SECONDS)) % WEEK_SECONDS;
    Timestamp(now.0 - since_monday.min(now.0))
}

/// A version 5 UUID, and its first half as a number.
pub fn id_of(subject: &str) -> (u64, String) {
    // RFC 9562 section 5.5 asks for SHA-1; nothing rests on its strength.
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&NAMESPACE);
    context.update(subject.as_bytes());
    let hash = context.finish();
    let mut octets = [0; 16];
    octets.copy_from_slice(&hash.as_ref()[..16]);
    octets[6] = octets[6] & 0x0f | 0x50;
    octets[8] = octets[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&octets);
    let high = u64::from_be_bytes(octets[..8].try_into().expect("eight octets"));
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    (high, parts.join("-"))
}

/// The first half of the id in `indicator--UUID`.
pub fn read_id(text: &str) -> Option<u64> {
    let hex: String = text.strip_prefix("indicator--")?.chars().filter(|c| *c != '-').collect();
    u64::from_str_radix(hex.get(..16)?, 16).ok().filter(|_| hex.len() == 32)
}

/// The chance that the score speaks of, in percent: its millibans are 1000 · log10 of the odds.
fn confidence(mban: i32) -> u8 {
    let odds = 10f64.powf(f64::from(mban) / 1000.0);
    (100.0 * odds / (1.0 + odds)).round() as u8
}

/// A string in a pattern (STIX 2.1 section 9.2).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

/// A time as STIX writes it (RFC 3339, UTC, milliseconds).
pub fn rfc3339(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(i64::from(at.0)).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_weeks_are_those_of_the_calendar() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Timestamp(951_782_400)), "2000-02-29T00:00:00.000Z");
        // 2026-11-24 is a Tuesday.
        let now = Timestamp::parse("2026-11-24T12:00:00Z").unwrap();
        assert_eq!(rfc3339(week_of(now)), "2026-11-23T00:00:00.000Z");
        assert_eq!(rfc3339(week_of(week_of(now))), "2026-11-23T00:00:00.000Z");
    }

    #[test]
    fn ids_follow_from_their_subject() {
        let (high, id) = id_of("bad.example");
        assert_eq!(id_of("bad.example"), (high, id.clone()));
        assert_ne!(id_of("worse.example").0, high);
        assert_eq!(read_id(&format!("indicator--{id}")), Some(high));
        assert_eq!(&id[14..15], "5");
        assert_eq!(read_id("indicator--x"), None);
        assert_eq!(read_id(&id), None);
    }

    #[test]
    fn confidence_is_the_chance_that_the_score_speaks_of() {
        assert_eq!([0, 1000, 1500, -3000].map(confidence), [50, 91, 97, 0]);
    }

    #[test]
    fn an_index_finds_objects_by_time_and_by_id() {
        let entry = |added, id| Entry { added, offset: 0, length: 1, id };
        let index = Index::new(vec![entry(5, 9), entry(5, 3), entry(8, 7)]);
        assert_eq!([4, 5, 7, 8].map(|at| index.after(Timestamp(at))), [0, 2, 2, 3]);
        assert_eq!([9, 3, 7, 1].map(|id| index.find(id)), [Some(0), Some(1), Some(2), None]);
    }
}
