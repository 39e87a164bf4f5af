//! Zones out: as files ([`file`]), and to other servers that take them by transfer.
//!
//! A [`line`] decides when the content of a policy zone becomes a version, an [`edition`] is such a
//! version with the way there from earlier ones, a [`journal`] keeps it on disk, and [`primary`]
//! has what is in place now. [`transfer`] answers those who ask, [`secondaries`] says who that is,
//! [`catalog`] lists them for servers that read such lists, [`notify`] tells of news, and [`fleet`] remembers what became of it.

pub mod catalog;
pub mod edition;
pub mod file;
pub mod fleet;
pub mod journal;
pub mod line;
pub mod notify;
pub mod primary;
pub mod secondaries;
pub mod transfer;
