//! Reading a table where it lies.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::cursor::Cursor;
use super::layout::{BLOCK_NAMES, HEADER_OCTETS, Header, LayoutError, read_length, read_u32};
use crate::model::NameRef;

/// An immutable sorted set of names with a payload each. Cheap to clone: the octets are shared.
#[derive(Clone)]
pub struct NameTable {
    octets: Bytes,
    header: Header,
}

impl NameTable {
    /// A table without names.
    pub fn empty() -> Self {
        Self::built(super::NameTableBuilder::new(0, None))
    }

    /// The table that a builder holds, in memory.
    pub fn built(builder: super::NameTableBuilder) -> Self {
        Self::from_octets(builder.finish().into()).expect("a builder writes a sound table")
    }

    /// Reads a table, checking its length and checksum.
    pub fn from_octets(octets: Bytes) -> Result<Self, LayoutError> {
        let header = Header::read(&octets)?;
        let mut checksum = header.checksum_start();
        checksum.update(&octets[HEADER_OCTETS..]);
        match checksum.digest() == header.checksum {
            true => Ok(Self { octets, header }),
            false => Err(LayoutError::Checksum),
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.header.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.header.count == 0
    }

    /// The octets it occupies.
    pub fn size_octets(&self) -> usize {
        self.octets.len()
    }

    /// The octets themselves, for writing them to a file.
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// The seed of the hash table, if there is one.
    pub fn hash_seed(&self) -> Option<u64> {
        (self.header.slots > 0).then_some(self.header.seed)
    }

    /// The position of a name, by hash table if there is one and else by binary search.
    pub fn find(&self, name: NameRef<'_>) -> Option<usize> {
        match self.header.slots {
            0 => self.find_sorted(name),
            _ => self.find_hashed(name, hash_of(self.header.seed, name)),
        }
    }

    /// The position of a name whose hash under this table's seed is known. The table has names
    /// and a hash table.
    pub fn find_hashed(&self, name: NameRef<'_>, hash: u64) -> Option<usize> {
        let slots = self.header.slots as usize;
        let (mut at, tag) = slot_and_tag(hash, slots);
        let tags = &self.octets[self.header.tags_at()..][..slots];
        let ordinals = &self.octets[self.header.ordinals_at()..];
        loop {
            match tags[at] {
                0 => return None,
                found if found == tag => {
                    let ordinal = read_u32(ordinals, at * 4) as usize;
                    if self.holds(ordinal, name) {
                        return Some(ordinal);
                    }
                }
                _ => {}
            }
            at = if at + 1 == slots { 0 } else { at + 1 };
        }
    }

    fn find_sorted(&self, name: NameRef<'_>) -> Option<usize> {
        let mut cursor = self.seek(name);
        let at = cursor.position();
        let (found, _) = cursor.next()?;
        (found == name).then_some(at)
    }

    /// The payload of the name at a position.
    pub fn payload(&self, position: usize) -> &[u8] {
        let width = self.header.width as usize;
        &self.octets[self.header.payloads_at() + position * width..][..width]
    }

    /// The payload of a name.
    pub fn get(&self, name: NameRef<'_>) -> Option<&[u8]> {
        self.find(name).map(|at| self.payload(at))
    }

    /// All names in order.
    pub fn iter(&self) -> Cursor<'_> {
        self.cursor_at_block(0)
    }

    /// The names from `name` on, itself included if it is there.
    pub fn seek(&self, name: NameRef<'_>) -> Cursor<'_> {
        let mut cursor = self.cursor_at_block(self.block_of(name));
        cursor.skip_below(name);
        cursor
    }

    /// The last block whose first name is not greater than `name`, or the first block.
    fn block_of(&self, name: NameRef<'_>) -> usize {
        let (mut low, mut high) = (0, self.header.block_count());
        while low + 1 < high {
            let middle = (low + high) / 2;
            match self.first_of_block(middle) <= name.key() {
                true => low = middle,
                false => high = middle,
            }
        }
        low
    }

    fn cursor_at_block(&self, block: usize) -> Cursor<'_> {
        let start = match block < self.header.block_count() {
            true => self.block_start(block),
            false => 0,
        };
        let texts = &self.octets[self.header.texts_at()..self.header.payloads_at()];
        let payloads = &self.octets[self.header.payloads_at()..self.header.tags_at()];
        let width = self.header.width as usize;
        Cursor::new(texts, payloads, width, self.len(), block * BLOCK_NAMES, start)
    }

