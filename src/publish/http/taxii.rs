//! TAXII 2.1, read only: discovery, one API root, one collection, its objects and manifest.
//!
//! Objects are a piece of a file on disk between a few words; a page costs no memory. A cursor
//! names the last object of a page by its time and id, so that it also holds when the collection
//! has changed meanwhile: what is then new comes later in time and is not missed.

use data_encoding::BASE64URL_NOPAD;
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

use super::answer::Answer;
use crate::model::Timestamp;
use crate::publish::artefact::shelf::{OBJECTS_FILE, Stock};
use crate::publish::artefact::stix::{Entry, Index, SEPARATOR, read_id, rfc3339};

/// Of answers and of what clients accept (TAXII 2.1 section 1.6.8).
const MEDIA_TYPE: &str = "application/taxii+json;version=2.1";
const STIX_TYPE: &str = "application/stix+json;version=2.1";
/// Objects of a page where the client names no limit, and at most.
const PAGE_OBJECTS: usize = 1000;
const PAGE_OBJECTS_MAX: usize = 10_000;
/// Ids in one `match[id]`.
const IDS_MAX: usize = 100;
/// The one collection, an id made once at random.
const COLLECTION: &str = "8a0e6f0d-9d55-4d7e-8a0b-4f1c27e3b960";
const ALIAS: &str = "blocked";

/// The answer to a path below `/taxii2`.
pub fn answer(stock: &Stock, path: &str, query: &str, accept: Option<&str>) -> Answer {
    if !accepts(accept) {
        return failure(StatusCode::NOT_ACCEPTABLE, "only application/taxii+json;version=2.1");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts[..] {
        ["taxii2"] => page(json!({
            "title": "sekisho",
            "description": "What a DNS firewall blocks",
            "default": "/taxii2/root/",
            "api_roots": ["/taxii2/root/"],
        })),
        ["taxii2", "root"] => page(json!({
            "title": "sekisho",
            "versions": [MEDIA_TYPE],
            // Nothing is taken in, so no content has room.
            "max_content_length": 1,
        })),
        ["taxii2", "root", "collections"] => page(json!({ "collections": [collection()] })),
        ["taxii2", "root", "collections", id, ref rest @ ..] if is_collection(id) => {
            within(stock, rest, query)
        }
        _ => failure(StatusCode::NOT_FOUND, "there is no such resource"),
    }
}

fn is_collection(id: &str) -> bool {
    id.eq_ignore_ascii_case(COLLECTION) || id == ALIAS
}

fn collection() -> Value {
    json!({
        "id": COLLECTION,
        "title": "Blocked names and addresses",
        "description": "An indicator for each; issued anew every week, valid for two",
        "alias": ALIAS,
        "can_read": true,
        "can_write": false,
        "media_types": [STIX_TYPE],
    })
}

fn within(stock: &Stock, rest: &[&str], query: &str) -> Answer {
    match *rest {
        [] => page(collection()),
        ["objects"] => match Filter::read(query) {
            Ok(filter) => objects(stock, &filter),
            Err(reason) => failure(StatusCode::BAD_REQUEST, reason),
        },
        ["manifest"] => match Filter::read(query) {
            Ok(filter) => manifest(stock, &filter),
            Err(reason) => failure(StatusCode::BAD_REQUEST, reason),
        },
        ["objects", id] => match find(stock, id) {
            Some(at) => pieces(stock, &[at], None),
            None => failure(StatusCode::NOT_FOUND, "there is no such object"),
        },
        ["objects", id, "versions"] => match find(stock, id) {
            Some(at) => {
                let added = rfc3339(Timestamp(stock.objects.entries()[at].added));
                dated(page(json!({ "more": false, "versions": [added] })), &stock.objects, &[at])
            }
            None => failure(StatusCode::NOT_FOUND, "there is no such object"),
        },
        _ => failure(StatusCode::NOT_FOUND, "there is no such resource"),
    }
}

fn find(stock: &Stock, id: &str) -> Option<usize> {
    stock.objects.find(read_id(id)?)
}

/// What is asked for (TAXII 2.1 section 3.4).
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    added_after: Option<Timestamp>,
    limit: Option<usize>,
    next: Option<(u32, u64)>,
    ids: Option<Vec<u64>>,
    /// Versions by their time; there is one of each object.
    versions: Option<Vec<u32>>,
    /// Something that no object here has.
    nothing: bool,
}

