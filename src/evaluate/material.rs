//! What is judged, and what it is judged by: rows of files sorted into evidence before the cut and
//! truth after it.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::{Claims, ClaimsBuilder, RankList};
use crate::model::{Category, Claim, Indicator, Name, Scope, SourceId, Timestamp};
use crate::names::{NameTable, NameTableBuilder};
use crate::pipeline::{Profile, Source};
use crate::scoring::{Model, Reference};

/// The source of the model that weighs for lists that the model does not know.
const UNREVIEWED: &str = "unreviewed_list";
/// Feeds of URLs: what they say of a host is about one page on it, as the shipped configuration
/// reads them.
const URL_FEEDS: [&str; 3] = ["openphish", "phishtank", "urlhaus"];
/// Names up to this rank are judged as the top.
const TOP_RANK_MAX: u32 = 1_000;
/// Seconds of a day.
const DAY_SECONDS: u32 = 86_400;

/// What the name of a file says: `blp_20260720.txt.xz` is the list `blp` of that day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLabel {
    /// The file, for people.
    pub file: String,
    /// Whose list it is.
    pub id: String,
    /// The day it is of.
    pub date: Option<Timestamp>,
}

impl FileLabel {
    /// Reads a file's name without its folder.
    pub fn parse(file: &str) -> Self {
        let stem = file.split('.').next().unwrap_or_default();
        let dated = stem.rsplit_once('_').and_then(|(id, day)| Some((id, compact_date(day)?)));
        let (id, date) = dated.map_or((stem, None), |(id, date)| (id, Some(date)));
        Self { file: file.to_owned(), id: id.to_owned(), date }
    }
}

/// `20260720`.
fn compact_date(text: &str) -> Option<Timestamp> {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    let text = digits.then(|| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]))?;
    Timestamp::parse(&text)
}

/// A line of a list: a name, when it was first seen where the list says so, and a class where it
/// distinguishes. In a popularity list the second field is a rank or tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name.
    pub name: Name,
    /// The second field.
    pub second: Option<String>,
    /// The third field.
    pub class: Option<String>,
}

impl Row {
    /// Reads a line, of fields between tabs. None for comments and what is no host name.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let mut fields = line.split('\t').map(str::trim);
        let name = Name::from_host(fields.next()?).ok()?;
        let mut next = || fields.next().filter(|f| !f.is_empty()).map(str::to_owned);
        Some(Self { name, second: next(), class: next() })
    }

    fn first_seen(&self) -> Option<Timestamp> {
        self.second.as_deref().and_then(Timestamp::parse)
    }

    /// `200`, `100k`.
    fn rank(&self) -> Option<u32> {
        let text = self.second.as_deref()?;
        let (digits, unit) = match text.as_bytes().last()?.to_ascii_lowercase() {
            b'k' => (&text[..text.len() - 1], 1_000),
            b'm' => (&text[..text.len() - 1], 1_000_000),
            _ => (text, 1),
        };
        digits.parse::<u32>().ok()?.checked_mul(unit)
    }
}

/// A feed as it was at the cut.
#[derive(Debug, Clone)]
pub struct Feed {
    /// With its claims.
    pub source: Source,
    /// When its names were first seen, the latest first.
    pub first_seen: Vec<(Timestamp, Name)>,
    /// Whether its rows are dated, so that it can be learnt from.
    pub dated: bool,
}

/// A list that is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameSet {
    /// Whose.
    pub id: String,
    /// The names, sorted.
    pub names: Vec<Name>,
}

/// Something that may not be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct LeftOut {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
    /// How many rows.
    pub rows: usize,
}

/// Everything an evaluation needs.
#[derive(Debug, Clone)]
pub struct Material {
    /// Evidence is what is dated before it.
    pub cut: Timestamp,
    /// Feeds.
    pub feeds: Vec<Feed>,
    /// Popularity lists. Their day is the one before the cut, whatever day they are of: the last
    /// list before the cut stands for the one of the cut.
    pub popularity: Vec<RankList>,
    /// The same with the day they are of.
    pub popularity_days: Vec<(String, Timestamp)>,
    /// What was first seen from the cut on, by source.
    pub truths: Vec<NameSet>,
    /// Names that people use.
    pub benign: Vec<NameSet>,
    /// The most popular names; truth, so their list may be of any day.
    pub top: NameSet,
    /// What was not used.
    pub left_out: Vec<LeftOut>,
}

