//! A policy zone from a file.

use std::path::PathBuf;

use crate::diagnostic::Place;
use crate::model::{GroupSet, Name};
use crate::pipeline::Order;
use crate::policy::Policy;
use crate::zone::ZoneOptions;

/// A policy zone from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileZone {
    /// The file, relative to the zones directory.
    pub file: PathBuf,
    /// The zone's name, under which its owners lie.
    pub name: Name,
    /// Where it counts.
    pub order: Order,
    /// How it is applied. Its groups are names until a policy resolves them, see
    /// [`FileZone::groups`].
    pub options: ZoneOptions,
    /// The groups of the policy that it applies to, with their places; none means everyone.
    pub groups: Vec<(String, Place)>,
    /// Where it is declared.
    pub place: Place,
}

impl FileZone {
    /// The groups that it applies to, by their positions in the policy. Groups that the policy
    /// does not have are found by [`check_against`](super::check_against).
    pub fn groups(&self, policy: &Policy) -> GroupSet {
        let positions = self.groups.iter().filter_map(|(name, _)| policy.group(name));
        positions.fold(GroupSet::NONE, |groups, at| groups.union(GroupSet::of(at)))
    }
}
