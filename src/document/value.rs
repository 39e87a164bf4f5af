//! A value with its place, read as the type that the reader asks for.

use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

use toml::de::DeValue;
use toml::value::Datetime;

use super::table::listed;
use super::{Document, Position, Table};
use crate::diagnostic::{Diagnostic, nearest};

/// A value of a document.
#[derive(Clone)]
pub struct Value<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) parent: Rc<str>,
    pub(super) key: &'d str,
    pub(super) value: &'d DeValue<'d>,
    pub(super) span: Range<usize>,
}

impl<'d> Value<'d> {
    /// The key that the value, or the array it stands in, belongs to.
    pub fn key(&self) -> &'d str {
        self.key
    }

    /// Where the value starts.
    pub fn position(&self) -> Position {
        self.document.position(self.span.start)
    }

    /// Takes a finding about the value.
    pub fn report(&self, finding: Diagnostic) {
        self.document.report(self.span.start, finding);
    }

    /// Reads a string.
    pub fn text(&self) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type("a string"),
        }
    }

    /// Reads a string of at most so many octets.
    pub fn text_within(&self, octets_max: usize) -> Option<&'d str> {
        let text = self.text()?;
        if text.len() > octets_max {
            self.report(
                Diagnostic::error(format!("`{}` is longer than {octets_max} octets", self.key))
                    .hint(format!("it has {}", text.len())),
            );
            return None;
        }
        Some(text)
    }

    /// Reads `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.wrong_type("true or false"),
        }
    }

    /// Whether the value is a whole number, where other types may stand as well.
    pub fn is_integer(&self) -> bool {
        matches!(self.value, DeValue::Integer(_))
    }

    /// Reads a whole number within a range.
    pub fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let DeValue::Integer(digits) = self.value else { return self.wrong_type("an integer") };
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let within = number.filter(|number| range.contains(number));
        if within.is_none() {
            let (low, high) = range.into_inner();
            self.report(
                Diagnostic::error(format!("`{}` is out of range", self.key))
                    .hint(format!("from {low} to {high}")),
            );
        }
        within
    }

    /// Reads a number with at most two decimals, in hundredths.
    pub fn hundredths(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let text = match self.value {
            DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str(),
            DeValue::Float(digits) => digits.as_str(),
            _ => return self.wrong_type("a number"),
        };
        let (low, high) = (*range.start(), *range.end());
        let within = parse_hundredths(text).filter(|number| range.contains(number));
        if within.is_none() {
            self.report(Diagnostic::error(format!("`{}` cannot be {text}", self.key)).hint(
                format!("a number from {} to {} with at most two decimals", low / 100, high / 100),
            ));
        }
        within
    }

    /// Reads a date, or a date with a time and an offset from UTC.
    pub fn datetime(&self) -> Option<&'d Datetime> {
        match self.value {
            DeValue::Datetime(at) => Some(at),
            _ => self.wrong_type("a date"),
        }
    }

    /// Reads one of the words that are given with their meaning.
    pub fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let known = || words.iter().map(|(word, _)| *word);
        let hint = match nearest(text, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it takes {}", listed(known(), "or")),
        };
        self.report(Diagnostic::error(format!("`{}` cannot be `{text}`", self.key)).hint(hint));
        None
    }

    /// Reads a string into a type; a refusal becomes a finding here.
    pub fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, Diagnostic>) -> Option<T> {
        match parse(self.text()?) {
            Ok(value) => Some(value),
            Err(finding) => {
                self.report(finding);
                None
            }
        }
    }

    /// The elements of an array, or the value itself where it is not an array.
    pub fn items(self) -> Vec<Value<'d>> {
        let DeValue::Array(elements) = self.value else { return vec![self] };
        elements
            .iter()
            .map(|element| Value {
                document: self.document,
                parent: self.parent.clone(),
                key: self.key,
                value: element.get_ref(),
                span: element.span(),
            })
            .collect()
    }

    /// Reads a table.
    pub fn table<T>(&self, body: impl FnOnce(&Table<'d>) -> T) -> Option<T> {
        self.table_in(false, body)
    }

    /// Reads a table that may stand in an array of tables.
    pub(super) fn table_in<T>(
        &self,
        in_array: bool,
        body: impl FnOnce(&Table<'d>) -> T,
    ) -> Option<T> {
        match self.value {
            DeValue::Table(entries) => {
                let path = (self.path(), in_array);
                Some(Table::read(self.document, entries, self.span.start, path, body))
            }
            _ => self.wrong_type("a table"),
        }
    }

    /// The key with those of the tables it stands in.
    pub(super) fn path(&self) -> Rc<str> {
        match self.parent.is_empty() {
            true => self.key.into(),
            false => format!("{}.{}", self.parent, self.key).into(),
        }
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with decimals",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.report(Diagnostic::error(format!(
            "`{}` takes {wanted}, and this is {found}",
            self.key
        )));
        None
    }
}

/// Reads decimal digits exactly, without a detour over binary fractions.
fn parse_hundredths(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let cents: i64 = format!("{fraction:0<2}").parse().ok()?;
    let whole: i64 = whole.parse().ok()?;
    let number = whole.checked_mul(100)?.checked_add(cents)?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_exactly() {
        for (text, hundredths) in [
            ("15", Some(1500)),
            ("-3", Some(-300)),
            ("+0.05", Some(5)),
            ("-0.5", Some(-50)),
            ("10.250", Some(1025)),
            ("0.005", None),
            ("1e3", None),
            ("inf", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_hundredths(text), hundredths, "{text}");
        }
    }

    #[test]
    fn a_slip_in_a_word_is_answered_with_the_nearest_one() {
        let document = Document::parse("t.toml", "m = 'enfroce'\nn = 'x'\n");
        document.read(|root| {
            for key in ["m", "n"] {
                root.get(key).and_then(|v| v.word(&[("off", 0), ("enforce", 2)]));
            }
        });
        let found: Vec<String> = document.into_findings().iter().map(|d| d.to_string()).collect();
        assert_eq!(
            found,
            [
                "error: `m` cannot be `enfroce`\n  --> t.toml:1:5\nhint: did you mean `enforce`?",
                "error: `n` cannot be `x`\n  --> t.toml:2:5\nhint: it takes `off` or `enforce`"
            ]
        );
    }
}