impl Filter {
    fn read(query: &str) -> Result<Self, &'static str> {
        let mut filter = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = unescaped(key).ok_or("a query is not well-formed")?;
            let value = unescaped(value).ok_or("a query is not well-formed")?;
            filter.take(&key, &value)?;
        }
        Ok(filter)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let mut values = value.split(',');
        match key {
            "added_after" => {
                self.added_after = Some(Timestamp(time(value).ok_or("`added_after` is no time")?));
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| *limit > 0);
                self.limit = Some(limit.ok_or("`limit` is no number above 0")?);
            }
            "next" => self.next = Some(read_cursor(value).ok_or("`next` is none of ours")?),
            "match[id]" => {
                let ids: Vec<&str> = values.collect();
                if ids.len() > IDS_MAX {
                    return Err("too many ids at once");
                }
                // What is no id of ours is the id of nothing here.
                self.ids = Some(ids.into_iter().filter_map(read_id).collect());
            }
            "match[type]" => self.nothing |= !values.any(|value| value == "indicator"),
            "match[spec_version]" => self.nothing |= !values.any(|value| value == "2.1"),
            "match[version]" => {
                let every = |value: &str| matches!(value, "last" | "first" | "all");
                if !values.clone().any(every) {
                    let times = values.map(time).collect::<Option<Vec<_>>>();
                    self.versions = Some(times.ok_or("`match[version]` is no time")?);
                }
            }
            _ => return Err("an unknown filter"),
        }
        Ok(())
    }

    /// The positions of a page, and whether there are more behind.
    fn page(&self, index: &Index) -> (Vec<usize>, bool) {
        if self.nothing {
            return (Vec::new(), false);
        }
        let start = self.start(index);
        let limit = self.limit.unwrap_or(PAGE_OBJECTS).min(PAGE_OBJECTS_MAX);
        let mut positions: Vec<usize> = match &self.ids {
            None => (start..index.entries().len())
                .filter(|at| self.has_version(&index.entries()[*at]))
                .take(limit + 1)
                .collect(),
            Some(ids) => {
                let mut found: Vec<usize> = ids.iter().filter_map(|id| index.find(*id)).collect();
                found.sort_unstable();
                found.dedup();
                found.retain(|at| *at >= start && self.has_version(&index.entries()[*at]));
                found
            }
        };
        let more = positions.len() > limit;
        positions.truncate(limit);
        (positions, more)
    }

    fn has_version(&self, entry: &Entry) -> bool {
        self.versions.as_ref().is_none_or(|versions| versions.contains(&entry.added))
    }

    fn start(&self, index: &Index) -> usize {
        let after = self.added_after.map_or(0, |time| index.after(time));
        let Some((added, id)) = self.next else { return after };
        let behind = match index.find(id).filter(|at| index.entries()[*at].added == added) {
            Some(last) => last + 1,
            // It is gone: all of its time come once more rather than not at all.
            None => added.checked_sub(1).map_or(0, |before| index.after(Timestamp(before))),
        };
        behind.max(after)
    }
}

/// A time in whole seconds since 1970.
fn time(text: &str) -> Option<u32> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u32::try_from(time.as_second().clamp(0, i64::from(u32::MAX))).ok()
}

fn cursor(entry: &Entry) -> String {
    let octets = [&entry.added.to_be_bytes()[..], &entry.id.to_be_bytes()].concat();
    BASE64URL_NOPAD.encode(&octets)
}

fn read_cursor(text: &str) -> Option<(u32, u64)> {
    let octets: [u8; 12] = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
    let (added, id) = octets.split_at(4);
    let added = u32::from_be_bytes(added.try_into().ok()?);
    Some((added, u64::from_be_bytes(id.try_into().ok()?)))
}

fn objects(stock: &Stock, filter: &Filter) -> Answer {
    let (positions, more) = filter.page(&stock.objects);
    let next = positions.last().filter(|_| more).map(|at| cursor(&stock.objects.entries()[*at]));
    pieces(stock, &positions, next)
}

