//! Rows of fields with any delimiter, of which the configuration names the columns that matter.
//!
//! Columns are named by number (from 1) or by their name in a header, which may be the first row or
//! a comment (`# first_seen,ioc_value`). A header without a wanted name means that the feed has
//! changed its layout, and the feed is refused rather than misread. A record is one line: a
//! quotation that runs over the end of its line is a reject, so that one stray quote cannot swallow
//! a feed.

mod fields;

use std::collections::BTreeMap;
use std::io::BufRead;

use fields::Fields;

use super::lines::{self, Opening};
use super::report::{Tally, host_name};
use super::{Entry, Limits, ParseError, Reason, Report, networks, neutralised, urls};
use crate::model::{Category, Indicator, Network, Timestamp};

/// Which columns matter and what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvLayout {
    /// What stands between fields: `,`, `;`, `|`, a tab or another character.
    pub delimiter: char,
    /// The column that names the subject.
    pub subject: Column,
    /// What the subject column holds.
    pub kind: SubjectKind,
    /// The column with the date of the first sighting.
    pub first_seen: Option<Column>,
    /// The column with the date of the last sighting.
    pub last_seen: Option<Column>,
    /// The column with the feed's word for what it is.
    pub category: Option<Column>,
    /// The feed's words in lower case, and what they mean here. Words that are not in it count if
    /// they are a category's own name; the source's category stands for the others.
    pub categories: BTreeMap<String, Category>,
    /// Rows that do not meet all of these are left out.
    pub conditions: Vec<Condition>,
}

impl CsvLayout {
    /// A layout with nothing but a subject of any kind.
    pub fn new(delimiter: char, subject: Column) -> Self {
        Self {
            delimiter,
            subject,
            kind: SubjectKind::Any,
            first_seen: None,
            last_seen: None,
            category: None,
            categories: BTreeMap::new(),
            conditions: Vec::new(),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        std::iter::once(&self.subject)
            .chain(&self.first_seen)
            .chain(&self.last_seen)
            .chain(&self.category)
            .chain(self.conditions.iter().map(|condition| &condition.column))
    }
}

/// A column by number, from 1, or by its name in the header (letter case does not matter).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By number, from 1.
    Number(usize),
    /// By name.
    Name(String),
}

/// What the subject column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectKind {
    /// Any of the others, told apart by form.
    #[default]
    Any,
    /// Host names.
    Name,
    /// URLs.
    Url,
    /// Addresses (perhaps with a port) and prefixes.
    Network,
    /// AS numbers, with or without `AS`.
    As,
}

/// What a column must hold for a row to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column.
    pub column: Column,
    /// What it must hold.
    pub test: Test,
}

/// What a column must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// One of these words; letter case does not matter.
    OneOf(Vec<String>),
    /// A whole number that is not smaller.
    AtLeast(u64),
}

impl Test {
    fn holds(&self, field: &str) -> bool {
        match self {
            Self::OneOf(words) => words.iter().any(|word| word.eq_ignore_ascii_case(field)),
            Self::AtLeast(least) => field.parse::<u64>().is_ok_and(|number| number >= *least),
        }
    }
}

pub(super) fn parse(
    layout: &CsvLayout,
    reader: &mut dyn BufRead,
    limits: &Limits,
    sink: &mut dyn FnMut(Entry),
) -> Result<Report, ParseError> {
    let mut places = Places::by_number(layout);
    let mut fields = Fields::new(layout.delimiter);
    let mut last_line = 0;
    let report = lines::each(reader, limits, sink, Opening::Text, |text, tally| {
        last_line = tally.line();
        let comment = text.trim_start().strip_prefix('#');
        match (&places, comment) {
            (Some(places), None) => row(layout, places, text, &mut fields, tally),
            (_, Some(comment)) => {
                if places.is_none() && fields.split(comment).is_ok() {
                    places = Places::by_header(layout, &fields).ok();
                }
                tally.comment(comment);
            }
            (None, None) => {
                places = Some(header(layout, text, &mut fields, last_line)?);
                tally.blank();
            }
        }
        Ok(())
    })?;
    match places {
        Some(_) => Ok(report),
        // Nothing but comments, none of which was the header.
        None => header(layout, "", &mut fields, last_line).map(|_| report),
    }
}

/// Reads the row that must be the header.
fn header(
    layout: &CsvLayout,
    text: &str,
    fields: &mut Fields,
    line: u64,
) -> Result<Places, ParseError> {
    let found = neutralised(text);
    if fields.split(text).is_err() {
        return Err(ParseError::ColumnMissing { line, missing: String::new(), found });
    }
    Places::by_header(layout, fields).map_err(|missing| ParseError::ColumnMissing {
        line,
        missing,
        found,
    })
}

/// The layout with its columns found: positions from 0, in the order of [`CsvLayout::columns`].
struct Places {
    subject: usize,
    first_seen: Option<usize>,
    last_seen: Option<usize>,
    category: Option<usize>,
    conditions: Vec<usize>,
}

