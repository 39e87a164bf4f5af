//! What simpler rules make of the same claims (SCORING section 6, baselines).

use crate::model::NameRef;
use crate::pipeline::Appraiser;
use crate::scoring::part::{Label, Part};
use crate::scoring::{self, Facts, Kind, Model, SourceIndex};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Any list names it.
    Union,
    /// So many lists name it, whoever copies whom.
    AtLeast(u8),
    /// The most that a single source says, at the block threshold.
    Max,
    /// Everything that is said, added up as if it were independent, at the block threshold.
    NaiveBayes,
}

/// The rules that are compared.
pub const ALL: [Baseline; 5] = [
    Baseline::Union,
    Baseline::AtLeast(2),
    Baseline::AtLeast(3),
    Baseline::Max,
    Baseline::NaiveBayes,
];

/// What the rules look at, for a name and the names above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claimed {
    /// Lists that name it or a name above it.
    pub lists: usize,
    /// The highest score by the strongest source alone.
    pub max: i64,
    /// The highest score by everything at its full weight.
    pub sum: i64,
}

impl Claimed {
    /// What is claimed of a name or the names above it, down to its registrable domain.
    pub fn of(appraiser: &Appraiser<'_>, model: &Model, name: NameRef<'_>) -> Self {
        let mut claimed = Self { lists: 0, max: i64::MIN, sum: i64::MIN };
        let mut lists: Vec<SourceIndex> = Vec::new();
        let mut facts = Facts::new(Kind::Domain);
        let mut parts: Vec<Part> = Vec::new();
        for at in appraiser.chain(name) {
            appraiser.facts(at, &mut facts);
            lists.extend(facts.listings.iter().map(|listing| listing.source));
            parts.clear();
            scoring::evaluate(model, &facts, &mut parts);
            claimed.max = claimed.max.max(strongest(&parts));
            claimed.sum = claimed.sum.max(sum(&parts));
        }
        lists.sort_unstable();
        lists.dedup();
        claimed.lists = lists.len();
        claimed
    }
}

/// Prior and strongest source.
fn strongest(parts: &[Part]) -> i64 {
    let of = |is: fn(&Label) -> bool| parts.iter().filter(move |p| is(&p.label));
    let prior: i64 = of(|l| matches!(l, Label::Prior)).map(|p| i64::from(p.raw_mban)).sum();
    let sources = of(|l| matches!(l, Label::Source(_))).map(|p| i64::from(p.raw_mban));
    prior + sources.max().unwrap_or(0).max(0)
}

/// Everything at its full weight; caps are no evidence.
fn sum(parts: &[Part]) -> i64 {
    let is_cap = |label: &Label| {
        matches!(
            label,
            Label::CapDirectPositive
                | Label::CapDirectNegative
                | Label::CapInfrastructurePositive
                | Label::CapInfrastructureNegative
        )
    };
    parts.iter().filter(|p| !is_cap(&p.label)).map(|p| i64::from(p.raw_mban)).sum()
}

impl Baseline {
    /// Its name.
    pub fn label(self) -> String {
        match self {
            Self::Union => "union".to_owned(),
            Self::AtLeast(lists) => format!("{lists} lists"),
            Self::Max => "max".to_owned(),
            Self::NaiveBayes => "naive Bayes".to_owned(),
        }
    }

    /// The score by which it orders names.
    pub fn score(self, claimed: &Claimed) -> i64 {
        match self {
            Self::Union => i64::from(claimed.lists > 0),
            Self::AtLeast(_) => claimed.lists as i64,
            Self::Max => claimed.max,
            Self::NaiveBayes => claimed.sum,
        }
    }

    /// Whether it blocks.
    pub fn blocks(self, claimed: &Claimed, block_on: i64) -> bool {
        match self {
            Self::Union => claimed.lists > 0,
            Self::AtLeast(lists) => claimed.lists >= usize::from(lists),
            Self::Max | Self::NaiveBayes => self.score(claimed) >= block_on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Listing;

    #[test]
    fn the_sum_takes_copies_at_their_word_and_the_maximum_only_the_strongest() {
        let model = Model::shipped();
        let mut facts = Facts::new(Kind::Domain);
        for id in ["blp", "shadowwhisperer", "openphish"] {
            facts.listings.push(Listing::new(model.source_index(id).unwrap(), 0));
        }
        let mut parts: Vec<Part> = Vec::new();
        let score = scoring::evaluate(&model, &facts, &mut parts);
        let weight = |id: &str| {
            let index = model.source_index(id).unwrap();
            i64::from(model.source(index).weight(Kind::Domain, 0))
        };
        assert_eq!(strongest(&parts), -2000 + weight("openphish"));
        let all = weight("openphish") + weight("blp") + weight("shadowwhisperer");
        assert_eq!(sum(&parts), -2000 + all);
        assert!(sum(&parts) > score.mban);
    }

    #[test]
    fn each_rule_asks_for_what_its_name_says() {
        let claimed = Claimed { lists: 2, max: 1380, sum: 1500 };
        let blocked: Vec<String> =
            ALL.into_iter().filter(|b| b.blocks(&claimed, 1500)).map(Baseline::label).collect();
        assert_eq!(blocked, ["union", "2 lists", "naive Bayes"]);
    }
}
