//! The tables `[[source]]`.

use std::collections::BTreeMap;

use super::super::Source;
use super::{TEXT_OCTETS_MAX, words};
use crate::bgp::load;
use crate::diagnostic::Diagnostic;
use crate::document::{Table, Value};
use crate::model::{Category, SourceId, Trust};
use crate::pipeline::Ranks;
use crate::policy::file::v1::MODES;
use crate::ports::Location;
use crate::scoring::Reference;
use crate::source::feed::{Column, Condition, CsvLayout, Format, RankLayout, SubjectKind, Test};
use crate::source::settings::{Role, Source as Settings, Terms};
use crate::zone::Mode;

/// The most sources.
const SOURCES_MAX: usize = 1000;
/// No list asks to be fetched more often; abuse.ch names five minutes as its limit.
const INTERVAL_SECONDS_MIN: u32 = 300;
/// A source that is fetched less often than monthly is no source of current claims.
const INTERVAL_SECONDS_MAX: u32 = 31 * 86_400;
/// Once a day, as most lists are made.
const INTERVAL_SECONDS: u32 = 86_400;
/// The smallest bound on one fetch, in octets.
const SIZE_OCTETS_MIN: u64 = 1 << 20;
/// The largest, ten times what the largest public lists have.
const SIZE_OCTETS_MAX: u64 = 1 << 30;
/// The most columns, words and conditions of a CSV source.
const CSV_ITEMS_MAX: usize = 100;

#[derive(Clone, Copy)]
enum FormatWord {
    Domains,
    Hosts,
    Adguard,
    Dnsmasq,
    Csv,
    Urls,
    Networks,
    SpamhausJson,
    MispWarninglist,
    Rpz,
    Ranks,
    PublicSuffixList,
    Routes(load::Format),
}

const FORMATS: [(&str, FormatWord); 19] = [
    ("domains", FormatWord::Domains),
    ("hosts", FormatWord::Hosts),
    ("adguard", FormatWord::Adguard),
    ("dnsmasq", FormatWord::Dnsmasq),
    ("csv", FormatWord::Csv),
    ("urls", FormatWord::Urls),
    ("networks", FormatWord::Networks),
    ("spamhaus-json", FormatWord::SpamhausJson),
    ("misp-warninglist", FormatWord::MispWarninglist),
    ("rpz", FormatWord::Rpz),
    ("ranks", FormatWord::Ranks),
    ("public-suffix-list", FormatWord::PublicSuffixList),
    ("mrt", FormatWord::Routes(load::Format::Mrt)),
    ("pfx2as", FormatWord::Routes(load::Format::Pfx2as)),
    ("pyasn", FormatWord::Routes(load::Format::Pyasn)),
    ("iptoasn", FormatWord::Routes(load::Format::Iptoasn)),
    ("ranges", FormatWord::Routes(load::Format::Ranges)),
    ("mmdb", FormatWord::Routes(load::Format::Mmdb)),
    ("asnames", FormatWord::Routes(load::Format::Asnames)),
];

const RANKS: [(&str, Ranks); 3] =
    [("count", Ranks::Count), ("ignore", Ranks::Ignore), ("exclude", Ranks::Exclude)];

/// The table of a hundred peers has some 500 MB packed and ten times that unpacked.
const ROUTES_OCTETS_MAX: u64 = 1 << 30;
const ROUTES_UNPACKED_OCTETS_MAX: u64 = 16 << 30;

const REFERENCES: [(&str, Reference); 3] = [
    ("upstream", Reference::Upstream),
    ("last_present", Reference::LastPresent),
    ("first_present", Reference::FirstPresent),
];

/// Reads all sources.
pub(super) fn sources(root: &Table<'_>, file: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    root.each("source", |table| {
        let id = table.need("id");
        let Some(source) = source(table, id.as_ref(), file) else { return };
        if let Some(other) = sources.iter().find(|other| other.id() == source.id())
            && let Some(id) = &id
        {
            let message = format!("there is another source `{}` at {}", source.id(), other.place);
            id.report(Diagnostic::error(message).hint("each has an id of its own"));
        }
        if sources.len() == SOURCES_MAX {
            table.report(Diagnostic::error(format!("more than {SOURCES_MAX} sources")));
        }
        if sources.len() < SOURCES_MAX {
            sources.push(source);
        }
    });
    sources
}