    fn block_start(&self, block: usize) -> usize {
        read_u32(&self.octets, HEADER_OCTETS + block * 4) as usize
    }

    fn first_of_block(&self, block: usize) -> &[u8] {
        let texts = &self.octets[self.header.texts_at()..];
        let mut at = self.block_start(block);
        let length = read_length(texts, &mut at);
        &texts[at..at + length]
    }

    /// Whether the name at a position is `name`.
    fn holds(&self, position: usize, name: NameRef<'_>) -> bool {
        self.compare_at(position, name).is_same()
    }

    /// Whether names below `name`, which stands at `position`, are in the table. They would come
    /// right after it. Allocates nothing.
    pub fn has_below_at(&self, position: usize, name: NameRef<'_>) -> bool {
        let next = position + 1;
        next < self.len() && self.compare_at(next, name).is_at_or_below()
    }

    /// Whether `name` or a name below it is in the table. Allocates nothing.
    pub fn reaches(&self, name: NameRef<'_>) -> bool {
        if self.is_empty() {
            return false;
        }
        let block = self.block_of(name);
        let mut walk = self.walk(block, name);
        let names = BLOCK_NAMES.min(self.len() - block * BLOCK_NAMES);
        for _ in 1..names {
            if !walk.is_before() {
                return walk.is_at_or_below();
            }
            walk.advance();
        }
        // The last name of the block, or else the first of the next one.
        match walk.is_before() && block + 1 < self.header.block_count() {
            true => self.first_of_block(block + 1).starts_with(name.key()),
            false => walk.is_at_or_below(),
        }
    }

    fn compare_at<'t>(&'t self, position: usize, name: NameRef<'t>) -> Walk<'t> {
        let mut walk = self.walk(position / BLOCK_NAMES, name);
        for _ in 0..position % BLOCK_NAMES {
            walk.advance();
        }
        walk
    }

    fn walk<'t>(&'t self, block: usize, name: NameRef<'t>) -> Walk<'t> {
        let texts = &self.octets[self.header.texts_at()..self.header.payloads_at()];
        Walk::start(texts, self.block_start(block), name.key())
    }
}

/// Compares the names of a block with one name without building them: what a name shares with the
/// one before it tells most of the comparison.
struct Walk<'t> {
    texts: &'t [u8],
    at: usize,
    wanted: &'t [u8],
    /// How many octets the current name and the wanted one have in common at the front.
    common: usize,
    /// The current name's first octet beyond those, if it has one.
    beyond: Option<u8>,
    length: usize,
}

impl<'t> Walk<'t> {
    fn start(texts: &'t [u8], at: usize, wanted: &'t [u8]) -> Self {
        let mut walk = Self { texts, at, wanted, common: 0, beyond: None, length: 0 };
        walk.compare(0);
        walk
    }

    /// Moves to the next name of the block; the caller knows that there is one.
    fn advance(&mut self) {
        let shared = read_length(self.texts, &mut self.at);
        self.compare(shared);
    }

    fn compare(&mut self, shared: usize) {
        let more = read_length(self.texts, &mut self.at);
        let tail = &self.texts[self.at..self.at + more];
        self.at += more;
        self.length = shared + more;
        // With more shared than in common, the difference is that of the name before.
        if shared <= self.common {
            let same = common_octets(tail, &self.wanted[shared..]);
            self.common = shared + same;
            self.beyond = tail.get(same).copied();
        }
    }

    fn is_same(&self) -> bool {
        self.is_at_or_below() && self.length == self.wanted.len()
    }

    fn is_at_or_below(&self) -> bool {
        self.common == self.wanted.len()
    }

    /// Whether the current name comes before the wanted one in canonical order.
    fn is_before(&self) -> bool {
        self.wanted.get(self.common).is_some_and(|wanted| self.beyond.is_none_or(|b| b < *wanted))
    }
}

