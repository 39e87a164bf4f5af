//! What stands on the policy's lists.

use super::Mark;
use crate::model::{GroupSet, Name, NamePattern, NameRef, Network, Timestamp};
use crate::zone::Mode;

/// The lists, in the order in which they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// Let through, whatever else says otherwise.
    Allow,
    /// Blocked.
    Block,
    /// Sent to the walled garden.
    Redirect,
}

impl List {
    /// All lists, in the order in which they count.
    pub const ALL: [List; 3] = [Self::Allow, Self::Block, Self::Redirect];

    /// The word used in files and zone names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Redirect => "redirect",
        }
    }
}

/// One table of a list: names and networks that share a reason and a term.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The list it stands on.
    pub list: List,
    /// What it is about, names from files included.
    pub subjects: Vec<Subject>,
    /// Why it is there.
    pub reason: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// It holds while the time is before this.
    pub until: Option<Timestamp>,
    /// The groups it holds for; none means everyone.
    pub groups: GroupSet,
    /// Whether it acts.
    pub mode: Mode,
    /// Whether it may take in a public suffix.
    pub force: bool,
    /// Where it stands.
    pub mark: Mark,
}

impl Entry {
    /// Whether its term has not ended and it is not switched off.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.mode != Mode::Off && self.until.is_none_or(|until| now < until)
    }

    /// Whether it acts on everyone's queries, so that it may speak in a zone for others.
    pub fn is_for_everyone(&self) -> bool {
        self.groups.is_empty() && self.mode == Mode::Enforce
    }
}

/// A name or network of an entry, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What is meant.
    pub target: Target,
    /// Where it stands, in the policy file or in a file of names.
    pub mark: Mark,
}

/// A name or a network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Names.
    Name(Name, Reach),
    /// Addresses in answers.
    Network(Network),
}

impl Target {
    /// Whether it takes in a name.
    pub fn takes_in_name(&self, asked: NameRef<'_>) -> bool {
        match self {
            Self::Name(name, reach) if name.as_ref() == asked => reach.takes_in_itself(),
            Self::Name(name, reach) => {
                reach.takes_in_below() && asked.is_at_or_below(name.as_ref())
            }
            Self::Network(_) => false,
        }
    }

    /// Whether it takes in all addresses of a network.
    pub fn takes_in_network(&self, asked: Network) -> bool {
        matches!(self, Self::Network(network) if network.covers(asked))
    }
}

/// `name`, `*.name` or a network.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name, Reach::Below) => NamePattern::below(name.clone()).fmt(f),
            Self::Name(name, _) => name.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// How far a name reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Reach {
    /// The name alone.
    Exact,
    /// The name and all names below it.
    #[default]
    Subdomains,
    /// All names below it and not the name (`*.name`).
    Below,
}

impl Reach {
    /// Whether the name itself is meant.
    pub fn takes_in_itself(self) -> bool {
        self != Self::Below
    }

    /// Whether the names below are meant.
    pub fn takes_in_below(self) -> bool {
        self != Self::Exact
    }
}
