//! Categories of content: advertising, gambling and whatever else somebody may not want to see.
//! They are no evidence of malice and never enter a score (SCORING 2.3); each has a switch of its
//! own, for everyone and for each group.

use super::{List, Mark, Subject};
use crate::model::GroupSet;
use crate::zone::Mode;

/// A category with its switch.
#[derive(Debug, Clone)]
pub struct PolicyCategory {
    /// Its name, as sources and groups refer to it.
    pub name: String,
    /// Whether it is on where no group says otherwise.
    pub enabled: bool,
    /// Whether its names are blocked or redirected; never [`List::Allow`].
    pub action: List,
    /// Whether it acts.
    pub mode: Mode,
    /// The groups it is on for; none means everyone.
    pub groups: GroupSet,
    /// Names of the policy's own, beside those of the sources with this category.
    pub subjects: Vec<Subject>,
    /// Where it stands first.
    pub mark: Mark,
    /// The groups that its zone is bound to, all switches considered: [`GroupSet::NONE`] binds it
    /// to everyone, and there is no zone at all where this is none.
    pub applies_to: Option<GroupSet>,
}

/// How the switches of a category come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// On for nobody.
    Nobody,
    /// On for clients in at least one of these groups.
    Groups(GroupSet),
    /// On for clients that are in none of the groups `but`, and for those that are in one of the
    /// groups `also`.
    EveryoneBut {
        /// Groups that have it switched off.
        but: GroupSet,
        /// Groups that have it switched on.
        also: GroupSet,
    },
}

impl PolicyCategory {
    /// How the switches come out, given the groups that have this category switched on and off.
    /// On is stronger than off for a client that is in both kinds of group.
    pub(super) fn reached(&self, on: GroupSet, off: GroupSet) -> Reached {
        let without = |set: GroupSet, minus: GroupSet| GroupSet(set.0 & !minus.0);
        if self.enabled && self.groups.is_empty() {
            return Reached::EveryoneBut { but: off, also: on };
        }
        let standing = if self.enabled { without(self.groups, off) } else { GroupSet::NONE };
        match standing.union(on) {
            GroupSet::NONE => Reached::Nobody,
            groups => Reached::Groups(groups),
        }
    }
}
