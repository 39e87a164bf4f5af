//! Walking many tables of names at once, in canonical order.

use crate::model::NameRef;
use crate::names::{Cursor, NameTable};

/// A walk over several tables that gives each name once, with what every table says beside it.
pub struct Merge<'t> {
    heads: Vec<Head<'t>>,
    /// Positions in `heads`, a binary heap by name and then by position.
    heap: Vec<usize>,
    name: Vec<u8>,
    payloads: Vec<(usize, &'t [u8])>,
}

struct Head<'t> {
    cursor: Cursor<'t>,
    payload: &'t [u8],
}

impl<'t> Merge<'t> {
    /// A walk from the first names of all tables.
    pub fn new(tables: impl IntoIterator<Item = &'t NameTable>) -> Self {
        Self::from_cursors(tables.into_iter().map(NameTable::iter))
    }

    /// A walk over the names at and below `top`, and on from there.
    pub fn from(tables: impl IntoIterator<Item = &'t NameTable>, top: NameRef<'_>) -> Self {
        Self::from_cursors(tables.into_iter().map(|table| table.seek(top)))
    }

    fn from_cursors(cursors: impl Iterator<Item = Cursor<'t>>) -> Self {
        let mut merge =
            Self { heads: Vec::new(), heap: Vec::new(), name: Vec::new(), payloads: Vec::new() };
        for mut cursor in cursors {
            let payload = cursor.next().map(|(_, payload)| payload);
            if let Some(payload) = payload {
                merge.heap.push(merge.heads.len());
                merge.heads.push(Head { cursor, payload });
            } else {
                // An empty table keeps its place, so that positions are those of the caller.
                merge.heads.push(Head { cursor, payload: &[] });
            }
        }
        (0..merge.heap.len() / 2).rev().for_each(|at| merge.sink(at));
        merge
    }

    /// The next name, with the position of each table that has it and what stands there, in the
    /// order of the tables.
    #[expect(clippy::type_complexity, reason = "a name with what lies beside it")]
    pub fn advance(&mut self) -> Option<(NameRef<'_>, &[(usize, &'t [u8])])> {
        let &first = self.heap.first()?;
        self.name.clear();
        self.name.extend_from_slice(self.heads[first].cursor.current().key());
        self.payloads.clear();
        while let Some(&top) = self.heap.first() {
            let head = &mut self.heads[top];
            if head.cursor.current().key() != self.name {
                break;
            }
            self.payloads.push((top, head.payload));
            match head.cursor.next() {
                Some((_, payload)) => head.payload = payload,
                None => {
                    self.heap.swap_remove(0);
                }
            }
            self.sink(0);
        }
        Some((NameRef::from_key(&self.name), &self.payloads))
    }

    fn before(&self, a: usize, b: usize) -> bool {
        let name = |at: usize| self.heads[at].cursor.current();
        (name(a), a) < (name(b), b)
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.before(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::names::NameTableBuilder;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn every_name_comes_once_and_in_order_with_all_that_have_it(
            tables in proptest::collection::vec(proptest::collection::btree_set("[ab]{1,2}(\\.[ab]{1,2})?", 0..12), 0..6),
        ) {
            let mut expected: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
            let built: Vec<NameTable> = tables.iter().enumerate().map(|(index, texts)| {
                let names: BTreeSet<Name> = texts.iter().map(|t| Name::from_host(t).unwrap()).collect();
                let mut builder = NameTableBuilder::new(1, None);
                for name in names {
                    builder.push(name.as_ref(), &[index as u8]);
                    expected.entry(name).or_default().push(index);
                }
                NameTable::built(builder)
            }).collect();
            let mut merge = Merge::new(&built);
            let mut found = BTreeMap::new();
            let mut order = Vec::new();
            while let Some((name, payloads)) = merge.advance() {
                order.push(name.to_owned());
                prop_assert!(payloads.iter().all(|(at, p)| p == &[*at as u8]));
                found.insert(name.to_owned(), payloads.iter().map(|(at, _)| *at).collect::<Vec<_>>());
            }
            prop_assert!(order.is_sorted());
            prop_assert_eq!(order.len(), expected.len());
            prop_assert_eq!(found, expected);
        }
    }
}
