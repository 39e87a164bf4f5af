//! Sorted rows of one width, each with its key in front, searched where they lie.
//!
//! Keys are written so that their octets sort as they do: numbers in big-endian order, and a prefix
//! as its first address followed by its length, so that it stands before all that it holds.

use bytes::Bytes;
use smallvec::SmallVec;

use super::family::Number;

/// Rows of a fixed width, ascending by their first octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows {
    width: usize,
    octets: Bytes,
}

impl Rows {
    /// The rows in `octets`, unless these are no whole number of rows.
    pub fn new(width: usize, octets: Bytes) -> Option<Self> {
        octets.len().is_multiple_of(width).then_some(Self { width, octets })
    }

    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    pub fn len(&self) -> usize {
        self.octets.len() / self.width
    }

    pub fn row(&self, index: usize) -> &[u8] {
        &self.octets[index * self.width..][..self.width]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.octets.chunks_exact(self.width)
    }

    /// The first row with exactly this key, which may be a part of the whole one.
    pub fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let at = self.first_from(key);
        (at < self.len()).then(|| self.row(at)).filter(|row| row.starts_with(key))
    }

    /// The rows whose keys start with these octets.
    pub fn starting_with<'r>(&'r self, key: &'r [u8]) -> impl Iterator<Item = &'r [u8]> {
        let rows = (self.first_from(key)..self.len()).map(|index| self.row(index));
        rows.take_while(move |row| row.starts_with(key))
    }

    /// The place of the first row that is not before this key.
    fn first_from(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match &self.row(middle)[..key.len()] < key {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }
}

/// A key of 4, 5 or 17 octets.
pub(super) type Key = SmallVec<[u8; 20]>;

/// The key of an AS.
pub(super) fn system_key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// The AS whose row this is.
pub(super) fn system_of(row: &[u8]) -> u32 {
    u32::read_sortable(row)
}

/// The key of a prefix.
pub(super) fn prefix_key<N: Number>(start: N, length: u8) -> Key {
    let mut key = Key::new();
    start.write_sortable(&mut key);
    key.push(length);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_key_and_by_the_start_of_a_key() {
        let mut octets = Vec::new();
        for (system, source) in [(7u32, 1u8), (7, 2), (300, 0)] {
            octets.extend(system_key(system));
            octets.push(source);
        }
        let rows = Rows::new(5, octets.into()).unwrap();
        assert_eq!(
            rows.starting_with(&system_key(7)).map(|row| row[4]).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(rows.find(&system_key(300)).map(system_of), Some(300));
        assert_eq!(rows.find(&system_key(8)), None);
        assert_eq!(rows.find(&system_key(301)), None);
        assert!(Rows::new(4, rows.octets().clone()).is_none());
    }
}
