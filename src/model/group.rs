//! Client groups as a small set.

/// The most groups an installation can name.
pub const GROUPS_MAX: usize = 64;

/// A set of client groups, by their position in the policy. A zone without groups applies to
/// everyone; one with groups applies to a client that is in at least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct GroupSet(pub u64);

impl GroupSet {
    /// No groups.
    pub const NONE: GroupSet = GroupSet(0);

    /// The set with only the group at `position`, which is below [`GROUPS_MAX`].
    pub const fn of(position: usize) -> GroupSet {
        GroupSet(1 << position)
    }

    /// Both sets together.
    pub const fn union(self, other: GroupSet) -> GroupSet {
        GroupSet(self.0 | other.0)
    }

    /// Whether a zone bound to `self` applies to a client in `client`.
    pub const fn applies_to(self, client: GroupSet) -> bool {
        self.0 == 0 || self.0 & client.0 != 0
    }

    /// Whether some group is in both sets.
    pub const fn meets(self, other: GroupSet) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no group is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The positions in the set, ascending.
    pub fn positions(self) -> impl Iterator<Item = usize> {
        (0..GROUPS_MAX).filter(move |p| self.0 >> p & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_without_groups_applies_to_everyone() {
        let staff = GroupSet::of(3);
        assert!(GroupSet::NONE.applies_to(GroupSet::NONE));
        assert!(staff.applies_to(staff.union(GroupSet::of(0))));
        assert!(!staff.applies_to(GroupSet::of(0)));
        assert_eq!(staff.union(GroupSet::of(63)).positions().collect::<Vec<_>>(), [3, 63]);
    }
}