/// Takes rows and sorts them into [`Material`].
pub struct Gatherer {
    cut: Timestamp,
    feeds: BTreeMap<String, Rows>,
    truths: BTreeMap<String, BTreeSet<Name>>,
    benign: BTreeMap<String, BTreeSet<Name>>,
    ranks: BTreeMap<String, (Timestamp, BTreeMap<Name, u32>)>,
    top: BTreeSet<Name>,
    left_out: BTreeMap<(String, &'static str), usize>,
}

#[derive(Default)]
struct Rows {
    before: BTreeMap<Name, (Timestamp, Category)>,
    dated: bool,
}

impl Gatherer {
    /// Nothing yet.
    pub fn new(cut: Timestamp) -> Self {
        Self {
            cut,
            feeds: BTreeMap::new(),
            truths: BTreeMap::new(),
            benign: BTreeMap::new(),
            ranks: BTreeMap::new(),
            top: BTreeSet::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// Takes a feed: rows before the cut are evidence, dated rows after it are truth.
    pub fn feed(&mut self, label: &FileLabel, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            let id = source_id(label, &row);
            match (row.first_seen(), label.date) {
                (Some(at), _) if at >= self.cut => {
                    self.truths.entry(id).or_default().insert(row.name);
                }
                (Some(at), _) => self.evidence(id, row, at, true),
                (None, Some(date)) if date < self.cut => self.evidence(id, row, date, false),
                (None, Some(_)) => self.leave_out(label, "it is of a day at or after the cut"),
                (None, None) => self.leave_out(label, "it has no date"),
            }
        }
    }

    /// Takes truth that is no evidence, whatever its date, but for rows before the cut. Rows
    /// without a date are what their giver says they are.
    pub fn truth(&mut self, label: &FileLabel, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            let id = source_id(label, &row);
            match row.first_seen().or(label.date) {
                Some(at) if at < self.cut => {
                    self.leave_out(label, "as truth it is of a day before the cut");
                }
                _ => {
                    self.truths.entry(id).or_default().insert(row.name);
                }
            }
        }
    }

    /// Takes names that people use.
    pub fn benign(&mut self, label: &FileLabel, rows: impl IntoIterator<Item = Row>) {
        let names = rows.into_iter().map(|row| row.name);
        self.benign.entry(label.id.clone()).or_default().extend(names);
    }

    /// Takes a popularity list. One of a day before the cut is evidence; of each, the newest. Its
    /// first thousand are judged as well, whatever day it is of, where it has ranks. Names without
    /// one have that of the last: the size of the list, to the next thousand.
    pub fn popularity(&mut self, label: &FileLabel, rows: impl IntoIterator<Item = Row>) {
        let rows: Vec<Row> = rows.into_iter().collect();
        let size = rows.len().next_multiple_of(1_000) as u32;
        let mut ranks = BTreeMap::new();
        for row in rows {
            let rank = row.rank();
            if rank.is_some_and(|rank| rank <= TOP_RANK_MAX) {
                self.top.insert(row.name.clone());
            }
            ranks.insert(row.name, rank.unwrap_or(size));
        }
        match label.date {
            Some(date) if date < self.cut => {
                let newer = self.ranks.get(&label.id).is_none_or(|(held, _)| *held < date);
                if newer {
                    self.ranks.insert(label.id.clone(), (date, ranks));
                }
            }
            date => {
                let reason = match date {
                    Some(_) => "it is of a day at or after the cut; only its top is judged",
                    None => "it has no date",
                };
                *self.left_out.entry((label.file.clone(), reason)).or_default() += ranks.len();
            }
        }
    }

    fn evidence(&mut self, id: String, row: Row, at: Timestamp, dated: bool) {
        let category = match row.class.as_deref() {
            Some(class) => Category::parse(class).unwrap_or(Category::Suspicious),
            None if URL_FEEDS.contains(&id.as_str()) => Category::Phishing,
            None => Category::Suspicious,
        };
        let rows = self.feeds.entry(id).or_default();
        rows.dated |= dated;
        let held = rows.before.entry(row.name).or_insert((at, category));
        held.0 = held.0.min(at);
    }

