//! Whole replies, for the next time the same packet comes.
//!
//! Most queries of a network are octet for octet like one a moment ago, but for their number. Such
//! a one needs no parsing, no policy and no walk through records: the reply of then leaves again
//! with the new number, its times to live counted down. Each thread of the UDP front has a cache
//! of its own, so nothing is locked.
//!
//! What is in here is only ever what the general way ([`super::flow`]) wrote for the same octets,
//! the same groups of clients, the same policy and the same manner of answering; with any of these
//! replaced, or names flushed, all of it is void. Left out is what depends on more: clients told
//! apart by address, cookies and other options, answers past their time, failures, and rates.

use std::sync::{Arc, Weak};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::cache::Life;
use super::message::{HEADER_OCTETS, ttl_positions};
use crate::model::{GroupSet, TriggerKind};
use crate::telemetry::{CacheLookup, Outcome};

/// Entries of a thread: two mebibytes, which a core's second-level cache holds about. A power of
/// two.
const ENTRIES: usize = 4096;
/// Room for a query after its number and its reply. A blocked name with its explanation takes
/// about 250 octets, an answer of four addresses 150.
const OCTETS: usize = 400;
/// Records whose time to live is counted down.
const TTLS_MAX: usize = 12;

/// A rule's hit that counts again with each reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The position of its zone in the snapshot.
    pub zone: usize,
    /// The kind of its trigger.
    pub kind: TriggerKind,
    /// What it did, or would have done.
    pub action: &'static str,
    /// Whether it did.
    pub enforced: bool,
}

/// What is to be said of a reply in counters and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// What became of the query.
    pub outcome: Outcome,
    /// What the answers' cache had.
    pub cache: Option<CacheLookup>,
    /// The rule that matched.
    pub counted: Option<Counted>,
}

/// What is there for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The reply is written.
    Reply(Account),
    /// A reply whose answer is to be looked at again, given out this often meanwhile.
    Due(u32),
    /// Nothing.
    Nothing,
}

/// A query by its octets and by whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    hash: u64,
    groups: GroupSet,
}

#[derive(Clone)]
struct Entry {
    hash: u64,
    groups: GroupSet,
    /// That of the cache when it was written; 0 is never.
    generation: u32,
    /// Where records age, the time; otherwise it is good as long as the generation.
    life: Option<Life>,
    account: Account,
    /// Given out since another one wanted its place.
    used: bool,
    /// How often it was given out.
    given: u32,
    ttl_count: u8,
    ttls: [u16; TTLS_MAX],
    query_octets: u16,
    reply_octets: u16,
    octets: [u8; OCTETS],
}

/// Replies of one thread under one policy.
pub struct PacketCache<M, P> {
    manner: Weak<M>,
    policy: Weak<P>,
    flushes: u64,
    generation: u32,
    seed: u64,
    entries: Box<[Entry]>,
}

impl<M, P> PacketCache<M, P> {
    /// An empty one. `seed` keys the hash, so that nobody can aim at another's entry.
    pub fn new(seed: u64) -> Self {
        let account = Account { outcome: Outcome::Lost, cache: None, counted: None };
        let empty = Entry {
            hash: 0,
            groups: GroupSet::NONE,
            generation: 0,
            life: None,
            account,
            used: false,
            given: 0,
            ttl_count: 0,
            ttls: [0; TTLS_MAX],
            query_octets: 0,
            reply_octets: 0,
            octets: [0; OCTETS],
        };
        let entries = vec![empty; ENTRIES].into();
        Self { manner: Weak::new(), policy: Weak::new(), flushes: 0, generation: 1, seed, entries }
    }

    /// Forgets everything if the manner of answering or the policy is another one, or names were
    /// flushed.
    pub fn align(&mut self, manner: &Arc<M>, policy: &Arc<P>, flushes: u64) {
        let same = std::ptr::eq(self.manner.as_ptr(), Arc::as_ptr(manner))
            && std::ptr::eq(self.policy.as_ptr(), Arc::as_ptr(policy))
            && self.flushes == flushes;
        if same {
            return;
        }
        // A weak reference keeps the place, so that no other value can come to lie there.
        (self.manner, self.policy) = (Arc::downgrade(manner), Arc::downgrade(policy));
        self.flushes = flushes;
        self.generation = match self.generation.checked_add(1) {
            Some(next) => next,
            None => {
                self.entries.iter_mut().for_each(|entry| entry.generation = 0);
                1
            }
        };
    }

