//! A JSON object of names by AS number, as pyasn makes it: `{"64496": "EXAMPLE Example Ltd., ZZ"}`.
//! Read as a stream; a name that has been read stays, however the document ends.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};

use super::report::{End, Place, Reason, Tally, as_number};

pub(super) fn read(reader: &mut dyn BufRead, tally: &mut Tally<'_>) {
    let mut document = serde_json::Deserializer::from_reader(reader);
    let read = document.deserialize_map(Names { tally }).and_then(|()| document.end());
    let Err(error) = read else { return };
    let place = Place::Line(error.line() as u64);
    match error.classify() {
        serde_json::error::Category::Eof => tally.report.end = End::CutShort(place),
        serde_json::error::Category::Io => {
            tally.report.end = End::Unreadable(place, error.to_string());
        }
        _ => {
            tally.reject(place, "", Reason::Document(error.to_string()));
            tally.report.end = End::CutShort(place);
        }
    }
}

struct Names<'t, 'a> {
    tally: &'t mut Tally<'a>,
}

impl<'de> Visitor<'de> for Names<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names by AS number")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, name)) = map.next_entry::<Cow<'de, str>, Option<Cow<'de, str>>>()? {
            self.tally.report.records += 1;
            match as_number(&key) {
                Ok(system) => self.tally.name(system, name.as_deref().unwrap_or("")),
                Err(reason) => self.tally.reject(Place::Line(1), &key, reason),
            }
        }
        Ok(())
    }
}
