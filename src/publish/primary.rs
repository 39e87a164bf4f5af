//! The zones that secondaries get now.
//!
//! One task puts editions in place ([`Primary::offer`]); readers take one and keep it for a whole
//! transfer.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::edition::Edition;
use crate::model::{Name, NameRef, Timestamp};
use crate::zone::Serial;

/// What is offered of one zone.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What most secondaries get.
    pub stable: Arc<Edition>,
    /// What canaries get, where that is newer, and when all others will.
    pub canary: Option<(Arc<Edition>, Timestamp)>,
    /// Whether it is for everyone, and not for groups of clients.
    pub for_everyone: bool,
    /// The version whose content stays, by command, until somebody resumes.
    pub rolled_back_to: Option<Serial>,
}

impl Offer {
    /// What a secondary gets.
    pub fn edition(&self, canary: bool) -> &Arc<Edition> {
        match &self.canary {
            Some((edition, _)) if canary => edition,
            _ => &self.stable,
        }
    }
}

type Offers = BTreeMap<Name, Offer>;

/// All zones that are published.
#[derive(Debug)]
pub struct Primary {
    offers: ArcSwap<Offers>,
    news: watch::Sender<()>,
}

impl Default for Primary {
    fn default() -> Self {
        Self { offers: ArcSwap::default(), news: watch::Sender::new(()) }
    }
}

impl Primary {
    /// What is offered of a zone.
    pub fn of(&self, zone: NameRef<'_>) -> Option<Offer> {
        self.offers.load().get(&zone.to_owned()).cloned()
    }

    /// Everything that is offered.
    pub fn all(&self) -> Arc<Offers> {
        self.offers.load_full()
    }

    /// Changes when anything else is offered.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Offers these zones and no others. For one writer.
    pub fn offer(&self, offers: Offers) {
        self.offers.store(Arc::new(offers));
        self.news.send_replace(());
    }
}
