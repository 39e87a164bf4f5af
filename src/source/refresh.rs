//! One refresh of a source, from the request to an accepted snapshot or a reason.
//!
//! Whatever goes wrong, nothing of the new snapshot is used and the old validators stay, so that
//! the next refresh asks for the whole again.

use super::contract::{self, History, Violation};
use super::decompress::{self, DecompressError};
use super::feed::{self, Entry, ParseError, Report};
use std::fs::File;
use std::io::Read as _;

use super::settings::{Role, Source};
use crate::bgp::{AsNames, AsNamesBuilder, RouteTable, RouteTableBuilder, load};
use crate::diagnostic::Diagnostic;
use crate::evidence::{Claims, ClaimsBuilder, PublicSuffixes};
use crate::model::{Category, Claim, Indicator, NameRef, Timestamp};
use crate::names::{NameSorter, NameTable, NameTableBuilder};
use crate::ports::{Fetch, FetchError, FetchOutcome, FetchRequest, Fetched, Validators};

/// What a refresh brought.
#[derive(Debug)]
pub enum Refresh {
    /// What the source said before is still what it says.
    Unchanged,
    /// The source says something else, which replaces all it said before.
    Accepted(Box<Snapshot>),
}

/// What is known from the refreshes that were accepted before; nothing at the first.
#[derive(Debug, Clone, Default)]
pub struct Previous {
    /// To ask with.
    pub validators: Validators,
    /// To judge by.
    pub history: History,
    /// What the source claims until now: whatever it still names keeps its first sight.
    pub claims: Option<Claims>,
}

/// What a source says.
#[derive(Debug)]
pub enum Content {
    /// What it claims.
    Claims(Claims),
    /// Ranks by name, four octets each, little-endian.
    Ranks(NameTable),
    /// The text of a public suffix list.
    Suffixes(Vec<u8>),
    /// Announced prefixes with their AS, and names of AS.
    Routes(Box<(RouteTable, AsNames)>),
}

/// All that a source says, once it has been judged.
#[derive(Debug)]
pub struct Snapshot {
    /// What it says.
    pub content: Content,
    /// What reading found.
    pub report: Report,
    /// To ask with the next time.
    pub validators: Validators,
}

/// Why a refresh brought nothing. The last good snapshot stays.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It could not be unpacked.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// It is not the list it should be.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is a list, but not the one it was.
    #[error(transparent)]
    Contract(#[from] Violation),
    /// A table of routes or names with less than half of what it usually has: a part of one would
    /// leave addresses without their AS.
    #[error("it has {entries} entries{cut}, less than half of the last good {usual}")]
    Shrunk {
        /// How many it has now.
        entries: u64,
        /// How many the last good copy has.
        usual: u64,
        /// Where it ended early, where it did.
        cut: String,
    },
    /// It is no public suffix list.
    #[error("this is not a public suffix list")]
    NoSuffixes,
    /// The task that read it was lost, as at a shutdown.
    #[error("reading it was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl RefreshError {
    /// How long the server asks to be left alone, in seconds.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Fetch(error) => error.retry_after_seconds(),
            _ => None,
        }
    }

    /// The same as a finding about the source.
    pub fn diagnostic(&self, source: &Source) -> Diagnostic {
        let finding = Diagnostic::error(format!("source {}: {self}", source.id));
        let format = source.format_word();
        match self {
            Self::Fetch(_) | Self::Interrupted(_) => finding,
            Self::Parse(ParseError::ColumnMissing { .. }) => {
                finding.hint("the feed has changed its columns: name the new ones")
            }
            Self::Decompress(DecompressError::MemberMissing { .. })
            | Self::Decompress(DecompressError::MemberUnclear { .. }) => {
                finding.hint("set `member` to the file that is meant")
            }
            Self::Decompress(_) | Self::Parse(ParseError::Read(_)) => {
                finding.hint("the last good copy stays; if the file is meant, raise its limits")
            }
            Self::Parse(_) | Self::Contract(_) | Self::NoSuffixes | Self::Shrunk { .. } => finding.hint(format!(
                "the last good copy stays; see whether {} is still a list in the format {format}",
                source.location
            )),
        }
    }
}

