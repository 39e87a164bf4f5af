//! What each source is worth here: what it alone names, what others name too, what clients asked
//! for, and what would be reachable without it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Published;
use super::sources::Source;
use crate::evidence::{Merge, NameClaim};
use crate::model::{NameRef, Timestamp, Trust};
use crate::scoring::{self, Facts, Kind, Level};
use crate::zone::Mode;

/// What one source is worth.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedValue {
    /// The source.
    pub id: String,
    /// `scored`, `operator`, or the policy category that it fills.
    pub trust: String,
    /// Names that it has.
    pub names: usize,
    /// Those that no other source of the same trust has.
    pub unique: usize,
    /// Those that another one has too.
    pub overlapping: usize,
    /// Those that clients asked for here, or for something below them, lately; none where nobody
    /// watches.
    pub hit: Option<usize>,
    /// Those that are kept from clients because of this source alone: without it the score would
    /// not call for it, or no other source of its trust has them.
    pub sole_cause: usize,
}

impl Published {
    /// What every source that names anything is worth. `asked` says whether clients asked for a
    /// name or something below it.
    pub fn feed_values(
        &self,
        asked: Option<&dyn Fn(NameRef<'_>) -> bool>,
        now: Timestamp,
    ) -> Vec<FeedValue> {
        let sources: Vec<&Source> =
            self.sources.iter().filter(|source| !source.claims.names.is_empty()).collect();
        let mut values: Vec<FeedValue> = sources
            .iter()
            .map(|source| FeedValue {
                id: source.profile.id.to_string(),
                trust: super::why::trust_says(&source.profile.trust),
                hit: asked.map(|_| 0),
                ..FeedValue::default()
            })
            .collect();
        let appraiser = self.appraiser(now);
        let mut facts = Facts::new(Kind::Domain);
        let mut merge = Merge::new(sources.iter().map(|source| &source.claims.names));
        let mut naming: Vec<usize> = Vec::new();
        while let Some((name, claims)) = merge.advance() {
            naming.clear();
            let claims = claims.iter().filter(|(_, payload)| !NameClaim::read(payload).exception);
            naming.extend(claims.map(|(at, _)| *at));
            let was_asked = asked.is_some_and(|asked| asked(name));
            let mut by_trust: BTreeMap<&Trust, usize> = BTreeMap::new();
            for at in &naming {
                *by_trust.entry(&sources[*at].profile.trust).or_default() += 1;
            }
            let pivotal = self.pivotal(&appraiser, name, &mut facts);
            for at in &naming {
                let profile = &sources[*at].profile;
                let alone = by_trust[&profile.trust] == 1;
                let value = &mut values[*at];
                value.names += 1;
                value.unique += usize::from(alone);
                value.overlapping += usize::from(!alone);
                if was_asked && let Some(hit) = &mut value.hit {
                    *hit += 1;
                }
                let cause = match profile.trust {
                    Trust::Scored => pivotal.is_some() && pivotal == self.index_of(sources[*at]),
                    _ => alone && profile.mode == Mode::Enforce,
                };
                value.sole_cause += usize::from(cause);
            }
        }
        values
    }

    fn index_of(&self, source: &Source) -> Option<scoring::SourceIndex> {
        let speaks = source.profile.mode == Mode::Enforce;
        self.model.source_index(&source.profile.weighs_as).filter(|_| speaks)
    }

    /// The source on which alone it hangs that a name is kept from clients.
    fn pivotal(
        &self,
        appraiser: &super::Appraiser<'_>,
        name: NameRef<'_>,
        facts: &mut Facts,
    ) -> Option<scoring::SourceIndex> {
        let verdict = self.verdicts.of(name).filter(|v| v.level > Level::Monitor)?;
        appraiser.facts(name, facts);
        scoring::pivotal_source(&self.model, facts, verdict.level)
    }
}

#[cfg(test)]
mod tests {
    use super::super::appraise::testing::published;
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn a_source_is_worth_what_it_alone_brings() {
        let state = published(&[
            ("certpl", &["both.net", "mine.net"]),
            ("openphish", &["both.net", "weak.net"]),
        ]);
        let asked = |name: NameRef<'_>| name.to_owned().to_string() == "mine.net";
        let values = state.feed_values(Some(&asked), NOW);
        let of = |id: &str| values.iter().find(|value| value.id == id).unwrap();
        let certpl = of("certpl");
        assert_eq!((certpl.names, certpl.unique, certpl.overlapping), (2, 1, 1));
        assert_eq!((certpl.hit, of("openphish").hit), (Some(1), Some(0)));
        // Both hang on their only source; `both.net` would stay redirected by the other.
        assert_eq!((certpl.sole_cause >= 1, of("openphish").sole_cause), (true, 1));
        assert_eq!(state.feed_values(None, NOW)[0].hit, None);
    }
}
