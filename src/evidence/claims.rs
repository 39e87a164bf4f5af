//! The claims of one source, and how they lie in octets.
//!
//! ```text
//! magic "skclaim1" · length u64 · checksum u64 of the lists (XXH3)
//! lists: count u32, then prefixes (length, family, octets, first u32, last u32, kind);
//!        count u32, then AS numbers (u32, first u32, last u32, kind)
//! table of names: first seen u32, last seen u32, kind (nine octets a name)
//! ```
//!
//! `kind` is the category, with 64 added for a claim about one URL and 128 for an exception of the
//! list itself. The digit in the magic is the version; [`Claims::from_octets`] reads all versions
//! there have been.

use std::net::IpAddr;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Category, Claim, NameRef, Network, Scope, Timestamp};
use crate::names::{LayoutError, NameTable};

const MAGIC: &[u8; 8] = b"skclaim1";
const URL: u8 = 64;
const EXCEPTION: u8 = 128;

/// Octets beside a name.
pub(super) const PAYLOAD_OCTETS: usize = 9;

/// Why octets are not claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// Another kind of file, or a version that this program does not know.
    #[error("not a file of claims in a version that is known here")]
    Magic,
    /// The file ends early.
    #[error("a file of claims ends early")]
    Short,
    /// The lists are not what was written.
    #[error("the checksum of a file of claims does not hold")]
    Checksum,
    /// The names are unsound.
    #[error(transparent)]
    Table(#[from] LayoutError),
}

/// When a source named something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// First, by the source's own date or else by our first sight of it.
    pub first_seen: Timestamp,
    /// Last, likewise.
    pub last_seen: Timestamp,
}

/// A claim about a name, or an exception that the list makes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameClaim {
    /// What is claimed.
    pub claim: Claim,
    /// The list says that the name is *not* meant (`@@` in AdGuard syntax, PASSTHRU in RPZ).
    pub exception: bool,
}

/// All claims of one source. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Claims {
    /// Names, with what [`NameClaim::read`] reads beside each.
    pub names: NameTable,
    /// Prefixes, in order.
    pub networks: std::sync::Arc<[(Network, Claim)]>,
    /// AS numbers, in order.
    pub systems: std::sync::Arc<[(u32, Claim)]>,
}

impl NameClaim {
    /// What stands beside a name in the table.
    pub fn read(payload: &[u8]) -> NameClaim {
        let number = |at: usize| {
            let octets = payload[at..at + 4].try_into().expect("four octets");
            Timestamp(u32::from_le_bytes(octets))
        };
        let kind = payload[8];
        NameClaim {
            claim: Claim {
                first_seen: number(0),
                last_seen: number(4),
                scope: if kind & URL == 0 { Scope::Name } else { Scope::Url },
                category: category(kind & !(URL | EXCEPTION)),
            },
            exception: kind & EXCEPTION != 0,
        }
    }

    pub(super) fn write(self) -> [u8; PAYLOAD_OCTETS] {
        let mut out = [0; PAYLOAD_OCTETS];
        out[..4].copy_from_slice(&self.claim.first_seen.0.to_le_bytes());
        out[4..8].copy_from_slice(&self.claim.last_seen.0.to_le_bytes());
        out[8] = kind(&self.claim) | if self.exception { EXCEPTION } else { 0 };
        out
    }
}

fn category(number: u8) -> Category {
    Category::ALL.get(usize::from(number)).copied().unwrap_or(Category::Suspicious)
}

fn kind(claim: &Claim) -> u8 {
    claim.category as u8 | if claim.scope == Scope::Url { URL } else { 0 }
}

impl Claims {
    /// No claims at all.
    pub fn none() -> Self {
        Self { names: NameTable::empty(), networks: [].into(), systems: [].into() }
    }

    /// How many indicators are claimed.
    pub fn len(&self) -> usize {
        self.names.len() + self.networks.len() + self.systems.len()
    }

    /// Whether nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The claim about exactly this name.
    pub fn name(&self, name: NameRef<'_>) -> Option<NameClaim> {
        self.names.get(name).map(NameClaim::read)
    }

