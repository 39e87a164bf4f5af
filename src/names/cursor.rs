//! Walking a table in order.

use super::layout::{BLOCK_NAMES, read_length};
use crate::model::NameRef;

/// A position in a table. It lends each name, since a name exists only while the cursor stands on
/// it.
#[derive(Clone)]
pub struct Cursor<'t> {
    texts: &'t [u8],
    payloads: &'t [u8],
    width: usize,
    count: usize,
    position: usize,
    at: usize,
    current: Vec<u8>,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(
        texts: &'t [u8],
        payloads: &'t [u8],
        width: usize,
        count: usize,
        position: usize,
        at: usize,
    ) -> Self {
        Self {
            texts,
            payloads,
            width,
            count,
            position: position.min(count),
            at,
            current: Vec::new(),
        }
    }

    /// The position of the name that [`Cursor::next`] gives.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The name that [`Cursor::next`] gave last.
    pub fn current(&self) -> NameRef<'_> {
        NameRef::from_key(&self.current)
    }

    /// The next name and its payload.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    pub fn next(&mut self) -> Option<(NameRef<'_>, &'t [u8])> {
        if self.position == self.count {
            return None;
        }
        self.decode();
        let payload = &self.payloads[self.position * self.width..][..self.width];
        self.position += 1;
        Some((NameRef::from_key(&self.current), payload))
    }

    /// The name that [`Cursor::next`] gave last.
    pub fn name(&self) -> NameRef<'_> {
        NameRef::from_key(&self.current)
    }

    fn decode(&mut self) {
        let shared = match self.position % BLOCK_NAMES {
            0 => 0,
            _ => read_length(self.texts, &mut self.at),
        };
        let more = read_length(self.texts, &mut self.at);
        self.current.truncate(shared);
        self.current.extend_from_slice(&self.texts[self.at..self.at + more]);
        self.at += more;
    }

    /// Moves on to the first name that is not below `name` in order.
    pub(super) fn skip_below(&mut self, name: NameRef<'_>) {
        loop {
            let before = self.clone_place();
            match self.next() {
                Some((found, _)) if found < name => {}
                Some(_) => return self.restore(before),
                None => return,
            }
        }
    }

    /// Place and decoded octets; within a block a name is built on the one before.
    fn clone_place(&self) -> (usize, usize, Vec<u8>) {
        (self.position, self.at, self.current.clone())
    }

    fn restore(&mut self, (position, at, current): (usize, usize, Vec<u8>)) {
        (self.position, self.at, self.current) = (position, at, current);
    }
}