/// Refreshes a source at the time `now`; `seed` chooses the pauses between attempts.
pub async fn refresh(
    source: &Source,
    fetch: &dyn Fetch,
    previous: &Previous,
    now: Timestamp,
    seed: u64,
) -> Result<Refresh, RefreshError> {
    let request = FetchRequest {
        location: source.location.clone(),
        validators: previous.validators.clone(),
        limits: source.fetch_limits,
        accept: None,
        seed,
    };
    let fetched = match fetch.fetch(&request).await? {
        FetchOutcome::Unchanged => return Ok(Refresh::Unchanged),
        FetchOutcome::Fetched(fetched) => fetched,
    };
    let source = source.clone();
    let previous = previous.clone();
    let read = move || read(&source, fetched, &previous, now);
    let snapshot = tokio::task::spawn_blocking(read).await??;
    Ok(Refresh::Accepted(Box::new(snapshot)))
}

/// Unpacks, parses and judges what was fetched.
fn read(
    source: &Source,
    fetched: Fetched,
    previous: &Previous,
    now: Timestamp,
) -> Result<Snapshot, RefreshError> {
    let Fetched { body, validators, .. } = fetched;
    match source.role {
        Role::Claims => read_claims(source, body, validators, previous, now),
        Role::Popularity => read_ranks(source, body, validators, previous),
        Role::PublicSuffixes => read_suffixes(source, body, validators),
        Role::Routes(format) => read_routes(source, format, body, validators, previous),
    }
}

fn read_claims(
    source: &Source,
    body: File,
    validators: Validators,
    previous: &Previous,
    now: Timestamp,
) -> Result<Snapshot, RefreshError> {
    let mut claims = ClaimsBuilder::default();
    let mut take = |entry: Entry| {
        claims.push(&entry.subject, claim(&entry, source.category, now), entry.exception);
    };
    let report =
        decompress::read(body, source.member.as_deref(), &source.decompress_limits, |reader| {
            feed::parse(&source.format, reader, &source.limits(), &mut take)
        })??;
    contract::check(&report, &previous.history)?;
    let content = Content::Claims(claims.finish(previous.claims.as_ref()));
    Ok(Snapshot { content, report, validators })
}

