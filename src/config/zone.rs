//! A policy zone from a file.

use std::path::PathBuf;

use crate::diagnostic::Place;
use crate::model::Name;
use crate::zone::ZoneOptions;

/// A policy zone from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileZone {
    /// The file, relative to the zones directory.
    pub file: PathBuf,
    /// The zone's name, under which its owners lie.
    pub name: Name,
    /// Where it counts.
    pub standing: Standing,
    /// How it is applied. Its groups are names until a policy resolves them, see
    /// [`FileZone::groups`].
    pub options: ZoneOptions,
    /// The groups of the policy that it applies to, with their places; none means everyone.
    pub groups: Vec<(String, Place)>,
    /// Where it is declared.
    pub place: Place,
}

/// Where a zone counts among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Before the lists of the policy.
    First,
    /// After the lists of the policy, before everything that is made from sources.
    BeforeGenerated,
    /// After everything else.
    Last,
}
