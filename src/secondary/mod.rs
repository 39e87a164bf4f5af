//! Policy zones from other publishers, kept fresh (RFC 1034 section 4.3.5).
//!
//! [`SecondaryZone`] keeps one zone: it knows by its [`Schedule`] when to ask, has a [`Refresh`] do
//! so ([`ByTransfer`], signed and encrypted as the settings say, or [`ByUrl`]), keeps what came in
//! the [`Store`] and hands it on. The old version stays as it is until a new one is whole.
//! [`notify`] judges what a primary sends unasked.

pub mod fetch;
pub mod link;
pub mod notify;
pub mod refresh;
pub mod schedule;
pub mod settings;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod transfer;
pub mod zone;

pub use fetch::ByUrl;
pub use refresh::{Failure, Held, Refresh, Refreshed, Transfer, TransferKind};
pub use schedule::Schedule;
pub use settings::{Primary, Secondary, Transport};
pub use store::{Record, Store};
pub use transfer::ByTransfer;
pub use zone::{SecondaryZone, Surroundings, ZoneSettings};
