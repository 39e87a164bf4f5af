//! Which AS announces an address, and how bad the neighbourhood is there.
//!
//! ```text
//! RIB dumps, tables ─ load ─▶ RouteTable ─┬─▶ origin of an address
//! lists of addresses ─────────▶ Census ───┼─▶ Standing: smoothed rates, ranks in mban (SCORING 2.8)
//!                                         ├─▶ circl: the same day in CIRCL's definition
//!                                         └─▶ History: one value a day, kept
//! ```
//!
//! The sums are about the company an address keeps. A list that names an AS or a prefix as such, such
//! as ASN-DROP and DROP, is direct evidence and no part of them: [`RouteTable::covering`] says which
//! AS to ask the claims about.
//!
//! All values are immutable, and tables, standings and days lie in one run of octets each, so that
//! they can be mapped from a file. The arithmetic is of integers: the same lists and routes give the
//! same ranks to the last bit on every machine.

mod address_set;
mod announced;
mod as_names;
mod census;
pub mod circl;
mod day;
mod family;
mod history;
pub mod load;
mod octets;
mod rate;
mod reputation;
mod routes;
mod rows;

#[cfg(test)]
mod real_tables;
#[cfg(test)]
mod worlds;

pub use address_set::AddressSet;
pub use announced::{Announced, Space};
pub use as_names::{AsNames, AsNamesBuilder};
pub use census::{AddressList, Census, Counted, SystemCount};
pub use day::{Day, DayRecord, PrefixRecord, SourceRecord, UtcDay};
pub use family::Family;
pub use history::{DAYS_KEPT, History};
pub use octets::OctetsError;
pub use rate::Rate;
pub use reputation::{LOCAL_RANK_MBAN, Reputation, Standing, WorstSystem};
pub use routes::{Origins, Route, RouteTable, RouteTableBuilder};
