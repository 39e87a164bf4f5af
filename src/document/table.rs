//! A table that knows which of its keys were asked for.

use std::cell::RefCell;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::{Document, Position, Value};
use crate::diagnostic::{Diagnostic, nearest};

/// A table of a document while it is read.
pub struct Table<'d> {
    document: &'d Document<'d>,
    entries: &'d DeTable<'d>,
    offset: usize,
    path: Rc<str>,
    in_array: bool,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Table<'d> {
    /// Reads a table with `body` and reports the keys that were not asked for. The path is that of
    /// its header, and empty for the top table.
    pub(super) fn read<T>(
        document: &'d Document<'d>,
        entries: &'d DeTable<'d>,
        offset: usize,
        (path, in_array): (Rc<str>, bool),
        body: impl FnOnce(&Table<'d>) -> T,
    ) -> T {
        let asked = RefCell::default();
        let table = Table { document, entries, offset, path, in_array, asked };
        let result = body(&table);
        table.report_unknown_keys();
        result
    }

    /// Where the table starts.
    pub fn position(&self) -> Position {
        self.document.position(self.offset)
    }

    /// Takes a finding about the table as a whole.
    pub fn report(&self, finding: Diagnostic) {
        self.document.report(self.offset, finding);
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Value<'d>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let value = self.entries.get(key)?;
        Some(Value {
            document: self.document,
            parent: self.path.clone(),
            key,
            value: value.get_ref(),
            span: value.span(),
        })
    }

    /// The value of a key that has to be there; its absence is a finding.
    pub fn need(&self, key: &'static str) -> Option<Value<'d>> {
        let value = self.get(key);
        if value.is_none() {
            self.report(Diagnostic::error(format!("{} needs `{key}`", self.title())));
        }
        value
    }

    /// The values of a key that takes one value or an array of them; none if the key is absent.
    pub fn list(&self, key: &'static str) -> Vec<Value<'d>> {
        self.get(key).map_or_else(Vec::new, Value::items)
    }

    /// Reads the table at a key, if it is there.
    pub fn table<T>(&self, key: &'static str, body: impl FnOnce(&Table<'d>) -> T) -> Option<T> {
        self.get(key)?.table(body)
    }

    /// Reads each table of an array of tables.
    pub fn each(&self, key: &'static str, mut body: impl FnMut(&Table<'d>)) {
        let Some(value) = self.get(key) else { return };
        match value.value {
            DeValue::Array(_) => value.items().into_iter().for_each(|item| {
                item.table_in(true, &mut body);
            }),
            _ => value.report(
                Diagnostic::error(format!("`{key}` is an array of tables"))
                    .hint(format!("write `[[{key}]]`")),
            ),
        }
    }

    /// Reads each table under a key, in the order of the file: `[key.first]`, `[key.second]`.
    pub fn named(&self, key: &'static str, mut body: impl FnMut(Value<'d>, &Table<'d>)) {
        for value in self.children(key) {
            value.clone().table(|table| body(value, table));
        }
    }

    /// The values under a key whose own keys are names that the user chose, in the order of the
    /// file.
    pub fn children(&self, key: &'static str) -> Vec<Value<'d>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Table(entries) = value.value else {
            value.report(Diagnostic::error(format!("`{key}` is a table of tables")));
            return Vec::new();
        };
        let parent = value.path();
        let mut children: Vec<Value<'d>> = entries
            .iter()
            .map(|(name, child)| Value {
                document: self.document,
                parent: parent.clone(),
                key: name.get_ref(),
                value: child.get_ref(),
                span: name.span().start..child.span().end,
            })
            .collect();
        children.sort_by_key(|child| child.span.start);
        children
    }

    /// The table as people know it.
    fn title(&self) -> String {
        match (self.path.is_empty(), self.in_array) {
            (true, _) => "the file".to_owned(),
            (false, false) => format!("`[{}]`", self.path),
            (false, true) => format!("`[[{}]]`", self.path),
        }
    }

    /// Whether one of these keys is there.
    pub fn has_any(&self, keys: &[&str]) -> bool {
        self.entries.keys().any(|key| keys.contains(&&**key.get_ref()))
    }

    /// Whether there is a key that is none of these.
    pub fn has_other_key(&self, known: &[&str]) -> bool {
        self.entries.keys().any(|key| !known.contains(&&**key.get_ref()))
    }

    fn report_unknown_keys(&self) {
        let asked = self.asked.borrow();
        for key in self.entries.keys().filter(|key| !asked.contains(&&**key.get_ref())) {
            let word = key.get_ref();
            let hint = match nearest(word, asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here are {}", listed(asked.iter().copied(), "and")),
            };
            let message = format!("unknown key `{word}` in {}", self.title());
            self.document.report(key.span().start, Diagnostic::error(message).hint(hint));
        }
    }
}

/// Words in a sentence: `a`, `b` and `c`, or with another word before the last one.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>, before_last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} {before_last} {last}", rest.join(", ")),
    }
}