    fn leave_out(&mut self, label: &FileLabel, reason: &'static str) {
        *self.left_out.entry((label.file.clone(), reason)).or_default() += 1;
    }

    /// Everything, for weights of a model. What a source had before the cut is not news of it.
    pub fn finish(self, model: &Model) -> Material {
        let cut = self.cut;
        let mut truths = self.truths;
        for (id, names) in &mut truths {
            if let Some(rows) = self.feeds.get(id) {
                names.retain(|name| !rows.before.contains_key(name));
            }
        }
        let feeds = self.feeds.into_iter().map(|(id, rows)| feed(&id, rows, model, cut)).collect();
        let day = (cut.0 / DAY_SECONDS).saturating_sub(1);
        let set = |(id, names): (String, BTreeSet<Name>)| NameSet {
            id,
            names: names.into_iter().collect(),
        };
        Material {
            cut,
            feeds,
            popularity_days: self.ranks.iter().map(|(id, (at, _))| (id.clone(), *at)).collect(),
            popularity: self
                .ranks
                .into_iter()
                .map(|(id, (_, r))| rank_list(&id, day, &r))
                .collect(),
            truths: truths.into_iter().map(set).filter(|set| !set.names.is_empty()).collect(),
            benign: self.benign.into_iter().map(set).filter(|s| !s.names.is_empty()).collect(),
            top: set(("top 1,000".to_owned(), self.top)),
            left_out: self
                .left_out
                .into_iter()
                .map(|((file, reason), rows)| LeftOut { file, reason: reason.to_owned(), rows })
                .collect(),
        }
    }
}

/// A feed whose rows have classes is as many sources.
fn source_id(label: &FileLabel, row: &Row) -> String {
    let plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_' || *c == '-';
    match row.class.as_deref().filter(|class| class.chars().all(|c| plain(&c))) {
        Some(class) => format!("{}_{class}", label.id),
        None => label.id.clone(),
    }
}

fn feed(id: &str, rows: Rows, model: &Model, cut: Timestamp) -> Feed {
    let weighs_as = if model.source_index(id).is_some() { id } else { UNREVIEWED };
    let index = model.source_index(weighs_as);
    let reference = index.map(|index| model.source(index).reference());
    // A list that takes entries off again and still had this one at the cut.
    let stands = rows.dated && reference == Some(Reference::LastPresent);
    let scope = if URL_FEEDS.contains(&id) { Scope::Url } else { Scope::Name };
    let mut builder = ClaimsBuilder::default();
    for (name, (at, category)) in &rows.before {
        let last_seen = if stands { cut } else { *at };
        let claim = Claim { first_seen: *at, last_seen, scope, category: *category };
        builder.push(&Indicator::Domain(name.clone()), claim, false);
    }
    let mut first_seen: Vec<(Timestamp, Name)> =
        rows.before.into_iter().map(|(name, (at, _))| (at, name)).collect();
    first_seen.sort_by(|a, b| b.cmp(a));
    Feed {
        source: Source { profile: Profile::scored(id, weighs_as), claims: builder.finish(None) },
        first_seen,
        dated: rows.dated,
    }
}

impl Feed {
    /// Its claims.
    pub fn claims(&self) -> &Claims {
        &self.source.claims
    }

