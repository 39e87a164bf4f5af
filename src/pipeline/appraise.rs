//! What the state in force makes of any name, listed or not: the facts that a rebuild judges, put
//! together for one name.

use super::Published;
use super::judge::Court;
use super::sources::Scored;
use super::standing::Standings;
use super::verdicts::Verdict;
use crate::model::{NameRef, Timestamp};
use crate::scoring::{self, Facts, Kind, Level, Previous};

/// What a name amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appraisal {
    /// The highest score of the name and the names above it down to its registrable domain.
    pub score: i64,
    /// The highest level of them: that of the decision in force, or else what the facts call for.
    pub level: Level,
}

/// Puts together the facts of names, many in a row.
pub struct Appraiser<'p> {
    published: &'p Published,
    scored: Scored<'p>,
    now: Timestamp,
}

impl Published {
    /// Looks at names as of a time.
    pub fn appraiser(&self, now: Timestamp) -> Appraiser<'_> {
        let scored = Scored::of(&self.sources, &self.model);
        Appraiser { published: self, scored, now }
    }
}

impl Appraiser<'_> {
    /// What a name amounts to. A rule for a name takes all below it along, so the names above it
    /// count down to the registrable domain.
    pub fn appraise(&self, name: NameRef<'_>) -> Appraisal {
        let mut most = Appraisal { score: i64::MIN, level: Level::Allow };
        let mut facts = Facts::new(Kind::Domain);
        for at in self.chain(name) {
            self.facts(at, &mut facts);
            let model = &self.published.model;
            let score = scoring::score(model, &facts);
            // What is listed was judged, together with all other names of its domain.
            let level = match (self.verdict(at), facts.listings.is_empty()) {
                (Some(verdict), _) => verdict.level,
                (None, false) => Level::Allow,
                (None, true) => scoring::decide(model, &facts, &score, &Previous::default()).level,
            };
            most.score = most.score.max(score.mban);
            most.level = most.level.max(level);
        }
        most
    }

    /// The name and the names above it, down to its registrable domain.
    pub fn chain<'n>(&self, name: NameRef<'n>) -> impl Iterator<Item = NameRef<'n>> + use<'n> {
        Self::chain_of(&self.published.standings, name)
    }

    /// The same where only the standings are at hand.
    pub fn chain_of<'n>(
        standings: &Standings,
        name: NameRef<'n>,
    ) -> impl Iterator<Item = NameRef<'n>> + use<'n> {
        let registrable = standings.suffixes.registrable(name);
        name.ancestors().take_while(move |n| n.is_at_or_below(registrable))
    }

    /// The decision in force.
    pub fn verdict(&self, name: NameRef<'_>) -> Option<Verdict> {
        self.published.verdicts.of(name)
    }

    /// Whether direct evidence and context alone, without the company that it keeps, would block
    /// exactly this name (SCORING 2.7). What has no decision to speak of is not blocked.
    pub fn is_blocked_by_itself(&self, name: NameRef<'_>) -> bool {
        if self.verdict(name).is_none_or(|verdict| verdict.level == Level::Allow) {
            return false;
        }
        let mut facts = Facts::new(Kind::Domain);
        self.facts(name, &mut facts);
        facts.infrastructure = scoring::Infrastructure::default();
        let model = &self.published.model;
        let score = scoring::score(model, &facts);
        model.step(Level::Block).is_some_and(|step| score.mban >= i64::from(step.on))
    }

    /// Everything known of exactly this name; what is claimed of `www.` counts for the domain.
    pub fn facts(&self, name: NameRef<'_>, facts: &mut Facts) {
        self.court().all_facts(name, facts);
    }

    /// How many other names of the registrable domain are listed. Only a prediction asks.
    pub(super) fn siblings(&self, name: NameRef<'_>, registrable: NameRef<'_>) -> usize {
        self.court().siblings(name, registrable)
    }

    fn court(&self) -> Court<'_> {
        let published = self.published;
        Court {
            model: &published.model,
            standings: &published.standings,
            scored: &self.scored,
            previous: &published.verdicts,
            now: self.now,
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! States from a few names.

    use super::*;
    use crate::evidence::{Claims, ClaimsBuilder, Popularity, PublicSuffixes, RankList};
    use crate::model::Name;
    use crate::model::{Category, Claim, Indicator, Scope, SourceId};
    use crate::names::NameTable;
    use crate::pipeline::{Pipeline, Profile, Source};
    use crate::policy;
    use crate::scoring::Model;
    use std::sync::Arc;

    /// The time of these states.
    pub const NOW: Timestamp = Timestamp(1_000_000);

    fn claims(names: &[&str]) -> Claims {
        let mut builder = ClaimsBuilder::default();
        let claim = Claim {
            first_seen: NOW,
            last_seen: NOW,
            scope: Scope::Name,
            category: Category::Phishing,
        };
        names.iter().for_each(|n| builder.push(&Indicator::parse(n).unwrap(), claim, false));
        builder.finish(None)
    }

    /// A state in which these lists, with the weights of their namesakes, are in force.
    pub fn published(lists: &[(&str, &[&str])]) -> Arc<Published> {
        let text = [("p.toml".to_owned(), "version = 1".to_owned())];
        let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let policy = policy::load(&text, &mut read, &PublicSuffixes::default(), NOW).0.unwrap();
        let mut pipeline = Pipeline::new(Model::shipped(), Arc::new(policy), Name::root(), 7);
        let source = |(id, names): &(&str, &[&str])| Source {
            profile: Profile::scored(id, id),
            claims: claims(names),
        };
        pipeline.set_sources(lists.iter().map(source).collect());
        let list = RankList { source: SourceId::new("ranks"), day: 11, ranks: NameTable::empty() };
        let popularity = Popularity::join(&[list], 11, &PublicSuffixes::default(), 7);
        pipeline.set_standings(Standings { popularity: popularity.into(), ..Standings::default() });
        pipeline.rebuild(NOW).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{NOW, published};
    use super::*;
    use crate::model::Name;

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    #[test]
    fn what_lies_over_a_platform_is_never_taken_as_a_whole() {
        let names = ["railway.app", "a.up.railway.app", "b.up.railway.app", "c.up.railway.app"];
        let state = published(&[("certpl", &names), ("openphish", &names)]);
        let level = |text: &str| state.verdicts.of(name(text).as_ref()).map(|v| v.level);
        assert_eq!(level("railway.app"), Some(Level::Monitor));
        assert_eq!(level("a.up.railway.app"), Some(Level::Block));
        let state = published(&[("certpl", &names[..1]), ("openphish", &names[..1])]);
        let level = state.verdicts.of(name("railway.app").as_ref()).map(|v| v.level);
        assert_eq!(level, Some(Level::Block), "nothing tells that it is one");
    }

    #[test]
    fn a_name_is_caught_by_what_is_listed_above_it_and_not_below() {
        let state = published(&[("certpl", &["bad.net"]), ("openphish", &["x.other.net"])]);
        let appraiser = state.appraiser(NOW);
        let level = |text: &str| appraiser.appraise(name(text).as_ref()).level;
        assert_eq!(level("a.b.bad.net"), Level::Block);
        assert_eq!(level("a.x.other.net"), Level::Redirect);
        assert_eq!(level("other.net"), Level::Allow);
        assert_eq!(appraiser.appraise(name("other.net").as_ref()).score, -2000);
    }

    #[test]
    fn an_appraisal_says_what_the_rebuild_decided() {
        let names =
            ["a.net", "www.b.net", "x.c.net", "y.c.net", "z.c.net", "d.pages.dev", "weebly.com"];
        let state = published(&[("certpl", &names), ("openphish", &names[..3])]);
        let appraiser = state.appraiser(NOW);
        for text in names.iter().chain(&["b.net", "c.net", "pages.dev"]) {
            let name = name(text);
            let in_force = name.as_ref().ancestors().filter_map(|n| state.verdicts.of(n));
            let level = in_force.map(|v| v.level).max().unwrap_or_default();
            assert_eq!(appraiser.appraise(name.as_ref()).level, level, "{text}");
        }
        assert_eq!(state.verdicts.of(name("c.net").as_ref()).unwrap().level, Level::Block);
    }
}