/// Of a name that stands twice, the better rank counts.
fn read_ranks(
    source: &Source,
    body: File,
    validators: Validators,
    previous: &Previous,
) -> Result<Snapshot, RefreshError> {
    let mut names: NameSorter<u32> = NameSorter::default();
    let mut take = |entry: Entry| {
        if let (Indicator::Domain(name), Some(rank)) = (&entry.subject, entry.rank) {
            names.push(name.as_ref(), rank);
        }
    };
    let report =
        decompress::read(body, source.member.as_deref(), &source.decompress_limits, |reader| {
            feed::parse(&source.format, reader, &source.limits(), &mut take)
        })??;
    contract::check(&report, &previous.history)?;
    names.sort();
    let mut table = NameTableBuilder::new(size_of::<u32>(), None);
    let mut current: Option<(NameRef<'_>, u32)> = None;
    for (name, rank) in names.iter() {
        match &mut current {
            Some((held, best)) if *held == name => *best = rank.min(*best),
            _ => {
                if let Some((name, rank)) = current.replace((name, rank)) {
                    table.push(name, &rank.to_le_bytes());
                }
            }
        }
    }
    if let Some((name, rank)) = current {
        table.push(name, &rank.to_le_bytes());
    }
    Ok(Snapshot { content: Content::Ranks(NameTable::built(table)), report, validators })
}

/// The list has 350 kB; a text of this size is another one.
const SUFFIXES_OCTETS_MAX: u64 = 16 << 20;

fn read_suffixes(
    source: &Source,
    body: File,
    validators: Validators,
) -> Result<Snapshot, RefreshError> {
    let text =
        decompress::read(body, source.member.as_deref(), &source.decompress_limits, |reader| {
            let mut text = Vec::new();
            reader.take(SUFFIXES_OCTETS_MAX).read_to_end(&mut text).map(|_| text)
        })?
        .map_err(ParseError::Read)?;
    if PublicSuffixes::from_text(&text).is_none() {
        return Err(RefreshError::NoSuffixes);
    }
    let lines = text.split(|b| *b == b'\n').filter(|l| !l.is_empty() && !l.starts_with(b"//"));
    let report = Report { entries: lines.count() as u64, ..Report::default() };
    Ok(Snapshot { content: Content::Suffixes(text), report, validators })
}

/// A table that ends early keeps what was read, as long as that is most of what it usually has.
fn read_routes(
    source: &Source,
    format: load::Format,
    body: File,
    validators: Validators,
    previous: &Previous,
) -> Result<Snapshot, RefreshError> {
    let (mut routes, mut names) = (RouteTableBuilder::default(), AsNamesBuilder::default());
    let limits = load::Limits::default();
    let found =
        decompress::read(body, source.member.as_deref(), &source.decompress_limits, |reader| {
            load::read(format, reader, &limits, &mut |item| match item {
                load::Item::Route { network, origins } => routes.add(network, origins),
                load::Item::Name { system, name } => names.add(system, name),
            })
        })?;
    let cut = match &found.end {
        load::End::Complete => None,
        load::End::CutShort(place) => Some((place.to_string(), "it is cut short".to_owned())),
        load::End::Unreadable(place, error) => Some((place.to_string(), error.clone())),
        load::End::TooManyRoutes(most) => Some((String::new(), format!("more than {most} routes"))),
    };
    let said = |(place, error): &(String, String)| format!(" up to {place} ({error})");
    let report = routes_report(found);
    contract::check(&report, &previous.history)?;
    let usual = previous.history.sizes().last().copied().unwrap_or(0);
    if report.entries.saturating_mul(2) < usual {
        let cut = cut.as_ref().map_or_else(String::new, said);
        return Err(RefreshError::Shrunk { entries: report.entries, usual, cut });
    }
    if let Some(cut) = &cut {
        tracing::warn!(source = %source.id, entries = report.entries, "the table is read{}", said(cut));
    }
    let content = Content::Routes(Box::new((routes.finish(), names.finish())));
    Ok(Snapshot { content, report, validators })
}

/// The report of a table in the terms of lists.
fn routes_report(found: load::Report) -> Report {
    let entries = match found.routes {
        0 => found.names,
        routes => routes,
    };
    let reject = |reject: load::Reject| feed::Reject {
        line: match reject.place {
            load::Place::Line(line) => line,
            load::Place::Octet(octet) => octet,
        },
        text: reject.text,
        reason: feed::Reason::Table(reject.reason),
    };
    Report {
        lines: found.records.saturating_add(found.rejects_total),
        lines_accepted: found.records.saturating_sub(found.rejects_total),
        lines_rejected: found.rejects_total,
        entries,
        rejects_total: found.rejects_total,
        rejects: found.rejects.into_iter().map(reject).collect(),
        ..Report::default()
    }
}

/// What an entry claims. A feed that gives no date of the last sighting names it now; dates in the
/// future are errors of the feed and count as now.
fn claim(entry: &Entry, category: Category, now: Timestamp) -> Claim {
    let last_seen = entry.last_seen.unwrap_or(now).min(now);
    let first_seen = entry.first_seen.unwrap_or(last_seen).min(now);
    Claim {
        first_seen,
        last_seen: last_seen.max(first_seen),
        scope: entry.scope,
        category: entry.category.unwrap_or(category),
    }
}

#[cfg(test)]
mod tests {
    use super::super::feed::Format;
    use super::super::fetch::loopback::{Server, answer};
    use super::super::fetch::{Fetcher, HttpClient, HttpConfig};
    use super::*;
    use crate::evidence::NameClaim;
    use crate::model::{Indicator, SourceId};
    use crate::ports::Location;
    use std::io::Write as _;

    const NOW: Timestamp = Timestamp(1_787_000_000);

    fn claims_of(snapshot: &Snapshot) -> &Claims {
        match &snapshot.content {
            Content::Claims(claims) => claims,
            other => panic!("no claims: {other:?}"),
        }
    }

    /// Refreshes a list of names that a server answers with.
    async fn refreshed(status: &str, body: &[u8], history: &History) -> Result<Refresh, String> {
        let directory = tempfile::tempdir().unwrap();
        let client = HttpClient::new(HttpConfig::new(directory.path().to_owned())).unwrap();
        let server = Server::start(vec![answer(status, &["ETag: \"v2\""], body)]).await;
        let location = Location::parse(&server.url("/list")).unwrap();
        let source =
            Source::new(SourceId::new("mine"), location, Format::Domains, Category::Malware);
        let validators = Validators { etag: Some("\"v1\"".into()), last_modified: None };
        let previous = Previous { validators, history: history.clone(), claims: None };
        let address = server.address.to_string();
        refresh(&source, &Fetcher::new(client), &previous, NOW, 1)
            .await
            .map_err(|e| e.diagnostic(&source).to_string().replace(&address, "lists.example"))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_good_list_is_accepted_with_its_validators() {
        let body = gzip(b"bad.example\nworse.example\n");
        let Ok(Refresh::Accepted(snapshot)) =
            refreshed("200 OK", &body, &History::of([2, 3, 2])).await
        else {
            panic!("refused")
        };
        assert_eq!(snapshot.report.entries, 2);
        assert_eq!(claims_of(&snapshot).names.len(), 2);
        assert_eq!(snapshot.validators.etag.as_deref(), Some("\"v2\""));
    }

    #[test]
    fn dates_of_the_feed_count_unless_they_lie_in_the_future() {
        let at = |first: Option<u32>, last: Option<u32>| {
            let entry = Entry {
                first_seen: first.map(Timestamp),
                last_seen: last.map(Timestamp),
                ..Entry::of(Indicator::As(64_500))
            };
            let claim = claim(&entry, Category::Malware, NOW);
            (claim.first_seen.0, claim.last_seen.0)
        };
        let (now, later) = (NOW.0, NOW.0 + 1000);
        assert_eq!(at(None, None), (now, now));
        assert_eq!(at(Some(5), None), (5, now));
        assert_eq!(at(Some(5), Some(9)), (5, 9));
        assert_eq!(at(None, Some(9)), (9, 9));
        assert_eq!(at(Some(9), Some(5)), (9, 9));
        assert_eq!(at(Some(later), Some(later)), (now, now));
    }

    #[tokio::test]
    async fn what_a_source_still_names_keeps_its_first_sight() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.txt");
        std::fs::write(&path, "old.example\nnew.example\n").unwrap();
        let location = Location::File(path);
        let source =
            Source::new(SourceId::new("mine"), location, Format::Domains, Category::Malware);
        let mut before = ClaimsBuilder::default();
        let old = Indicator::parse("old.example").unwrap();
        before.push(&old, claim(&Entry::of(old.clone()), Category::Malware, Timestamp(7)), false);
        let previous = Previous { claims: Some(before.finish(None)), ..Previous::default() };
        let fetcher =
            Fetcher::new(HttpClient::new(HttpConfig::new(directory.path().to_owned())).unwrap());
        let outcome = refresh(&source, &fetcher, &previous, NOW, 1).await.unwrap();
        let Refresh::Accepted(snapshot) = outcome else { panic!("unchanged") };
        let mut first_seen = Vec::new();
        let mut names = claims_of(&snapshot).names.iter();
        while let Some((name, payload)) = names.next() {
            first_seen.push((name.to_string(), NameClaim::read(payload).claim.first_seen.0));
        }
        assert_eq!(first_seen, [("new.example".into(), NOW.0), ("old.example".into(), 7)]);
    }

    #[tokio::test]
    async fn an_unchanged_list_is_not_read() {
        let outcome = refreshed("304 Not Modified", b"", &History::default()).await;
        assert!(matches!(outcome, Ok(Refresh::Unchanged)));
    }

    #[tokio::test]
    async fn whatever_is_not_the_list_it_was_is_refused_with_a_clear_message() {
        let bomb = gzip(&vec![b'x'; 20 * 1024 * 1024]);
        let usual = History::of([1000, 1000, 1000]);
        for (status, body, message) in [
            (
                "200 OK",
                &b"<!doctype html><title>Moved</title>"[..],
                "error: source mine: this is an HTML page, not a list; it begins with \
                 \"<!doctype html><title>Moved</title>\"\nhint: the last good copy stays; see whether \
                 http://lists.example/list is still a list in the format domains",
            ),
            (
                "200 OK",
                b"Couldn't find the requested file.\nsorry\n",
                "error: source mine: only 0 of 2 lines parse, so this is not the list it was (R1)\n\
                 hint: the last good copy stays; see whether http://lists.example/list is still a \
                 list in the format domains",
            ),
            (
                "200 OK",
                b"bad.example\n",
                "error: source mine: it has shrunk from the usual 1000 entries to 1, less than a tenth (R2)\nhint: the \
                 last good copy stays; see whether http://lists.example/list is still a list in the \
                 format domains",
            ),
            (
                "410 Gone",
                b"",
                "error: source mine: http://lists.example/list answered 410 (not found: the feed \
                 may have moved or been retired)",
            ),
        ] {
            assert_eq!(refreshed(status, body, &usual).await.unwrap_err(), message);
        }
        let message = refreshed("200 OK", &bomb, &usual).await.unwrap_err();
        assert!(message.contains("it unpacks to more than 200 times its size"), "{message}");
        assert!(message.ends_with("raise its limits"), "{message}");
    }
}
