//! What taking entries in would do to the people who ask here: R7 and R8.
//!
//! R7 looks at the queries of the last 24 hours as passive DNS counts them; with fewer than 10,000
//! it says nothing. R8 bounds what hangs on one source alone. By the letter it would hold back
//! OpenPhish with every fetch, since all that such a list has first hangs on it alone. But a source
//! that may not block alone only redirects where nothing else speaks (guard G9), and R4 bounds how
//! much it may add at once. So R8 is held against those that may block alone: they are what the
//! document itself calls the remaining hole.

use super::{Breach, EXAMPLES_MAX, Incoming, Rule, shown};
use crate::evidence::{Claimed, Claims, NameClaim};
use crate::model::{NameRef, Trust};
use crate::pipeline::{Appraiser, Published};
use crate::scoring::{self, Facts, Kind, Level, Listing, Previous, SourceIndex};

/// Entries that would change this share of the last day's queries wait (R7), in ppm.
const TRAFFIC_PPM_MAX: u64 = 5_000;
/// So many verdicts a day may hang on one source alone (R8).
const PIVOTAL_FREE: u64 = 50;

/// What entries of one source would do.
pub(super) struct Effects<'p> {
    published: &'p Published,
    appraiser: Appraiser<'p>,
    trust: &'p Trust,
    index: Option<SourceIndex>,
    facts: Facts,
}

impl<'p> Effects<'p> {
    /// None where nothing is in force yet, or where the source fills a category: those are meant to
    /// change what people get.
    pub fn of(incoming: &Incoming<'p>, published: Option<&'p Published>) -> Option<Self> {
        let published = published.filter(|_| !matches!(incoming.trust, Trust::Category(_)))?;
        let own = published.sources.iter().find(|source| source.profile.id == *incoming.id)?;
        Some(Self {
            published,
            appraiser: published.appraiser(incoming.now),
            trust: incoming.trust,
            index: published.model.source_index(&own.profile.weighs_as),
            facts: Facts::new(Kind::Domain),
        })
    }

    /// Whether an entry would newly keep a name from clients.
    fn acts(&mut self, claimed: Claimed<'_>) -> bool {
        let Claimed::Name(name, claim) = claimed else { return false };
        if claim.exception || self.is_kept_already(name) {
            return false;
        }
        match (self.trust, self.index) {
            (Trust::Operator, _) => true,
            (_, Some(index)) => self.level_with(name, claim, index) > Level::Monitor,
            _ => false,
        }
    }

    fn is_kept_already(&self, name: NameRef<'_>) -> bool {
        let mut above = self.appraiser.chain(name);
        above.any(|name| self.appraiser.verdict(name).is_some_and(|v| v.level > Level::Monitor))
    }

    fn level_with(&mut self, name: NameRef<'_>, claim: NameClaim, index: SourceIndex) -> Level {
        self.appraiser.facts(name, &mut self.facts);
        self.facts.listings.push(Listing {
            scope: claim.claim.scope,
            category: claim.claim.category,
            ..Listing::new(index, 0)
        });
        let model = &self.published.model;
        let score = scoring::score(model, &self.facts);
        scoring::decide(model, &self.facts, &score, &Previous::default()).level
    }

    /// R7: whether all that is new would change too much of what was asked in the last day.
    pub fn change_too_much(&mut self, new: &Claims, breaches: &mut Vec<Breach>) -> bool {
        let standings = &self.published.standings;
        let (mut ppm, mut examples) = (0u64, Vec::new());
        let _ = new.partition(|claimed| {
            let Claimed::Name(name, _) = claimed else { return false };
            let site = standings.of(name).site;
            let share = site.and_then(|site| standings.seen.query_share_ppm(name, site.holding));
            // Only what is asked for at all is worth a look at its score.
            if let Some(share) = share.filter(|share| *share > 0)
                && self.acts(claimed)
            {
                ppm += u64::from(share);
                if examples.len() < EXAMPLES_MAX {
                    examples.push(shown(claimed));
                }
            }
            false
        });
        let too_much = ppm >= TRAFFIC_PPM_MAX;
        if too_much {
            let text = format!(
                "what it newly names would change {}.{:02} % of the queries of the last day, among \
                 it {}: all that is new waits 24 hours",
                ppm / 10_000,
                ppm % 10_000 / 100,
                examples.join(", ")
            );
            breaches.push(Breach { rule: Rule::Traffic, text });
        }
        too_much
    }

    /// R8: what is taken in, what is beyond what may hang on one source in a day, and how many
    /// verdicts hang on it.
    pub fn within_a_day(
        &mut self,
        incoming: &Incoming<'_>,
        new: Claims,
        breaches: &mut Vec<Breach>,
    ) -> (Claims, Claims, u64) {
        let blocks_alone = self.index.is_some_and(|index| {
            self.published.model.source(index).is_tier_a() && *self.trust == Trust::Scored
        });
        if !blocks_alone {
            return (new, Claims::none(), 0);
        }
        let most = PIVOTAL_FREE.max(incoming.claims.len() as u64 / 50);
        let mut left = most.saturating_sub(incoming.pivotal_today);
        let (mut pivotal, mut beyond) = (0, 0u64);
        // Without this source none of them would be kept from clients, so each hangs on it.
        let (excess, taken) = new.partition(|claimed| {
            if !self.acts(claimed) {
                return false;
            }
            let full = left == 0;
            left = left.saturating_sub(1);
            pivotal += u64::from(!full);
            beyond += u64::from(full);
            full
        });
        if beyond > 0 {
            let text = format!(
                "{beyond} new verdicts beyond the {most} that may hang on it alone in a day: they \
                 wait 24 hours"
            );
            breaches.push(Breach { rule: Rule::Pivotal, text });
        }
        (taken, excess, pivotal)
    }
}