/// Asks for every key, also where one before it is wrong, so that each is looked at.
fn source(table: &Table<'_>, id: Option<&Value<'_>>, file: &str) -> Option<Source> {
    let id = id.and_then(|v| v.parse(source_id));
    let url = table.need("url").and_then(|v| v.parse(location));
    let format = format(table);
    let member = table.get("member").and_then(|v| v.text_within(TEXT_OCTETS_MAX));
    let trust_value = table.get("trust");
    let trust = trust_value.as_ref().map_or(Some(Trust::Scored), |v| v.parse(trust));
    let category = category(table, trust.as_ref());
    let interval = table.get("interval").and_then(|v| {
        v.parse(|text| words::seconds(text, INTERVAL_SECONDS_MIN..=INTERVAL_SECONDS_MAX))
    });
    let octets_max = table
        .get("size_max")
        .and_then(|v| v.parse(|text| words::octets(text, SIZE_OCTETS_MIN..=SIZE_OCTETS_MAX)));
    let terms = terms(table);
    let mode = table.get("mode").and_then(|v| v.word(&MODES)).unwrap_or_default();
    let reference = table.get("ref").and_then(|v| v.word(&REFERENCES));
    let ranks = table.get("ranks").and_then(|v| v.word(&RANKS)).unwrap_or_default();
    let weighs_as = table.get("weighs_as").and_then(|v| v.text_within(TEXT_OCTETS_MAX));
    let place = table.position().in_file(file);
    let (role, format) = format?;
    let mut settings = Settings::new(id?, url?, format, category.unwrap_or(Category::Suspicious));
    settings.role = role;
    settings.member = member.map(str::to_owned);
    settings.trust = trust?;
    settings.interval_seconds = interval.unwrap_or(INTERVAL_SECONDS);
    settings.terms = terms;
    settings.enabled = mode != Mode::Off;
    if let Role::Routes(_) = role {
        settings.fetch_limits.octets_max = ROUTES_OCTETS_MAX;
        settings.decompress_limits.octets_max = ROUTES_UNPACKED_OCTETS_MAX;
    }
    if let Some(octets_max) = octets_max {
        settings.fetch_limits.octets_max = octets_max;
    }
    Some(Source {
        settings,
        mode,
        weighs_as: weighs_as.map(str::to_owned),
        reference,
        ranks,
        trust_place: trust_value.map_or_else(|| place.clone(), |v| v.position().in_file(file)),
        place,
    })
}

fn source_id(text: &str) -> Result<SourceId, Diagnostic> {
    let sound =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    match (1..=64).contains(&text.len()) && text.bytes().all(sound) {
        true => Ok(SourceId::new(text)),
        false => Err(Diagnostic::error(format!("a source cannot be called `{text}`"))
            .hint("1 to 64 small letters, digits, underscores and hyphens")),
    }
}

/// The location of a list: a URL or an absolute path.
fn location(text: &str) -> Result<Location, Diagnostic> {
    Location::parse(text).map_err(|error| {
        Diagnostic::error(format!("`{text}` is no place to fetch from: {error}"))
            .hint("`https://…`, `http://…`, `file:///…` or an absolute path")
    })
}

fn trust(text: &str) -> Result<Trust, Diagnostic> {
    match text {
        "scored" => Ok(Trust::Scored),
        "operator" => Ok(Trust::Operator),
        _ => match text.strip_prefix("category:") {
            Some(name) if !name.is_empty() => Ok(Trust::Category(name.into())),
            _ => Err(Diagnostic::error(format!("`trust` cannot be `{text}`"))
                .hint("it takes `scored`, `operator` or `category:NAME`")),
        },
    }
}

/// Only a scored source speaks of malice; of another one a category of it would be ignored.
fn category(table: &Table<'_>, trust: Option<&Trust>) -> Option<Category> {
    if matches!(trust, Some(Trust::Category(_))) {
        return None;
    }
    let words = Category::ALL.map(|category| (category.as_str(), category));
    table.get("category").and_then(|v| v.word(&words))
}

fn terms(table: &Table<'_>) -> Terms {
    let words = [("any", 0), ("personal", 1), ("contract", 2)];
    match table.get("terms").and_then(|v| v.word(&words)) {
        None | Some(0) => Terms::Any,
        Some(1) => Terms::Personal,
        Some(_) => {
            let held = table.get("contract_held").and_then(|v| v.flag()).unwrap_or(false);
            Terms::Contract { held }
        }
    }
}