impl std::fmt::Debug for NameTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NameTable({} names, {} octets)", self.len(), self.size_octets())
    }
}

/// How many octets both begin with, looked at eight at a time.
fn common_octets(a: &[u8], b: &[u8]) -> usize {
    let eight = |octets: &[u8]| u64::from_le_bytes(octets.try_into().expect("eight octets"));
    let mut same = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let difference = eight(x) ^ eight(y);
        if difference != 0 {
            return same + difference.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(x, y)| x == y).count()
}

/// The hash of a name under a seed; the seed is drawn per installation, so that nobody outside can
/// aim at one slot.
pub fn hash_of(seed: u64, name: NameRef<'_>) -> u64 {
    xxh3_64_with_seed(name.key(), seed)
}

/// Where a search starts, and the tag (never 0) that marks the name there.
pub(super) fn slot_and_tag(hash: u64, slots: usize) -> (usize, u8) {
    let slot = ((u128::from(hash) * slots as u128) >> 64) as usize;
    (slot, (hash as u8).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::names::NameTableBuilder;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn table(names: &BTreeMap<Name, [u8; 2]>, seed: Option<u64>) -> NameTable {
        let mut builder = NameTableBuilder::new(2, seed);
        names.iter().for_each(|(name, payload)| builder.push(name.as_ref(), payload));
        NameTable::built(builder)
    }

    #[test]
    fn octets_in_common_are_counted_to_the_first_that_differs() {
        let text = b"com\0example\0a long label that is longer\0";
        for length in 0..text.len() {
            let mut other = text[..length].to_vec();
            assert_eq!(common_octets(text, &other), length);
            other.extend(*b"\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f");
            assert_eq!(common_octets(text, &other), length);
            assert_eq!(common_octets(&other, text), length);
        }
    }

    fn any_name() -> impl Strategy<Value = Name> {
        proptest::collection::vec("[abc*]{1,3}", 0..5).prop_map(|labels| match labels.is_empty() {
            true => Name::root(),
            false => Name::from_presentation(&labels.join(".")).unwrap(),
        })
    }

    proptest! {
        #[test]
        fn a_table_answers_as_a_sorted_map_does(
            names in proptest::collection::btree_map(any_name(), any::<[u8; 2]>(), 0..80),
            asked in proptest::collection::vec(any_name(), 40),
            hashed: bool,
        ) {
            let table = table(&names, hashed.then_some(7));
            prop_assert_eq!(table.len(), names.len());
            for name in names.keys().chain(&asked) {
                prop_assert_eq!(table.get(name.as_ref()), names.get(name).map(|p| &p[..]));
                let mut cursor = table.seek(name.as_ref());
                let mut rest = Vec::new();
                while let Some((name, payload)) = cursor.next() {
                    rest.push((name.to_owned(), payload.to_vec()));
                }
                let expected: Vec<_> =
                    names.range(name.clone()..).map(|(n, p)| (n.clone(), p.to_vec())).collect();
                prop_assert_eq!(rest, expected);
                let below = |n: &Name| n != name && n.as_ref().is_at_or_below(name.as_ref());
                let any_below = names.keys().any(below);
                let here = names.contains_key(name);
                prop_assert_eq!(table.reaches(name.as_ref()), here || any_below);
                if let Some(at) = table.find(name.as_ref()) {
                    prop_assert_eq!(table.has_below_at(at, name.as_ref()), any_below);
                }
            }
        }
    }

    #[test]
    fn damage_anywhere_is_seen() {
        let names = (0..50u8).map(|i| (Name::from_host(&format!("n{i}.example")).unwrap(), [i, 0]));
        let sound = table(&names.collect(), Some(1)).octets().to_vec();
        for at in (0..sound.len()).filter(|at| !(48..64).contains(at) && !(20..24).contains(at)) {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert!(NameTable::from_octets(damaged.into()).is_err(), "octet {at}");
        }
        assert!(NameTable::from_octets(sound[..sound.len() - 1].to_vec().into()).is_err());
        assert!(NameTable::from_octets(Bytes::new()).is_err());
    }
}
