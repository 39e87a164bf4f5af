//! What services said, on its way into the score: read from the ledger at the start, and added to
//! with every answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::desk::Kept;
use super::writer::{Event, Events};
use crate::model::lookup::{Answer, Aspect, Service, Target};
use crate::model::{Indicator, Timestamp};
use crate::pipeline::opinions::{OPINION_SECONDS_MAX, Opinion, Opinions};
use crate::ports::{Ledger, LedgerError};

/// All opinions, and the writer that is told of new ones.
pub struct Memory {
    all: Mutex<BTreeMap<Indicator, Opinion>>,
    events: Events,
}

impl Memory {
    /// What the ledger has that is not too old to weigh anything.
    pub async fn load(
        ledger: &Arc<dyn Ledger>,
        events: Events,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let since = Timestamp(now.0.saturating_sub(OPINION_SECONDS_MAX));
        let mut all: BTreeMap<Indicator, Opinion> = BTreeMap::new();
        for lookup in ledger.lookups_since(since).await? {
            let Some(service) = Service::of_word(&lookup.provider) else { continue };
            let Ok(target) = Target::parse(&lookup.indicator) else { continue };
            let Ok(kept) = serde_json::from_value::<Kept>(lookup.facts) else { continue };
            if let (Some(indicator), Some(answer)) = (subject(&target, kept.aspect), kept.answer) {
                all.entry(indicator).or_default().take(service, &answer, lookup.asked_at);
            }
        }
        Ok(Self { all: Mutex::new(all), events })
    }

    /// All of them.
    pub fn opinions(&self) -> Opinions {
        Opinions::of(&self.all.lock())
    }

    /// Takes in an answer and tells the writer.
    pub fn hear(
        &self,
        service: Service,
        target: &Target,
        aspect: Aspect,
        answer: &Answer,
        asked_at: Timestamp,
    ) {
        let Some(indicator) = subject(target, aspect) else { return };
        let opinions = {
            let mut all = self.all.lock();
            let opinion = all.entry(indicator).or_default();
            let before = opinion.clone();
            opinion.take(service, answer, asked_at);
            if *opinion == before {
                return;
            }
            Opinions::of(&all)
        };
        // A writer that is gone is being stopped; the ledger has what came.
        let _ = self.events.send(Event::Standings(Box::new(move |standings| {
            standings.opinions = opinions;
        })));
    }
}

/// What an answer is evidence about. One about a URL says nothing of its host.
fn subject(target: &Target, aspect: Aspect) -> Option<Indicator> {
    match (aspect, target) {
        (Aspect::Report, Target::Url(_)) => None,
        (Aspect::Report, target) => Some(target.indicator()),
        _ => None,
    }
}
