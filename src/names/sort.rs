//! Putting many names in order with little memory.

use crate::model::NameRef;

/// Collects names with a small value each and gives them back in canonical order, equal names in
/// the order in which they came. All names lie in one arena: a million take about 40 MiB.
pub struct NameSorter<T> {
    arena: Vec<u8>,
    entries: Vec<Entry<T>>,
}

#[derive(Clone, Copy)]
struct Entry<T> {
    /// The first eight octets, which settle most comparisons without a look at the arena.
    prefix: u64,
    start: u32,
    length: u16,
    value: T,
}

impl<T: Copy> Default for NameSorter<T> {
    fn default() -> Self {
        Self { arena: Vec::new(), entries: Vec::new() }
    }
}

impl<T: Copy> NameSorter<T> {
    /// Takes a name. False, and nothing taken, once the arena has 4 GiB.
    pub fn push(&mut self, name: NameRef<'_>, value: T) -> bool {
        let key = name.key();
        let Ok(start) = u32::try_from(self.arena.len()) else { return false };
        self.arena.extend_from_slice(key);
        if key.is_empty() {
            // The root takes an octet too, so that starts tell the order of arrival.
            self.arena.push(0);
        }
        let mut prefix = [0; 8];
        let head = key.len().min(8);
        prefix[..head].copy_from_slice(&key[..head]);
        self.entries.push(Entry {
            prefix: u64::from_be_bytes(prefix),
            start,
            length: u16::try_from(key.len()).expect("names have at most 510 octets"),
            value,
        });
        true
    }

    /// The name that came last, and its value.
    pub fn last_mut(&mut self) -> Option<(NameRef<'_>, &mut T)> {
        let entry = self.entries.last_mut()?;
        let key = &self.arena[entry.start as usize..][..usize::from(entry.length)];
        Some((NameRef::from_key(key), &mut entry.value))
    }

    /// How many names were taken.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts the names in order.
    pub fn sort(&mut self) {
        let arena = &self.arena;
        let key = |e: &Entry<T>| &arena[e.start as usize..][..usize::from(e.length)];
        // Starts ascend in order of arrival, which makes the unstable sort stable.
        self.entries.sort_unstable_by(|a, b| {
            a.prefix
                .cmp(&b.prefix)
                .then_with(|| key(a).cmp(key(b)))
                .then_with(|| a.start.cmp(&b.start))
        });
    }

    /// The names as they lie: in order once sorted.
    pub fn iter(&self) -> impl Iterator<Item = (NameRef<'_>, T)> {
        self.entries.iter().map(|e| {
            let key = &self.arena[e.start as usize..][..usize::from(e.length)];
            (NameRef::from_key(key), e.value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn equal_names_keep_the_order_in_which_they_came() {
        let mut sorter = NameSorter::default();
        for (index, text) in
            ["b.example", "a.example", "b.example", ".", "a.b.example", "."].iter().enumerate()
        {
            sorter.push(Name::from_presentation(text).unwrap().as_ref(), index);
        }
        sorter.sort();
        let order: Vec<usize> = sorter.iter().map(|(_, value)| value).collect();
        assert_eq!(order, [3, 5, 1, 0, 2, 4]);
    }
}