    /// The claims about prefixes that hold this one, the widest first.
    pub fn networks_covering(&self, network: Network) -> impl Iterator<Item = &(Network, Claim)> {
        // A prefix sorts before all that it covers, so nothing after `network` can cover it.
        let end = self.networks.partition_point(|(n, _)| *n <= network);
        self.networks[..end].iter().filter(move |(n, _)| n.covers(network))
    }

    /// The claim about an AS.
    pub fn system(&self, number: u32) -> Option<&Claim> {
        let at = self.systems.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        Some(&self.systems[at].1)
    }

    /// Writes the claims.
    pub fn write_octets(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        let lists = self.lists();
        out.write_all(MAGIC)?;
        out.write_all(&(lists.len() as u64).to_le_bytes())?;
        out.write_all(&xxh3_64(&lists).to_le_bytes())?;
        out.write_all(&lists)?;
        out.write_all(self.names.octets())
    }

    fn lists(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let count = |count: usize| u32::try_from(count).expect("claims below 2³²").to_le_bytes();
        let put = |out: &mut Vec<u8>, claim: &Claim| {
            out.extend(claim.first_seen.0.to_le_bytes());
            out.extend(claim.last_seen.0.to_le_bytes());
            out.push(kind(claim));
        };
        out.extend(count(self.networks.len()));
        for (network, claim) in self.networks.iter() {
            out.push(network.length());
            match network.address() {
                IpAddr::V4(v4) => {
                    out.push(4);
                    out.extend(v4.octets());
                }
                IpAddr::V6(v6) => {
                    out.push(6);
                    out.extend(v6.octets());
                }
            }
            put(&mut out, claim);
        }
        out.extend(count(self.systems.len()));
        for (number, claim) in self.systems.iter() {
            out.extend(number.to_le_bytes());
            put(&mut out, claim);
        }
        out
    }

    /// Reads claims. The names stay where they lie.
    pub fn from_octets(octets: Bytes) -> Result<Self, ClaimsError> {
        let mut rest = octets;
        if rest.len() < MAGIC.len() + 16 {
            return Err(ClaimsError::Magic);
        }
        if &rest.split_to(MAGIC.len())[..] != MAGIC {
            return Err(ClaimsError::Magic);
        }
        let mut number =
            || u64::from_le_bytes(rest.split_to(8)[..].try_into().expect("eight octets"));
        let (length, checksum) = (number(), number());
        let length = usize::try_from(length).map_err(|_| ClaimsError::Short)?;
        if length > rest.len() {
            return Err(ClaimsError::Short);
        }
        let lists = rest.split_to(length);
        if xxh3_64(&lists) != checksum {
            return Err(ClaimsError::Checksum);
        }
        let names = NameTable::from_octets(rest)?;
        let mut lists = Lists(&lists);
        let (networks, systems) = lists.read().ok_or(ClaimsError::Short)?;
        Ok(Self { names, networks: networks.into(), systems: systems.into() })
    }
}

/// What is left of the lists of a file.
struct Lists<'o>(&'o [u8]);

impl Lists<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_at_checked(N)?;
        self.0 = rest;
        front.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn claim(&mut self) -> Option<Claim> {
        let first_seen = Timestamp(self.u32()?);
        let last_seen = Timestamp(self.u32()?);
        let [kind] = self.array()?;
        let scope = if kind & URL == 0 { Scope::Name } else { Scope::Url };
        Some(Claim { first_seen, last_seen, scope, category: category(kind & !URL) })
    }

    #[expect(clippy::type_complexity, reason = "two lists, named where they are used")]
    fn read(&mut self) -> Option<(Vec<(Network, Claim)>, Vec<(u32, Claim)>)> {
        let mut networks = Vec::new();
        for _ in 0..self.u32()? {
            let [length, family] = self.array()?;
            let address = match family {
                4 => IpAddr::from(self.array::<4>()?),
                _ => IpAddr::from(self.array::<16>()?),
            };
            networks.push((Network::new(address, length)?, self.claim()?));
        }
        let mut systems = Vec::new();
        for _ in 0..self.u32()? {
            systems.push((self.u32()?, self.claim()?));
        }
        Some((networks, systems))
    }
}