/// What a list is for follows from how it is written.
fn format(table: &Table<'_>) -> Option<(Role, Format)> {
    let claims = |format| Some((Role::Claims, format));
    match table.need("format")?.word(&FORMATS)? {
        FormatWord::Domains => claims(Format::Domains),
        FormatWord::Hosts => claims(Format::Hosts),
        FormatWord::Adguard => claims(Format::Adguard),
        FormatWord::Dnsmasq => claims(Format::Dnsmasq),
        FormatWord::Urls => claims(Format::Urls),
        FormatWord::Networks => claims(Format::Networks),
        FormatWord::SpamhausJson => claims(Format::SpamhausJson),
        FormatWord::MispWarninglist => claims(Format::MispWarninglist),
        FormatWord::Rpz => claims(Format::Rpz),
        FormatWord::Csv => {
            table.need("csv")?;
            claims(Format::Csv(table.table("csv", csv).flatten()?))
        }
        FormatWord::Ranks => {
            let tier = table.get("tier").and_then(|v| v.integer(1..=i64::from(u32::MAX)));
            let tier = tier.and_then(|tier| u32::try_from(tier).ok());
            Some((Role::Popularity, Format::Ranks(RankLayout { tier })))
        }
        FormatWord::PublicSuffixList => Some((Role::PublicSuffixes, Format::Domains)),
        // What a list of lines would be read as is not asked of a table.
        FormatWord::Routes(format) => Some((Role::Routes(format), Format::Domains)),
    }
}

fn csv(table: &Table<'_>) -> Option<CsvLayout> {
    let kinds = [
        ("any", SubjectKind::Any),
        ("name", SubjectKind::Name),
        ("url", SubjectKind::Url),
        ("network", SubjectKind::Network),
        ("as", SubjectKind::As),
    ];
    let get = |key| table.get(key).and_then(|v| column(&v));
    let delimiter = table.get("delimiter").and_then(|v| v.parse(delimiter));
    let subject = table.need("subject").and_then(|v| column(&v));
    let kind = table.get("kind").and_then(|v| v.word(&kinds));
    let (first_seen, last_seen, category) = (get("first_seen"), get("last_seen"), get("category"));
    let categories = categories(table);
    let conditions = conditions(table);
    Some(CsvLayout {
        delimiter: delimiter.unwrap_or(','),
        subject: subject?,
        kind: kind.unwrap_or(SubjectKind::Any),
        first_seen,
        last_seen,
        category,
        categories,
        conditions,
    })
}

/// A character that cannot be part of a field's quotation or of a line's end.
fn delimiter(text: &str) -> Result<char, Diagnostic> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) if !"\"\r\n".contains(one) => Ok(one),
        _ => Err(Diagnostic::error(format!("`{}` is not a delimiter", text.escape_debug()))
            .hint("one character, such as `,`, `;`, `|` or `\\t`")),
    }
}

/// A column by name, or by number from 1.
fn column(value: &Value<'_>) -> Option<Column> {
    if value.is_integer() {
        let number = value.integer(1..=1000)?;
        return usize::try_from(number).ok().map(Column::Number);
    }
    value.text_within(TEXT_OCTETS_MAX).map(|name| Column::Name(name.to_owned()))
}

fn categories(table: &Table<'_>) -> BTreeMap<String, Category> {
    let words = Category::ALL.map(|category| (category.as_str(), category));
    let children = table.children("categories");
    if let Some(beyond) = children.get(CSV_ITEMS_MAX) {
        beyond.report(Diagnostic::error(format!("more than {CSV_ITEMS_MAX} words")));
    }
    let read = |child: &Value<'_>| Some((child.key().to_lowercase(), child.word(&words)?));
    children.iter().take(CSV_ITEMS_MAX).filter_map(read).collect()
}

