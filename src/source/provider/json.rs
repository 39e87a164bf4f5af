//! Reading JSON that somebody else wrote: what is absent or null is none, what has another type is
//! an error that names its place.

use serde_json::Value;

use super::error::{ProviderError, says};
use crate::model::Timestamp;
use crate::model::lookup::text::{LONG_OCTETS_MAX, TEXT_OCTETS_MAX, harmless};

/// The most elements of one list that are read. Pages have 40 to 200, rankings some thousands.
const ITEMS_MAX: usize = 5_000;

/// A value and the way to it.
#[derive(Clone)]
pub(super) struct Node<'v> {
    value: &'v Value,
    path: String,
}

type Read<T> = Result<T, ProviderError>;

/// The JSON of a body. An error of syntax says where.
pub(super) fn document(body: &[u8]) -> Read<Value> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ProviderError::malformed("it is empty"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.is_eof() {
            true => format!("it is cut short after {} octets", body.len()),
            false => format!("it is not JSON ({error})"),
        };
        ProviderError::malformed(what)
    })
}

/// What an error body says: the member that services use for it, else the body itself.
pub(super) fn message(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let found = value.as_ref().and_then(|value| {
        let member = |name: &str| value.get(name).filter(|v| !v.is_null());
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => items.first().and_then(Value::as_str).map(str::to_owned),
            Value::Object(object) => ["message", "msg", "code"]
                .into_iter()
                .find_map(|name| object.get(name)?.as_str().map(str::to_owned)),
            _ => None,
        };
        ["messages", "message", "error", "ErrorMessage", "verbose_msg"]
            .into_iter()
            .find_map(|name| text(member(name)?))
    });
    says(&found.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()))
}