    /// The key of a packet from a client of these groups; none for a packet that is not worth it.
    pub fn key(&self, packet: &[u8], groups: GroupSet) -> Option<Key> {
        let worth = (HEADER_OCTETS..OCTETS).contains(&packet.len());
        worth.then(|| Key { hash: xxh3_64_with_seed(&packet[2..], self.seed), groups })
    }

    /// Writes the reply to the same packet again, if it is there and good at `now`.
    pub fn find(&mut self, key: Key, packet: &[u8], now: u64, out: &mut Vec<u8>) -> Found {
        let generation = self.generation;
        let is_it = |entry: &Entry| {
            entry.hash == key.hash
                && entry.generation == generation
                && entry.groups == key.groups
                && entry.query() == &packet[2..]
        };
        let place = place(key);
        let found = [place, place ^ 1].into_iter().find(|at| is_it(&self.entries[*at]));
        let Some(at) = found else { return Found::Nothing };
        let entry = &mut self.entries[at];
        if entry.life.is_some_and(|life| now >= life.until) {
            entry.generation = 0;
            return Found::Due(entry.given);
        }
        entry.used = true;
        entry.given = entry.given.saturating_add(1);
        out.clear();
        out.extend_from_slice(entry.reply());
        out[..2].copy_from_slice(&packet[..2]);
        if let Some(life) = entry.life {
            let age = life.age(now);
            for at in &entry.ttls[..usize::from(entry.ttl_count)] {
                let field = &mut out[usize::from(*at)..][..4];
                let whole = u32::from_be_bytes(field.try_into().expect("four octets"));
                field.copy_from_slice(&whole.saturating_sub(age).to_be_bytes());
            }
        }
        Found::Reply(entry.account)
    }

    /// Keeps a reply. `life` is that of the answer it was made of, whose records have aged since;
    /// none for one that no answer entered.
    pub fn keep(
        &mut self,
        key: Key,
        packet: &[u8],
        reply: &[u8],
        account: Account,
        aged: Option<(Life, u32)>,
    ) {
        let query = &packet[2..];
        if query.len() + reply.len() > OCTETS || reply.len() < HEADER_OCTETS {
            return;
        }
        let mut ttls = [0; TTLS_MAX];
        let count = match aged {
            Some(_) => ttl_positions(reply, &mut ttls),
            None => Some(0),
        };
        let Some(count) = count else { return };
        let Some(at) = self.room(place(key)) else { return };
        let entry = &mut self.entries[at];
        entry.hash = key.hash;
        entry.groups = key.groups;
        entry.generation = self.generation;
        entry.life = aged.map(|(life, _)| life);
        entry.account = account;
        entry.used = false;
        entry.given = 0;
        entry.ttl_count = u8::try_from(count).expect("few");
        entry.ttls = ttls;
        entry.query_octets = u16::try_from(query.len()).expect("short");
        entry.reply_octets = u16::try_from(reply.len()).expect("short");
        entry.octets[..query.len()].copy_from_slice(query);
        entry.octets[query.len()..][..reply.len()].copy_from_slice(reply);
        // Records are kept as they were when they were new.
        let age = aged.map_or(0, |(_, age)| age);
        let kept = &mut entry.octets[query.len()..];
        for at in &ttls[..count] {
            let field = &mut kept[usize::from(*at)..][..4];
            let left = u32::from_be_bytes(field.try_into().expect("four octets"));
            field.copy_from_slice(&left.saturating_add(age).to_be_bytes());
        }
    }

    /// Which of a pair may be written over. One that was used since gets another chance.
    fn room(&mut self, place: usize) -> Option<usize> {
        let pair = [place, place ^ 1];
        let unused = |at: &usize| {
            let entry = &self.entries[*at];
            entry.generation != self.generation || !entry.used
        };
        let found = pair.into_iter().find(unused);
        if found.is_none() {
            pair.into_iter().for_each(|at| self.entries[at].used = false);
        }
        found
    }
}

fn place(key: Key) -> usize {
    key.hash as usize & (ENTRIES - 1)
}

impl Entry {
    fn query(&self) -> &[u8] {
        &self.octets[..usize::from(self.query_octets)]
    }

    fn reply(&self) -> &[u8] {
        &self.octets[usize::from(self.query_octets)..][..usize::from(self.reply_octets)]
    }
}

#[cfg(test)]
mod tests;
