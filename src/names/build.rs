//! Writing a table from names in order.

use std::io::{self, Write};

use super::layout::{BLOCK_NAMES, Header, write_length};
use super::table::hash_of;
use crate::model::NameRef;

/// Takes names in strictly ascending order and writes the table that holds them.
pub struct NameTableBuilder {
    width: usize,
    seed: Option<u64>,
    blocks: Vec<u32>,
    texts: Vec<u8>,
    payloads: Vec<u8>,
    hashes: Vec<u64>,
    last: Vec<u8>,
    count: u32,
}

impl NameTableBuilder {
    /// A table with `width` octets beside each name and, given a seed, a hash table keyed by it.
    pub fn new(width: usize, seed: Option<u64>) -> Self {
        Self {
            width,
            seed,
            blocks: Vec::new(),
            texts: Vec::new(),
            payloads: Vec::new(),
            hashes: Vec::new(),
            last: Vec::new(),
            count: 0,
        }
    }

    /// How many names were taken.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Takes the next name. The caller promises that it is greater than the one before and that
    /// the payload is as wide as the table says; both are programming errors otherwise.
    pub fn push(&mut self, name: NameRef<'_>, payload: &[u8]) {
        assert_eq!(payload.len(), self.width, "payload width");
        let key = name.key();
        let first = (self.count as usize).is_multiple_of(BLOCK_NAMES);
        assert!(self.count == 0 || key > self.last.as_slice(), "names come in ascending order");
        if first {
            self.blocks.push(u32::try_from(self.texts.len()).expect("texts below 4 GiB"));
            write_length(&mut self.texts, key.len());
            self.texts.extend_from_slice(key);
        } else {
            let shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
            write_length(&mut self.texts, shared);
            write_length(&mut self.texts, key.len() - shared);
            self.texts.extend_from_slice(&key[shared..]);
        }
        self.payloads.extend_from_slice(payload);
        if let Some(seed) = self.seed {
            self.hashes.push(hash_of(seed, name));
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.count = self.count.checked_add(1).expect("names below 2³²");
    }

    /// The table as one run of octets.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out).expect("writing to memory does not fail");
        out
    }

    /// Writes the table section by section, without a second copy in memory.
    pub fn write(mut self, out: &mut impl Write) -> io::Result<()> {
        self.blocks.push(u32::try_from(self.texts.len()).expect("texts below 4 GiB"));
        let blocks: Vec<u8> = self.blocks.iter().flat_map(|b| b.to_le_bytes()).collect();
        let (tags, ordinals) = hash_table(&self.hashes);
        drop(std::mem::take(&mut self.hashes));
        let mut header = Header {
            count: self.count,
            width: u32::try_from(self.width).expect("payloads are small"),
            slots: u32::try_from(tags.len()).expect("slots below 2³²"),
            seed: self.seed.unwrap_or_default(),
            texts_octets: self.texts.len() as u64,
            checksum: 0,
        };
        let sections = [&blocks, &self.texts, &self.payloads, &tags, &ordinals];
        let mut checksum = header.checksum_start();
        sections.iter().for_each(|section| checksum.update(section));
        header.checksum = checksum.digest();
        out.write_all(&header.write())?;
        sections.iter().try_for_each(|section| out.write_all(section))
    }
}

/// Tags and ordinals of an open-addressed table that is at most three quarters full: a search for
/// an absent name then reads eight or nine tags on average, most often in one cache line.
fn hash_table(hashes: &[u64]) -> (Vec<u8>, Vec<u8>) {
    let slots = (hashes.len() * 4).div_ceil(3);
    let mut tags = vec![0u8; slots];
    let mut ordinals = vec![0u8; slots * 4];
    for (ordinal, &hash) in hashes.iter().enumerate() {
        let (mut at, tag) = super::table::slot_and_tag(hash, slots);
        while tags[at] != 0 {
            at = if at + 1 == slots { 0 } else { at + 1 };
        }
        tags[at] = tag;
        let ordinal = u32::try_from(ordinal).expect("names below 2³²");
        ordinals[at * 4..at * 4 + 4].copy_from_slice(&ordinal.to_le_bytes());
    }
    (tags, ordinals)
}