    /// The names that it listed first in the last days before the cut.
    pub fn listed_within(&self, days: u32, cut: Timestamp) -> &[(Timestamp, Name)] {
        let since = Timestamp(cut.0.saturating_sub(days * DAY_SECONDS));
        &self.first_seen[..self.first_seen.partition_point(|(at, _)| *at >= since)]
    }
}

fn rank_list(id: &str, day: u32, ranks: &BTreeMap<Name, u32>) -> RankList {
    let mut builder = NameTableBuilder::new(4, None);
    ranks.iter().for_each(|(name, rank)| builder.push(name.as_ref(), &rank.to_le_bytes()));
    RankList { source: SourceId::new(id), day, ranks: NameTable::built(builder) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: &str = "2026-07-01";

    fn gathered(fill: impl Fn(&mut Gatherer)) -> Material {
        let mut gatherer = Gatherer::new(Timestamp::parse(CUT).unwrap());
        fill(&mut gatherer);
        gatherer.finish(&Model::shipped())
    }

    fn rows(text: &str) -> Vec<Row> {
        text.lines().filter_map(Row::parse).collect()
    }

    fn names(set: &[Name]) -> Vec<String> {
        set.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_name_of_a_file_tells_whose_it_is_and_of_which_day() {
        for (file, id, date) in [
            ("blp_20260720.txt.xz", "blp", Some("2026-07-20")),
            ("cloudflare100k_tier_20260810.tsv", "cloudflare100k_tier", Some("2026-08-10")),
            ("safelist_tier3_202510.dev.txt.xz", "safelist_tier3_202510", None),
            ("openphish.tsv.xz", "openphish", None),
            ("odd_20269999.txt", "odd_20269999", None),
        ] {
            let label = FileLabel::parse(file);
            let expected = date.map(|d| Timestamp::parse(d).unwrap());
            assert_eq!((label.id.as_str(), label.date), (id, expected), "{file}");
        }
    }

    #[test]
    fn rows_before_the_cut_are_evidence_and_rows_after_it_are_truth() {
        let material = gathered(|g| {
            let label = FileLabel::parse("maltrail.tsv");
            let text = "old.net\t2026-06-30\tmalware\nnew.net\t2026-07-01\tmalware\n# no\n\
                        both.net\t2026-06-01\tmalware\nboth.net\t2026-07-05\tmalware\nx.net\t5\tsuspicious\n";
            g.feed(&label, rows(text));
        });
        let ids: Vec<&str> = material.feeds.iter().map(|f| f.source.profile.id.as_str()).collect();
        assert_eq!(ids, ["maltrail_malware", "maltrail_suspicious"]);
        let malware = &material.feeds[0];
        assert_eq!(malware.claims().len(), 2);
        let old = Name::from_host("old.net").unwrap();
        let claim = malware.claims().name(old.as_ref()).unwrap().claim;
        assert_eq!(claim.last_seen, material.cut, "a state list still had it");
        assert_eq!(claim.category, Category::Malware);
        assert_eq!(malware.listed_within(3, material.cut).len(), 1);
        assert_eq!(malware.listed_within(30, material.cut).len(), 2);
        assert_eq!(material.truths.len(), 1);
        assert_eq!(names(&material.truths[0].names), ["new.net"]);
    }

    #[test]
    fn nothing_of_a_day_at_or_after_the_cut_is_evidence() {
        let material = gathered(|g| {
            g.feed(&FileLabel::parse("blp_20260701.txt"), rows("a.net\nb.net\n"));
            g.feed(&FileLabel::parse("jarelllama_20250320.txt"), rows("c.net\n"));
            g.feed(&FileLabel::parse("undated.txt"), rows("d.net\n"));
            g.popularity(&FileLabel::parse("radar_20260810.tsv"), rows("e.net\t1k\nf.net\t2k\n"));
            g.popularity(&FileLabel::parse("tranco_20250115.txt"), rows("g.net\n"));
            g.popularity(&FileLabel::parse("tranco_20240115.txt"), rows("h.net\ni.net\n"));
        });
        assert_eq!(material.feeds.len(), 1);
        assert!(!material.feeds[0].dated);
        assert_eq!(material.popularity.len(), 1);
        assert_eq!(material.popularity[0].ranks.len(), 1);
        assert_eq!(names(&material.top.names), ["e.net"]);
        let left: Vec<(&str, usize)> =
            material.left_out.iter().map(|l| (l.file.as_str(), l.rows)).collect();
        assert_eq!(left, [("blp_20260701.txt", 2), ("radar_20260810.tsv", 2), ("undated.txt", 1)]);
    }

    #[test]
    fn truth_of_its_own_is_never_evidence_and_never_older_than_the_cut() {
        let material = gathered(|g| {
            let label = FileLabel::parse("openphish.tsv");
            g.feed(&label, rows("known.net\t2026-06-30\n"));
            g.truth(
                &label,
                rows("known.net\t2026-07-09\nfresh.net\t2026-07-09\nold.net\t2026-06-09\n"),
            );
        });
        assert_eq!(material.feeds[0].claims().len(), 1);
        assert_eq!(names(&material.truths[0].names), ["fresh.net"]);
        assert_eq!(material.left_out.len(), 1);
    }
}
