//! One MISP warninglist (<https://github.com/MISP/misp-warninglists>, `schema.json`).
//!
//! Lists of type `hostname`, `string` and `cidr` hold names, addresses and prefixes; `substring`
//! and `regex` lists match in ways that names cannot express and are refused. `type` stands after
//! the list in the published files, so the document is held, within
//! [`Limits::document_octets_max`].

use std::cell::Cell;
use std::io::{BufRead, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::lines::{Opening, refuse_binary, refuse_other_documents};
use super::report::{Tally, host_name};
use super::{Entry, Limits, ParseError, Reason, Report, networks, neutralised, urls};
use crate::model::Indicator;

/// How much of a document is looked at to tell what it is.
const HEAD_OCTETS: usize = 512;

pub(super) fn parse(
    reader: &mut dyn BufRead,
    limits: &Limits,
    sink: &mut dyn FnMut(Entry),
) -> Result<Report, ParseError> {
    let document = read_document(reader, limits.document_octets_max)?;
    let about: About = serde_json::from_slice(&document)?;
    about.refuse_what_names_cannot_express()?;
    let mut tally = Tally::new(limits, sink);
    tally.report.header.title = about.name.as_deref().map(neutralised);
    tally.report.header.updated = about.version.map(|version| version.to_string());
    let line = Cell::new(1);
    let counting = CountingLines { rest: &document, line: &line };
    let items = Document { items: Items { tally: &mut tally, line: &line } };
    items.deserialize(&mut serde_json::Deserializer::from_reader(counting))?;
    match tally.is_full() {
        true => Err(ParseError::TooManyEntries(limits.entries_max)),
        false => Ok(tally.report),
    }
}

fn read_document(reader: &mut dyn BufRead, octets_max: usize) -> Result<Vec<u8>, ParseError> {
    let mut document = Vec::new();
    reader.take(octets_max as u64 + 1).read_to_end(&mut document)?;
    if document.len() > octets_max {
        return Err(ParseError::DocumentTooLarge(octets_max));
    }
    let head = &document[..document.len().min(HEAD_OCTETS)];
    refuse_binary(head)?;
    refuse_other_documents(&String::from_utf8_lossy(head), Opening::Json)?;
    Ok(document)
}

/// All but the list itself.
#[derive(serde::Deserialize)]
struct About {
    name: Option<String>,
    version: Option<u64>,
    r#type: String,
    #[serde(default)]
    matching_attributes: Vec<String>,
    #[serde(rename = "list")]
    _list: IgnoredAny,
}

impl About {
    fn refuse_what_names_cannot_express(&self) -> Result<(), ParseError> {
        if !matches!(self.r#type.as_str(), "hostname" | "string" | "cidr") {
            return Err(ParseError::WarninglistType(neutralised(&self.r#type)));
        }
        // MISP's attribute types that a name, an address or a URL can stand in.
        let is_ours = |attribute: &String| {
            ["domain", "hostname", "ip-", "url", "uri"].iter().any(|t| attribute.starts_with(t))
        };
        let attributes = &self.matching_attributes;
        match attributes.is_empty() || attributes.iter().any(is_ours) {
            true => Ok(()),
            false => Err(ParseError::WarninglistSubject(neutralised(&attributes.join(", ")))),
        }
    }
}

fn item(text: &str, tally: &mut Tally<'_>) {
    match entry(text.trim(), tally.limits) {
        Ok(entry) => tally.entry(entry),
        Err(reason) => tally.reject(text, reason),
    }
}

fn entry(text: &str, limits: &Limits) -> Result<Entry, Reason> {
    match networks::network(text) {
        Ok(network) => return Ok(Entry::of(Indicator::Network(network))),
        Err(Reason::CoversEverything) => return Err(Reason::CoversEverything),
        Err(_) => {}
    }
    match text.contains('/') {
        true => urls::entry(text, limits),
        false => host_name(text, limits).map(|name| Entry::of(Indicator::Domain(name))),
    }
}

/// Counts the line ends that a parser has read, so that an item knows its line.
struct CountingLines<'a> {
    rest: &'a [u8],
    line: &'a Cell<u64>,
}

impl Read for CountingLines<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.rest.read(out)?;
        let ends = out[..count].iter().filter(|byte| **byte == b'\n').count();
        self.line.set(self.line.get() + ends as u64);
        Ok(count)
    }
}

/// Goes through the object and hands the value of `list` to [`Items`].
struct Document<'a, 't> {
    items: Items<'a, 't>,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a warninglist")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "list" => map.next_value_seed(&mut self.items)?,
                _ => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(())
    }
}