impl Places {
    /// The places of a layout that needs no header.
    fn by_number(layout: &CsvLayout) -> Option<Self> {
        let is_number = |column: &Column| matches!(column, Column::Number(_));
        match layout.columns().all(is_number) {
            true => Self::find(layout, |_| None).ok(),
            false => None,
        }
    }

    /// The places by a header, or the first name that is not in it.
    fn by_header(layout: &CsvLayout, header: &Fields) -> Result<Self, String> {
        Self::find(layout, |name| header.iter().position(|field| field.eq_ignore_ascii_case(name)))
    }

    fn find(layout: &CsvLayout, place_of: impl Fn(&str) -> Option<usize>) -> Result<Self, String> {
        let place = |column: &Column| match column {
            Column::Number(number) => Ok(number.saturating_sub(1)),
            Column::Name(name) => place_of(name).ok_or_else(|| name.clone()),
        };
        let optional = |column: &Option<Column>| column.as_ref().map(place).transpose();
        let conditions = layout.conditions.iter().map(|condition| place(&condition.column));
        Ok(Self {
            subject: place(&layout.subject)?,
            first_seen: optional(&layout.first_seen)?,
            last_seen: optional(&layout.last_seen)?,
            category: optional(&layout.category)?,
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }
}

fn row(
    layout: &CsvLayout,
    places: &Places,
    text: &str,
    fields: &mut Fields,
    tally: &mut Tally<'_>,
) {
    if let Err(reason) = fields.split(text) {
        return tally.reject(text, reason);
    }
    for (condition, place) in layout.conditions.iter().zip(&places.conditions) {
        match fields.field(*place) {
            None => return tally.reject(text, Reason::ColumnMissing(place + 1)),
            Some(field) if condition.test.holds(&field) => {}
            Some(_) => return,
        }
    }
    let claim = match fields.field(places.subject) {
        None => Err(Reason::ColumnMissing(places.subject + 1)),
        Some(field) => subject(layout.kind, &field, tally.limits),
    };
    match claim {
        Err(reason) => tally.reject(text, reason),
        Ok(claim) => {
            let first_seen = date(places.first_seen, fields, tally);
            let last_seen = date(places.last_seen, fields, tally);
            let category = places.category.and_then(|place| category(layout, place, fields));
            tally.entry(Entry { first_seen, last_seen, category, ..claim });
        }
    }
}

fn subject(kind: SubjectKind, field: &str, limits: &Limits) -> Result<Entry, Reason> {
    let name = || host_name(field, limits).map(|name| Entry::of(Indicator::Domain(name)));
    let network = |network: Network| Entry::of(Indicator::Network(network));
    match kind {
        _ if field.is_empty() => Err(Reason::Empty),
        SubjectKind::Name => name(),
        SubjectKind::Url => urls::entry(field, limits),
        SubjectKind::Network => networks::network(field).map(network),
        SubjectKind::As => {
            let number = networks::as_number(field)
                .unwrap_or_else(|| field.parse().map_err(|_| Reason::AsNumber))?;
            Ok(Entry::of(Indicator::As(number)))
        }
        SubjectKind::Any => match networks::network(field) {
            Ok(found) => Ok(network(found)),
            Err(Reason::CoversEverything) => Err(Reason::CoversEverything),
            Err(_) => match networks::as_number(field) {
                Some(Ok(number)) => Ok(Entry::of(Indicator::As(number))),
                _ if field.contains(['/', ':']) => urls::entry(field, limits),
                _ => name(),
            },
        },
    }
}

/// The date in a field; a field that holds something else is counted. Feeds write nothing, `None`
/// or `-` where they know no date.
fn date(place: Option<usize>, fields: &Fields, tally: &mut Tally<'_>) -> Option<Timestamp> {
    let field = fields.field(place?)?;
    let date = Timestamp::parse(&field);
    if date.is_none() && !["", "none", "null", "-"].contains(&field.to_ascii_lowercase().as_str()) {
        tally.report.dates_unread += 1;
    }
    date
}

fn category(layout: &CsvLayout, place: usize, fields: &Fields) -> Option<Category> {
    let word = fields.field(place)?.to_ascii_lowercase();
    layout.categories.get(&word).copied().or_else(|| Category::parse(&word))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{claims, read, rejects};
    use super::super::{Format, Limits, parse};
    use super::*;

    fn named(name: &str) -> Column {
        Column::Name(name.to_owned())
    }

    fn urlhaus() -> Format {
        Format::Csv(CsvLayout {
            kind: SubjectKind::Url,
            first_seen: Some(named("dateadded")),
            last_seen: Some(named("last_online")),
            category: Some(named("threat")),
            categories: [("malware_download".to_owned(), Category::Malware)].into(),
            conditions: vec![Condition {
                column: named("url_status"),
                test: Test::OneOf(vec!["online".to_owned()]),
            }],
            ..CsvLayout::new(',', named("url"))
        })
    }

    #[test]
    fn a_header_may_be_a_comment_and_fields_may_be_quoted() {
        let text = "################\n# URLhaus export #\n\
            # id,dateadded,url,url_status,last_online,threat\n\
            \"1\",\"2026-08-20 10:15:04\",\"http://a.example/x,y\",\"online\",\"\",\"malware_download\"\n\
            \"2\",\"2026-08-20 10:15:04\",\"http://b.example/\",\"offline\",\"\",\"malware_download\"\n\
            \"3\",\"soon\",\"http://c.example/\",\"Online\",\"2026-08-21 00:00:00\",\"phishing\"\n";
        let (entries, report) = read(&urlhaus(), text.as_bytes());
        assert_eq!(claims(&urlhaus(), text), "a.example/ c.example");
        assert_eq!(entries[0].first_seen, Timestamp::parse("2026-08-20T10:15:04Z"));
        assert_eq!(entries[0].last_seen, None);
        assert_eq!(entries[0].category, Some(Category::Malware));
        assert_eq!(entries[1].first_seen, None);
        assert_eq!(entries[1].last_seen, Timestamp::parse("2026-08-21"));
        assert_eq!(entries[1].category, Some(Category::Phishing));
        assert_eq!((report.lines_blank, report.lines_ignored, report.dates_unread), (3, 1, 1));
    }

    #[test]
    fn a_space_before_a_quotation_does_not_break_it() {
        let format = Format::Csv(CsvLayout {
            last_seen: Some(named("last_seen_utc")),
            ..CsvLayout::new(',', named("ioc_value"))
        });
        let text = "# first_seen_utc, tags, ioc_value, last_seen_utc\n\
            \"2026-08-20 09:00:00\", \"rat,elf\", \"c2.example\", \"None\"\n\
            \"2026-08-20 09:00:00\", \"a \"\"b\"\"\", \"192.0.2.1:443\", \"2026-08-20 09:00:00\"\n";
        assert_eq!(claims(&format, text), "c2.example 192.0.2.1");
        assert_eq!(read(&format, text.as_bytes()).1.dates_unread, 0);
    }

    #[test]
    fn columns_by_number_need_no_header() {
        let format = Format::Csv(CsvLayout {
            first_seen: Some(Column::Number(2)),
            category: Some(Column::Number(3)),
            conditions: vec![Condition { column: Column::Number(4), test: Test::AtLeast(3) }],
            ..CsvLayout::new('\t', Column::Number(1))
        });
        let text =
            "a.example\t1767395415\tmalware\t3\nb.example\t1767395415\tmalware\t2\nc.example\n";
        let (entries, _) = read(&format, text.as_bytes());
        assert_eq!(claims(&format, text), "a.example");
        assert_eq!(entries[0].first_seen, Some(Timestamp(1_767_395_415)));
        assert_eq!(entries[0].category, Some(Category::Malware));
        assert_eq!(rejects(&format, text), ["3: the row has no column 4"]);
    }

    #[test]
    fn a_changed_layout_refuses_the_feed() {
        let refusal = |text: &str| {
            parse(&urlhaus(), &mut text.as_bytes(), &Limits::default(), &mut |_| {})
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refusal("# list\nid,added,link\n1,2,http://a.example/\n"),
            "line 2: no column \"url\"; the header has id,added,link"
        );
        assert!(refusal("# only\n# comments\n").starts_with("line 2: no column \"url\""));
    }

    #[test]
    fn subjects_of_every_kind_are_told_apart() {
        let any = Format::Csv(CsvLayout::new(';', Column::Number(1)));
        let text = "a.example;x\n192.0.2.0/24\nAS64500\nhttp://b.example/x\n2001:db8::1\nc.example/x\n\
                    asd.example\n \"d.example\" ;\n;x\n0.0.0.0/0\n\"e.example\n";
        assert_eq!(
            claims(&any, text),
            "a.example 192.0.2.0/24 AS64500 b.example/ 2001:db8::1 c.example/ asd.example d.example"
        );
        assert_eq!(
            rejects(&any, text),
            [
                "9: the field is empty",
                "10: this would cover everything",
                "11: a quotation does not end on its line"
            ]
        );
        let of = |kind| Format::Csv(CsvLayout { kind, ..CsvLayout::new(',', Column::Number(1)) });
        assert_eq!(claims(&of(SubjectKind::As), "64500\nAS64501\n"), "AS64500 AS64501");
        assert_eq!(rejects(&of(SubjectKind::As), "x\n"), ["1: not an AS number"]);
        assert_eq!(rejects(&of(SubjectKind::Name), "192.0.2.1\n").len(), 1);
        assert_eq!(rejects(&of(SubjectKind::Network), "a.example\n").len(), 1);
    }
}
