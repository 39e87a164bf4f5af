//! TOML for people, read strictly: every key has to be asked for, every finding has a place, and
//! none hides the next.
//!
//! A reader walks a [`Document`] and asks each [`Table`] for the keys that it knows. What was not
//! asked for when the table is done is an unknown key, so a key cannot be accepted and then
//! ignored. A wrong value gives a finding and counts as absent, and the walk goes on.

mod table;
mod value;

use std::cell::RefCell;

use toml::Spanned;
use toml::de::DeTable;

pub use table::{Table, listed};
pub use value::Value;

use crate::diagnostic::{Diagnostic, Place};

/// A line and a column in some file, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The place in a file.
    pub fn in_file(self, file: &str) -> Place {
        Place { file: file.to_owned(), line: self.line as usize, column: self.column as usize }
    }
}

/// One TOML file with the findings about it.
pub struct Document<'t> {
    file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
    root: Spanned<DeTable<'t>>,
    broken_lines: Vec<u32>,
    findings: RefCell<Vec<Diagnostic>>,
}

impl<'t> Document<'t> {
    /// Reads the syntax. What cannot be read becomes findings, and the rest stays readable.
    pub fn parse(file: &'t str, text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        let mut document = Self {
            file,
            text,
            line_starts: std::iter::once(0).chain(newlines).collect(),
            root,
            broken_lines: Vec::new(),
            findings: RefCell::default(),
        };
        let broken: Vec<_> = errors
            .iter()
            .map(|error| {
                let position = document.position(error.span().map_or(0, |span| span.start));
                let message = error.message().replace('\n', ", ");
                (position, Diagnostic::error(message).at(position.in_file(file)))
            })
            .collect();
        for (position, finding) in broken {
            document.broken_lines.push(position.line);
            document.findings.borrow_mut().push(finding);
        }
        document
    }

    /// The name of the file.
    pub fn file(&self) -> &'t str {
        self.file
    }

    /// Walks the document's top table.
    pub fn read<T>(&self, body: impl FnOnce(&Table<'_>) -> T) -> T {
        Table::read(self, self.root.get_ref(), 0, ("".into(), false), body)
    }

    /// What was found, in order of place.
    pub fn into_findings(self) -> Vec<Diagnostic> {
        let mut findings = self.findings.into_inner();
        findings.sort_by(|a, b| a.place.cmp(&b.place));
        findings
    }

    /// The line and column of an octet.
    fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let before = &self.text.as_bytes()[self.line_starts[line - 1]..offset.min(self.text.len())];
        // Octets that continue a character in UTF-8 start with the bits 10.
        let column = before.iter().filter(|b| **b & 0b1100_0000 != 0b1000_0000).count() + 1;
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Position { line: small(line), column: small(column) }
    }

    /// Takes a finding about an octet. On a line that is not TOML only that is said: what was
    /// understood of the rest of the line is a guess.
    fn report(&self, offset: usize, finding: Diagnostic) {
        let position = self.position(offset);
        if !self.broken_lines.contains(&position.line) {
            self.findings.borrow_mut().push(finding.at(position.in_file(self.file)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str, body: impl FnOnce(&Table<'_>)) -> String {
        let document = Document::parse("t.toml", text);
        document.read(body);
        let findings = document.into_findings();
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_key_that_nobody_asked_for_is_unknown_and_the_nearest_one_is_offered() {
        let text = "mode = 'enforce'\n[limits]\nsizee = 1\nfoo = 2\n";
        let found = findings(text, |root| {
            root.get("mode");
            root.table("limits", |limits| {
                limits.get("size");
                limits.get("count");
            });
        });
        assert_eq!(
            found,
            "error: unknown key `sizee` in `[limits]`\n  --> t.toml:3:1\n\
             hint: did you mean `size`?\n\
             error: unknown key `foo` in `[limits]`\n  --> t.toml:4:1\n\
             hint: known here are `size` and `count`"
        );
    }

    #[test]
    fn every_wrong_type_is_found_and_counts_as_absent() {
        let found = findings("a = 1\nb = 'x'\nc = ['y', 2]\nd = 7\n", |root| {
            assert_eq!(root.get("a").and_then(|v| v.text()), None);
            assert_eq!(root.get("b").and_then(|v| v.flag()), None);
            assert_eq!(root.list("c").iter().filter_map(Value::text).collect::<Vec<_>>(), ["y"]);
            assert_eq!(root.get("d").and_then(|v| v.integer(0..=5)), None);
        });
        assert_eq!(
            found,
            "error: `a` takes a string, and this is an integer\n  --> t.toml:1:5\n\
             error: `b` takes true or false, and this is a string\n  --> t.toml:2:5\n\
             error: `c` takes a string, and this is an integer\n  --> t.toml:3:11\n\
             error: `d` is out of range\n  --> t.toml:4:5\n\
             hint: from 0 to 5"
        );
    }

    #[test]
    fn a_broken_line_hides_neither_the_next_nor_an_unknown_key_elsewhere() {
        let found = findings("a = \nb = 1\nc = 'x\nd = 2\n", |root| {
            root.get("a");
            root.get("c");
            root.get("d");
        });
        let places: Vec<&str> = found.lines().filter(|l| l.contains("-->")).collect();
        assert_eq!(places, ["  --> t.toml:1:5", "  --> t.toml:2:1", "  --> t.toml:3:7"], "{found}");
    }

    #[test]
    fn named_tables_come_in_the_order_of_the_file() {
        let document = Document::parse("t.toml", "[g.z]\nn = 1\n[g.a]\nn = 2\n");
        let names = document.read(|root| {
            let mut names = Vec::new();
            root.named("g", |name, table| {
                let number = table.get("n").and_then(|v| v.integer(0..=9));
                names.push((name.key().to_owned(), number));
            });
            names
        });
        assert_eq!(names, [("z".to_owned(), Some(1)), ("a".to_owned(), Some(2))]);
    }

    #[test]
    fn columns_count_characters() {
        let found = findings("a = ['ä', 1]\n", |root| {
            root.list("a").iter().for_each(|v| {
                v.text();
            });
        });
        assert!(found.contains("t.toml:1:11"), "{found}");
    }
}