/// Reads the list's items one by one.
struct Items<'a, 't> {
    tally: &'a mut Tally<'t>,
    line: &'a Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for &mut Items<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Items<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(text) = items.next_element::<String>()? {
            self.tally.begin(self.line.get());
            item(&text, self.tally);
            self.tally.end();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{claims, read, rejects};
    use super::super::{Format, Limits, ParseError, parse};

    fn list(kind: &str, attributes: &str, items: &str) -> String {
        format!(
            "{{\n\"description\": \"d\",\n\"list\": [\n{items}\n],\n\
             \"matching_attributes\": [{attributes}],\n\"name\": \"Mine\",\n\"type\": \"{kind}\",\n\
             \"version\": 3\n}}"
        )
    }

    fn refusal(text: &str) -> String {
        let limits = Limits { document_octets_max: 1000, ..Limits::default() };
        let result = parse(&Format::MispWarninglist, &mut text.as_bytes(), &limits, &mut |_| {});
        result.unwrap_err().to_string()
    }

    #[test]
    fn names_addresses_and_urls_are_read() {
        let text = list(
            "hostname",
            "\"domain\", \"url\"",
            "\".duckdns.example\",\n\"short.example\",\n\"192.0.2.1\",\n\"198.51.100.0/24\",\n\
             \"host.example/page\"",
        );
        assert_eq!(
            claims(&Format::MispWarninglist, &text),
            "duckdns.example short.example 192.0.2.1 198.51.100.0/24 host.example/"
        );
        let report = read(&Format::MispWarninglist, text.as_bytes()).1;
        assert_eq!((report.lines, report.lines_accepted), (5, 5));
        assert_eq!(report.header.title.as_deref(), Some("Mine"));
        assert_eq!(report.header.updated.as_deref(), Some("3"));
    }

    #[test]
    fn items_are_rejected_with_their_line() {
        let text = list("cidr", "\"ip-dst\"", "\"192.0.2.0/24\",\n\"0.0.0.0/0\",\n\"a b.example\"");
        assert_eq!(
            rejects(&Format::MispWarninglist, &text),
            ["5: this would cover everything", "6: the character ' ' cannot stand in a host name"]
        );
    }

    #[test]
    fn lists_that_names_cannot_express_are_refused() {
        assert_eq!(
            refusal(&list("regex", "\"domain\"", "\"/x/i\"")),
            "a warninglist of type \"regex\" cannot be read as names or networks"
        );
        assert_eq!(
            refusal(&list("string", "\"md5\", \"filename|md5\"", "\"00014cb6\"")),
            "the warninglist is about md5, filename|md5, not about names, addresses or URLs"
        );
        assert!(refusal("{\"list\": []}").contains("missing field `type`"));
        assert!(refusal("{\"list\": [1], \"type\": \"cidr\"}").contains("invalid type"));
        assert!(refusal(&list("cidr", "", &" ".repeat(1000))).contains("larger than 1000 octets"));
    }

    #[test]
    fn a_document_cut_short_is_refused() {
        let text = list("cidr", "\"ip-dst\"", "\"192.0.2.0/24\"");
        let result = parse(
            &Format::MispWarninglist,
            &mut &text.as_bytes()[..text.len() - 5],
            &Limits::default(),
            &mut |_| {},
        );
        assert!(matches!(result, Err(ParseError::Json(_))));
    }
}