impl<'v> Node<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self { value, path: String::new() }
    }

    fn at(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.path),
        }
    }

    fn wrong<T>(&self, wanted: &str) -> Read<T> {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        let place = if self.path.is_empty() { "the answer" } else { &self.path };
        Err(ProviderError::malformed(format!("{place} is {found} and not {wanted}")))
    }

    pub(super) fn is_object(&self) -> bool {
        self.value.is_object()
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// A member that may be missing.
    pub(super) fn get(&self, key: &str) -> Read<Option<Node<'v>>> {
        let Value::Object(members) = self.value else { return self.wrong("an object") };
        let member = members.get(key).filter(|value| !value.is_null());
        Ok(member.map(|value| Node { value, path: self.at(key) }))
    }

    /// A member that has to be there.
    pub(super) fn need(&self, key: &str) -> Read<Node<'v>> {
        let place = self.at(key);
        self.get(key)?.ok_or_else(|| ProviderError::malformed(format!("{place} is missing")))
    }

    /// The value as text; numbers are taken as they are written. None where it is empty.
    pub(super) fn as_text(&self, octets_max: usize) -> Read<Option<String>> {
        match self.value {
            Value::String(text) => {
                let text = harmless(text, octets_max);
                Ok((!text.is_empty()).then_some(text))
            }
            Value::Number(number) => Ok(Some(number.to_string())),
            _ => self.wrong("a string"),
        }
    }

    pub(super) fn text(&self, key: &str) -> Read<Option<String>> {
        self.get(key)?.map_or(Ok(None), |node| node.as_text(TEXT_OCTETS_MAX))
    }

    pub(super) fn long_text(&self, key: &str) -> Read<Option<String>> {
        self.get(key)?.map_or(Ok(None), |node| node.as_text(LONG_OCTETS_MAX))
    }

    /// The value as a number, also where it is written as a string.
    pub(super) fn as_number(&self) -> Read<f64> {
        let number = match self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().trim_end_matches('%').parse().ok(),
            _ => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Ok(number),
            None => self.wrong("a number"),
        }
    }

    pub(super) fn number(&self, key: &str) -> Read<Option<f64>> {
        self.get(key)?.map(|node| node.as_number()).transpose()
    }

    /// The value as a whole number, also where it is written as a string.
    pub(super) fn as_integer(&self) -> Read<i64> {
        let number = match self.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map_or_else(|| self.wrong("a whole number"), Ok)
    }

    pub(super) fn integer(&self, key: &str) -> Read<Option<i64>> {
        self.get(key)?.map(|node| node.as_integer()).transpose()
    }

    /// A count: a whole number that is not negative.
    pub(super) fn count(&self, key: &str) -> Read<Option<u32>> {
        let Some(node) = self.get(key)? else { return Ok(None) };
        match u32::try_from(node.as_integer()?) {
            Ok(count) => Ok(Some(count)),
            Err(_) => node.wrong("a count"),
        }
    }

    /// An AS number: `64496`, `"64496"` or `"AS64496"`; none for 0 and for an empty text.
    pub(super) fn system(&self, key: &str) -> Read<Option<u32>> {
        let Some(node) = self.get(key)? else { return Ok(None) };
        let Some(text) = node.as_text(TEXT_OCTETS_MAX)? else { return Ok(None) };
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as"));
        match digits.unwrap_or(&text).trim().parse() {
            Ok(0) => Ok(None),
            Ok(number) => Ok(Some(number)),
            Err(_) => node.wrong("an AS number"),
        }
    }

    /// A truth value, also as 0 or 1.
    pub(super) fn flag(&self, key: &str) -> Read<Option<bool>> {
        let Some(node) = self.get(key)? else { return Ok(None) };
        match (node.value, node.value.as_i64()) {
            (Value::Bool(flag), _) => Ok(Some(*flag)),
            (_, Some(number @ (0 | 1))) => Ok(Some(number == 1)),
            _ => node.wrong("true or false"),
        }
    }

    /// A point in time: seconds since 1970, or a date.
    pub(super) fn time(&self, key: &str) -> Read<Option<Timestamp>> {
        let Some(node) = self.get(key)? else { return Ok(None) };
        if let Some(seconds) = node.value.as_i64() {
            // Registrations before 1970 and after 2106 are slips.
            return Ok(u32::try_from(seconds).ok().map(Timestamp));
        }
        let Some(text) = node.as_text(TEXT_OCTETS_MAX)? else { return Ok(None) };
        match Timestamp::parse(&text) {
            Some(at) => Ok(Some(at)),
            None => node.wrong("a point in time"),
        }
    }

    /// The elements of the value, which is a list.
    pub(super) fn as_items(&self) -> Read<Vec<Node<'v>>> {
        let Value::Array(items) = self.value else { return self.wrong("a list") };
        let node = |(at, value)| Node { value, path: format!("{}[{at}]", self.path) };
        Ok(items.iter().enumerate().take(ITEMS_MAX).map(node).collect())
    }

    /// The elements of a list; none where it is missing.
    pub(super) fn items(&self, key: &str) -> Read<Vec<Node<'v>>> {
        self.get(key)?.map_or_else(|| Ok(Vec::new()), |node| node.as_items())
    }

    /// The texts of a list.
    pub(super) fn texts(&self, key: &str) -> Read<Vec<String>> {
        let mut texts = Vec::new();
        for item in self.items(key)? {
            texts.extend(item.as_text(TEXT_OCTETS_MAX)?);
        }
        Ok(texts)
    }

    /// The members of the value, which is an object.
    pub(super) fn as_entries(&self) -> Read<Vec<(String, Node<'v>)>> {
        let Value::Object(members) = self.value else { return self.wrong("an object") };
        let node = |(key, value): (&String, &'v Value)| {
            (harmless(key, TEXT_OCTETS_MAX), Node { value, path: self.at(key) })
        };
        Ok(members.iter().take(ITEMS_MAX).map(node).collect())
    }

    /// The members of an object; none where it is missing.
    pub(super) fn entries(&self, key: &str) -> Read<Vec<(String, Node<'v>)>> {
        self.get(key)?.map_or_else(|| Ok(Vec::new()), |node| node.as_entries())
    }
}
