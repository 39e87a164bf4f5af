//! Sorted sets of names in little memory, each with a fixed number of octets beside it.
//!
//! A [`NameTable`] is immutable and lives in one run of octets, so that it can be mapped from a
//! file and used as it lies: names in canonical order, front-coded in blocks of sixteen, and an
//! optional hash table of one-octet tags that answers "is this name here" with one cache miss.
//! A hit is always confirmed on the name itself, so the table is exact.
//!
//! Layout, all numbers little-endian: header (64 octets), block offsets, texts, payloads, tags,
//! ordinals. [`layout`] has the particulars.

mod build;
mod cursor;
mod layout;
mod sort;
mod table;

pub use build::NameTableBuilder;
pub use cursor::Cursor;
pub use layout::LayoutError;
pub use sort::NameSorter;
pub use table::{NameTable, hash_of};