fn conditions(table: &Table<'_>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    table.each("condition", |table| {
        let column = table.need("column").and_then(|v| column(&v));
        let words: Vec<String> =
            table.list("one_of").iter().filter_map(|v| v.text()).map(str::to_owned).collect();
        let at_least = table.get("at_least").and_then(|v| v.integer(0..=i64::MAX));
        let test = match (table.get("one_of"), table.get("at_least")) {
            (Some(_), None) => Some(Test::OneOf(words)),
            (None, Some(_)) => {
                at_least.and_then(|least| u64::try_from(least).ok()).map(Test::AtLeast)
            }
            _ => {
                table.report(
                    Diagnostic::error("a condition has one test").hint("`one_of` or `at_least`"),
                );
                None
            }
        };
        if conditions.len() == CSV_ITEMS_MAX {
            table.report(Diagnostic::error(format!("more than {CSV_ITEMS_MAX} conditions")));
        }
        if let (Some(column), Some(test)) = (column, test)
            && conditions.len() < CSV_ITEMS_MAX
        {
            conditions.push(Condition { column, test });
        }
    });
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, DEFAULT};
    use crate::source::settings::LicenceMode;

    const MINIMAL: &str = "[[source]]\nid = 'a'\nurl = 'https://a.example/'\n";

    fn read(text: &str) -> (Vec<Source>, String) {
        let (config, found) = config::read("s.toml", text);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        (config.map_or_else(Vec::new, |config| config.sources), found.join("\n"))
    }

    #[test]
    fn only_sources_that_anyone_may_use_are_on_by_default() {
        let (sources, found) = read(DEFAULT);
        assert_eq!(found, "");
        let ids = |licence: LicenceMode| {
            let on = sources.iter().filter(|s| s.off(licence).is_none());
            on.map(|s| s.id().as_str()).collect::<Vec<_>>().join(" ")
        };
        let anyone = "majestic crux public_suffixes certpl phishing_database hagezi_tif spamhaus_drop spamhaus_asndrop ipsum3 iptoasn";
        assert_eq!(ids(LicenceMode::Commercial), anyone);
        let more = "tranco openphish urlhaus threatfox feodo et_compromised";
        assert_eq!(ids(LicenceMode::Personal), format!("{anyone} {more}"));
    }

    #[test]
    fn a_csv_layout_is_read_in_full() {
        let (sources, _) = read(DEFAULT);
        let threatfox = sources.iter().find(|s| s.id().as_str() == "threatfox").unwrap();
        let Format::Csv(layout) = &threatfox.settings.format else { panic!("{threatfox:?}") };
        let name = |text: &str| Column::Name(text.to_owned());
        assert_eq!(layout.subject, name("ioc_value"));
        assert_eq!(layout.categories["botnet_cc"], Category::C2);
        assert_eq!(
            layout.conditions[1],
            Condition { column: name("confidence_level"), test: Test::AtLeast(50) }
        );
        assert_eq!(layout.conditions.len(), 2);
    }

    #[test]
    fn a_source_says_what_it_must() {
        let (_, found) = read("[[source]]\n");
        assert_eq!(
            found,
            "error: `[[source]]` needs `id`\n  --> s.toml:1:1\n\
             error: `[[source]]` needs `url`\n  --> s.toml:1:1\n\
             error: `[[source]]` needs `format`\n  --> s.toml:1:1"
        );
        let (sources, found) = read(&format!("{MINIMAL}format = 'domains'\n"));
        assert_eq!(found, "");
        let source = &sources[0];
        let settings = &source.settings;
        assert_eq!((&settings.trust, settings.category), (&Trust::Scored, Category::Suspicious));
        assert_eq!((settings.interval_seconds, source.mode), (86_400, Mode::Enforce));
        assert_eq!(source.place.to_string(), "s.toml:1:1");
    }

    #[test]
    fn values_that_are_wrong_are_found() {
        for (line, finding) in [
            (
                "format = 'domain'",
                "error: `format` cannot be `domain`\n  --> s.toml:4:10\n\
                 hint: did you mean `domains`?",
            ),
            ("format = 'csv'", "error: `[[source]]` needs `csv`\n  --> s.toml:1:1"),
            (
                "format = 'csv'\ncsv = { kind = 'url' }",
                "error: `[source.csv]` needs `subject`\n  --> s.toml:5:7",
            ),
            (
                "format = 'csv'\ncsv = { subject = 0, delimiter = '||' }",
                "error: `subject` is out of range\n  --> s.toml:5:19\nhint: from 1 to 1000\n\
                 error: `||` is not a delimiter\n  --> s.toml:5:34\n\
                 hint: one character, such as `,`, `;`, `|` or `\\t`",
            ),
            (
                "format = 'csv'\ncsv = { subject = 1, condition = [{ column = 2 }] }",
                "error: a condition has one test\n  --> s.toml:5:35\nhint: `one_of` or `at_least`",
            ),
            (
                "format = 'hosts'\ncsv = { subject = 1 }",
                "error: unknown key `csv` in `[[source]]`\n  --> s.toml:5:1\n\
                 hint: known here are `id`, `url`, `format`, `member`, `trust`, `category`, \
                 `interval`, `size_max`, `terms`, `mode`, `ref`, `ranks` and `weighs_as`",
            ),
            (
                "format = 'hosts'\ntrust = 'category:'",
                "error: `trust` cannot be `category:`\n  --> s.toml:5:9\n\
                 hint: it takes `scored`, `operator` or `category:NAME`",
            ),
            (
                "format = 'hosts'\ninterval = '1m'",
                "error: `1m` is no span of time that fits here\n  --> s.toml:5:12\n\
                 hint: a number and `s`, `m`, `h` or `d`, from 300 to 2678400 seconds",
            ),
            (
                "format = 'hosts'\nterms = 'any'\ncontract_held = true",
                "error: unknown key `contract_held` in `[[source]]`\n  --> s.toml:6:1\n\
                 hint: known here are `id`, `url`, `format`, `member`, `trust`, `category`, \
                 `interval`, `size_max`, `terms`, `mode`, `ref`, `ranks` and `weighs_as`",
            ),
        ] {
            assert_eq!(read(&format!("{MINIMAL}{line}\n")).1, finding, "{line}");
        }
    }

    #[test]
    fn a_category_of_malice_makes_no_sense_for_a_category_of_content() {
        let lines = "format = 'hosts'\ntrust = 'category:ads'\ncategory = 'phishing'\n";
        let found = read(&format!("{MINIMAL}{lines}")).1;
        assert!(found.starts_with("error: unknown key `category` in `[[source]]`"), "{found}");
    }

    #[test]
    fn ids_are_unique_and_locations_can_be_fetched() {
        let text = format!("{MINIMAL}format = 'hosts'\n{MINIMAL}format = 'hosts'\n");
        assert_eq!(
            read(&text).1,
            "error: there is another source `a` at s.toml:1:1\n  --> s.toml:6:6\n\
             hint: each has an id of its own"
        );
        let location =
            |url: &str| read(&format!("[[source]]\nid = 'A'\nurl = '{url}'\nformat = 'hosts'\n")).1;
        assert_eq!(
            location("ftp://a.example/"),
            "error: a source cannot be called `A`\n  --> s.toml:2:6\n\
             hint: 1 to 64 small letters, digits, underscores and hyphens\n\
             error: `ftp://a.example/` is no place to fetch from: not an https://, http:// or file:/// URL, \
             nor an absolute path\n  --> s.toml:3:7\n\
             hint: `https://…`, `http://…`, `file:///…` or an absolute path"
        );
        assert!(location("https://a b/").contains("not a valid URL"));
        assert!(!location("/var/lib/list.txt").contains("s.toml:3"));
    }
    #[test]
    fn there_is_an_end_to_everything() {
        let sources: String = (0..=SOURCES_MAX)
            .map(|i| {
                format!("[[source]]\nid = 's{i}'\nurl = 'https://a.example/'\nformat = 'hosts'\n")
            })
            .collect();
        assert_eq!(read(&sources).1, "error: more than 1000 sources\n  --> s.toml:4001:1");
        let csv = |rest: &str| {
            read(&format!("{MINIMAL}format = 'csv'\n[source.csv]\nsubject = 1\n{rest}")).1
        };
        let words: String = (0..=CSV_ITEMS_MAX).map(|i| format!("w{i} = 'spam'\n")).collect();
        assert_eq!(
            csv(&format!("[source.csv.categories]\n{words}")),
            "error: more than 100 words\n  --> s.toml:108:1"
        );
        let condition = "[[source.csv.condition]]\ncolumn = 1\nat_least = 1\n";
        assert_eq!(
            csv(&condition.repeat(CSV_ITEMS_MAX + 1)),
            "error: more than 100 conditions\n  --> s.toml:307:1"
        );
    }
}
