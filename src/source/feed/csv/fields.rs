//! One line of delimited text, split into fields (RFC 4180 section 2).
//!
//! White space around fields is dropped, also in front of a quotation, as some feeds write it
//! (`"a", "b"`), which RFC 4180 and the csv crate would take as part of the field. Otherwise the
//! two agree, which a test checks.

use std::borrow::Cow;

use super::super::Reason;

/// The fields of the line that was split last; its memory is used again for the next.
pub(super) struct Fields {
    delimiter: char,
    line: String,
    fields: Vec<Field>,
}

/// Where a field stands in the line, without quotes around it.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: usize,
    end: usize,
    has_doubled_quotes: bool,
}

impl Fields {
    pub(super) fn new(delimiter: char) -> Self {
        Self { delimiter, line: String::new(), fields: Vec::new() }
    }

    /// Splits a line.
    pub(super) fn split(&mut self, line: &str) -> Result<(), Reason> {
        self.line.clear();
        self.line.push_str(line);
        self.fields.clear();
        let mut at = 0;
        loop {
            let rest = &line[at..];
            let blank = rest.len() - rest.trim_start_matches(self.is_blank()).len();
            let (field, next) = match rest[blank..].strip_prefix('"') {
                Some(_) => self.quoted(line, at + blank + 1)?,
                None => self.bare(line, at),
            };
            self.fields.push(field);
            match next {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
    }

    /// White space that is not the delimiter itself.
    fn is_blank(&self) -> impl Fn(char) -> bool + use<> {
        let delimiter = self.delimiter;
        move |c| c.is_whitespace() && c != delimiter
    }

    /// The field from `start` up to the next delimiter, and where the next field begins.
    fn bare(&self, line: &str, start: usize) -> (Field, Option<usize>) {
        let end = line[start..].find(self.delimiter).map(|length| start + length);
        let text = &line[start..end.unwrap_or(line.len())];
        let from = start + (text.len() - text.trim_start().len());
        let field = Field { start: from, end: from + text.trim().len(), has_doubled_quotes: false };
        (field, end.map(|end| end + self.delimiter.len_utf8()))
    }

    /// The field whose first octet after the quote is at `start`.
    fn quoted(&self, line: &str, start: usize) -> Result<(Field, Option<usize>), Reason> {
        let mut has_doubled_quotes = false;
        let mut at = start;
        let end = loop {
            let quote = at + line[at..].find('"').ok_or(Reason::OpenQuotation)?;
            match line[quote + 1..].starts_with('"') {
                true => at = quote + 2,
                false => break quote,
            }
            has_doubled_quotes = true;
        };
        let next = line[end + 1..].find(self.delimiter);
        let field = Field { start, end, has_doubled_quotes };
        Ok((field, next.map(|length| end + 1 + length + self.delimiter.len_utf8())))
    }

    /// The field at `index`, from 0.
    pub(super) fn field(&self, index: usize) -> Option<Cow<'_, str>> {
        self.fields.get(index).map(|field| self.text(field))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.fields.iter().map(|field| self.text(field))
    }

    fn text(&self, field: &Field) -> Cow<'_, str> {
        let text = &self.line[field.start..field.end];
        match field.has_doubled_quotes {
            true => Cow::Owned(text.replace("\"\"", "\"").trim().to_owned()),
            false => Cow::Borrowed(text.trim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &str, delimiter: char) -> Result<Vec<String>, Reason> {
        let mut fields = Fields::new(delimiter);
        fields.split(line)?;
        Ok(fields.iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn fields_split_as_feeds_write_them() {
        assert_eq!(split("a, b ,,c", ',').unwrap(), ["a", "b", "", "c"]);
        assert_eq!(split("a\t\t b\t", '\t').unwrap(), ["a", "", "b", ""]);
        assert_eq!(split("\"a,b\", \"c \"\"d\"\"\" ,e", ',').unwrap(), ["a,b", "c \"d\"", "e"]);
        assert_eq!(split("é¦ü¦\"ß\"", '¦').unwrap(), ["é", "ü", "ß"]);
        assert_eq!(split("a,\"b", ','), Err(Reason::OpenQuotation));
    }

    /// One field as a CSV writer puts it: bare, or quoted with its quotes doubled.
    fn written() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z0-9.:/]{0,6}",
            "[a-z,\"]{0,6}".prop_map(|text| format!("\"{}\"", text.replace('"', "\"\""))),
        ]
    }

    proptest! {
        #[test]
        fn fields_equal_those_of_the_csv_crate(fields in proptest::collection::vec(written(), 1..8)) {
            let line = fields.join(",");
            // The csv crate skips an empty line, which here is one empty field.
            prop_assume!(!line.is_empty());
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            let theirs: Vec<&str> = record.iter().collect();
            prop_assert_eq!(split(&line, ',').unwrap(), theirs);
        }
    }
}
