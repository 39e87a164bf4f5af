//! The parts of a score, handed out one by one while it is computed.
//!
//! A score is always computed by the same code. Who wants only the number passes `&mut ()` and the
//! compiler drops the rest; who wants to explain it collects the parts.

use super::chain::{Item, WHOLE_PPM};
use super::{Model, SourceIndex};

/// Takes the parts of a score in the order they are computed.
pub trait Sink {
    /// One part. The parts of a score sum to it.
    fn part(&mut self, part: Part);
}

/// Nobody listens.
impl Sink for () {
    #[inline(always)]
    fn part(&mut self, _: Part) {}
}

impl Sink for Vec<Part> {
    fn part(&mut self, part: Part) {
        self.push(part);
    }
}

/// One part of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub label: Label,
    /// What it adds, in mban.
    pub mban: i32,
    /// What it would add alone, in mban.
    pub raw_mban: i32,
    /// The share of it that nothing before it said.
    pub independence_ppm: u32,
    /// How old it is, if it ages.
    pub age_h: Option<u32>,
    /// The listing it comes from, by its place in the facts.
    pub listing: Option<u16>,
}

impl Part {
    /// A part that depends on no other and does not age.
    pub(super) fn whole(label: Label, mban: i32) -> Self {
        Self {
            label,
            mban,
            raw_mban: mban,
            independence_ppm: WHOLE_PPM,
            age_h: None,
            listing: None,
        }
    }

    /// A part that is one item of a chain.
    pub(super) fn of_item(label: Label, item: &Item) -> Self {
        Self {
            raw_mban: item.raw(),
            independence_ppm: item.factor_ppm,
            ..Self::whole(label, item.contribution())
        }
    }
}

/// What a part of a score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Before any evidence.
    Prior,
    /// A list, provider or rank: direct evidence.
    Source(SourceIndex),
    /// Positive direct evidence beyond its cap.
    CapDirectPositive,
    /// Negative direct evidence beyond its cap.
    CapDirectNegative,
    /// Age since registration.
    Age,
    /// Seen here for long, by many.
    LocalHistory,
    /// First observed lately.
    Nod,
    /// Rank.
    Popularity,
    /// What the name and its neighbourhood predict.
    Prediction,
    /// The AS of its addresses.
    HostAsn,
    /// What their prefix adds to the AS.
    HostPrefix,
    /// What the address adds to the prefix.
    HostIp,
    /// The name servers.
    Ns,
    /// Names registered together with it.
    Siblings,
    /// Positive infrastructure beyond its cap.
    CapInfrastructurePositive,
    /// Negative infrastructure beyond its cap.
    CapInfrastructureNegative,
}

impl Label {
    /// The id used in output.
    pub fn id(self, model: &Model) -> &str {
        match self {
            Self::Prior => "prior",
            Self::Source(index) => model.source(index).id(),
            Self::CapDirectPositive => "cap.direct+",
            Self::CapDirectNegative => "cap.direct-",
            Self::Age => "age",
            Self::LocalHistory => "local_history",
            Self::Nod => "nod",
            Self::Popularity => "popularity",
            Self::Prediction => "prediction",
            Self::HostAsn => "host.asn",
            Self::HostPrefix => "host.prefix",
            Self::HostIp => "host.ip",
            Self::Ns => "ns",
            Self::Siblings => "siblings",
            Self::CapInfrastructurePositive => "cap.infra+",
            Self::CapInfrastructureNegative => "cap.infra-",
        }
    }
}