/// An envelope around objects that are one piece of the file, or single ones.
fn pieces(stock: &Stock, positions: &[usize], next: Option<String>) -> Answer {
    let entries = stock.objects.entries();
    let (Some(first), Some(last), Some(file)) =
        (positions.first(), positions.last(), stock.artefacts.get(OBJECTS_FILE))
    else {
        // An empty envelope is an empty object (TAXII 2.1 section 3.7).
        return page(json!({}));
    };
    let before = match &next {
        Some(next) => format!("{{\"more\":true,\"next\":\"{next}\",\"objects\":["),
        None => "{\"more\":false,\"objects\":[".to_owned(),
    };
    let answer = if last - first + 1 == positions.len() {
        let start = entries[*first].offset;
        let end = entries[*last].offset + u64::from(entries[*last].length);
        let piece = (file.path().to_owned(), start, end - start);
        Answer::around(MEDIA_TYPE, before, piece, "]}")
    } else {
        scattered(file.path(), entries, positions, before)
    };
    dated(answer, &stock.objects, positions)
}

/// Objects that were asked for by their ids, which are few.
fn scattered(
    path: &std::path::Path,
    entries: &[Entry],
    positions: &[usize],
    mut text: String,
) -> Answer {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let mut objects = Vec::new();
        for at in positions {
            let entry = &entries[*at];
            file.seek(SeekFrom::Start(entry.offset))?;
            let mut octets = vec![0; entry.length as usize];
            file.read_exact(&mut octets)?;
            objects.push(String::from_utf8_lossy(&octets).into_owned());
        }
        Ok(objects.join(SEPARATOR))
    };
    match read() {
        Ok(objects) => {
            text += &objects;
            text += "]}";
            Answer::typed(StatusCode::OK, MEDIA_TYPE, text)
        }
        Err(_) => failure(StatusCode::SERVICE_UNAVAILABLE, "the objects change just now"),
    }
}

fn manifest(stock: &Stock, filter: &Filter) -> Answer {
    let (positions, more) = filter.page(&stock.objects);
    let entries = stock.objects.entries();
    if positions.is_empty() {
        return page(json!({}));
    }
    // An id is more than the half that the index keeps; the file has it.
    let Some(file) = stock.artefacts.get(OBJECTS_FILE) else { return page(json!({})) };
    let Ok(ids) = ids(file.path(), entries, &positions) else {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "the objects change just now");
    };
    let objects: Vec<Value> = positions
        .iter()
        .zip(ids)
        .map(|(at, id)| {
            let added = rfc3339(Timestamp(entries[*at].added));
            json!({ "id": id, "date_added": added, "version": added, "media_type": STIX_TYPE })
        })
        .collect();
    let mut envelope = json!({ "more": more, "objects": objects });
    if let Some(last) = positions.last().filter(|_| more) {
        envelope["next"] = cursor(&entries[*last]).into();
    }
    dated(page(envelope), &stock.objects, &positions)
}

/// The ids of objects, which stand near the beginning of each.
fn ids(
    path: &std::path::Path,
    entries: &[Entry],
    positions: &[usize],
) -> std::io::Result<Vec<String>> {
    use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
    /// `{"type":"indicator","spec_version":"2.1","id":"indicator--UUID"` and some room.
    const HEAD_OCTETS: u32 = 128;
    let mut file = BufReader::new(std::fs::File::open(path)?);
    let mut at = 0;
    let mut ids = Vec::with_capacity(positions.len());
    for position in positions {
        let entry = &entries[*position];
        match i64::try_from(entry.offset).ok().zip(i64::try_from(at).ok()) {
            Some((offset, at)) => file.seek_relative(offset - at)?,
            None => drop(file.seek(SeekFrom::Start(entry.offset))?),
        }
        let mut head = vec![0; entry.length.min(HEAD_OCTETS) as usize];
        file.read_exact(&mut head)?;
        at = entry.offset + head.len() as u64;
        let head = String::from_utf8_lossy(&head);
        let id = head.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        ids.push(id.unwrap_or_default().to_owned());
    }
    Ok(ids)
}

