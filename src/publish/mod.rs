//! Zones out: as files ([`file`]), to other servers that take them by transfer, and over HTTP.
//!
//! What leaves is made by [`leaving`]: each zone as it is to be read alone.
//!
//! A [`line`] decides when the content of a policy zone becomes a version, an [`edition`] is such a
//! version with the way there from earlier ones, a [`journal`] keeps it on disk, and [`primary`]
//! has what is in place now. [`transfer`] answers those who ask, [`secondaries`] says who that is,
//! [`catalog`] lists the zones for servers that read such lists, [`notify`] tells of news, and
//! [`fleet`] remembers what became of it.
//!
//! An [`artefact`] is a file for those who fetch over [`http`], signed by [`signing`]. [`snippet`]
//! has ready blocks of other resolvers' configurations.

pub mod artefact;
pub mod catalog;
pub mod edition;
pub mod file;
pub mod fleet;
pub mod http;
pub mod journal;
pub mod leaving;
pub mod line;
pub mod notify;
pub mod primary;
pub mod secondaries;
pub mod signing;
pub mod snippet;
pub mod transfer;