fn page(value: Value) -> Answer {
    Answer::typed(StatusCode::OK, MEDIA_TYPE, value.to_string())
}

/// The answer with the times of its first and last object.
fn dated(answer: Answer, index: &Index, positions: &[usize]) -> Answer {
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return answer };
    let added = |at: usize| rfc3339(Timestamp(index.entries()[at].added));
    answer
        .with(HeaderName::from_static("x-taxii-date-added-first"), added(*first))
        .with(HeaderName::from_static("x-taxii-date-added-last"), added(*last))
}

fn failure(status: StatusCode, title: &str) -> Answer {
    let error = json!({ "title": title, "http_status": status.as_u16().to_string() });
    Answer::typed(status, MEDIA_TYPE, error.to_string())
}

/// Whether a client takes our media type; one that says nothing takes anything.
fn accepts(header: Option<&str>) -> bool {
    let Some(header) = header else { return true };
    header.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or("").to_ascii_lowercase();
        match &media[..] {
            "*/*" | "application/*" => true,
            "application/taxii+json" => parts
                .filter_map(|part| part.strip_prefix("version="))
                .all(|version| version.trim_matches('"') == "2.1"),
            _ => false,
        }
    })
}

/// A part of a query without its percent signs.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'%' => {
                let digits = [octets.next()?, octets.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(added: &[u32]) -> Index {
        let entry = |(at, added): (usize, &u32)| Entry {
            added: *added,
            offset: at as u64,
            length: 1,
            id: 100 + at as u64,
        };
        Index::new(added.iter().enumerate().map(entry).collect())
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let index = index(&[1, 1, 2, 3, 3]);
        let mut query = "limit=2".to_owned();
        let mut seen = Vec::new();
        loop {
            let (positions, more) = Filter::read(&query).unwrap().page(&index);
            seen.push(positions.clone());
            if !more {
                break;
            }
            let last = &index.entries()[*positions.last().unwrap()];
            query = format!("limit=2&next={}", cursor(last));
        }
        assert_eq!(seen, [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn a_cursor_holds_when_the_collection_has_changed() {
        let before = index(&[1, 1, 2]);
        let next = cursor(&before.entries()[1]);
        let filter = Filter::read(&format!("next={next}")).unwrap();
        let mut entries = before.entries().to_vec();
        entries.remove(1);
        entries.push(Entry { added: 9, offset: 9, length: 1, id: 7 });
        // The one that the cursor names is gone: those of its time come again.
        assert_eq!(filter.page(&Index::new(entries)).0, [0, 1, 2]);
    }

    #[test]
    fn filters_are_read_or_refused() {
        let index = index(&[10, 20, 30]);
        let page = |query: &str| Filter::read(query).map(|filter| filter.page(&index).0);
        assert_eq!(page("added_after=1970-01-01T00:00:10Z"), Ok(vec![1, 2]));
        assert_eq!(page("added_after=1970-01-01T00%3A00%3A10.5Z&limit=1"), Ok(vec![1]));
        assert_eq!(page("match[type]=indicator,malware"), Ok(vec![0, 1, 2]));
        assert_eq!(page("match%5Btype%5D=malware"), Ok(vec![]));
        assert_eq!(page("match[spec_version]=2.0"), Ok(vec![]));
        let id = "indicator--00000000-0000-0066-8000-000000000000";
        assert_eq!(page(&format!("match[id]={id},x")), Ok(vec![2]));
        assert_eq!(page("match[version]=last"), Ok(vec![0, 1, 2]));
        assert_eq!(page("match[version]=1970-01-01T00:00:20.000Z"), Ok(vec![1]));
        for query in
            ["added_after=x", "match[version]=x", "limit=0", "limit=x", "next=x", "x=1", "next=%f"]
        {
            assert!(page(query).is_err(), "{query}");
        }
    }

    #[test]
    fn the_media_type_is_negotiated() {
        for (accept, taken) in [
            (MEDIA_TYPE, true),
            ("application/taxii+json", true),
            ("application/taxii+json; version=2.0", false),
            ("text/html, */*;q=0.1", true),
            ("application/json", false),
        ] {
            assert_eq!(accepts(Some(accept)), taken, "{accept}");
        }
    }
}
