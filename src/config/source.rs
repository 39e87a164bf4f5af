//! A source as the configuration declares it.

use crate::diagnostic::Place;
use crate::model::SourceId;
use crate::pipeline::Ranks;
use crate::scoring::Reference;
use crate::source::settings::{self, LicenceMode, Off};
use crate::zone::Mode;

/// Where claims come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What the source is and how it is fetched and read.
    pub settings: settings::Source,
    /// Whether it acts: `off` is not fetched, `observe` is fetched and never decides.
    pub mode: Mode,
    /// The source of the scoring model whose weights it has, if other than its own id.
    pub weighs_as: Option<String>,
    /// What the age of its entries counts from, if other than in the scoring model.
    pub reference: Option<Reference>,
    /// What its addresses do in the ranks of networks.
    pub ranks: Ranks,
    /// Where it stands.
    pub place: Place,
    /// Where its trust is declared.
    pub trust_place: Place,
}

impl Source {
    /// Its name. The scoring model knows the well-known ones by it; another one weighs as a list
    /// that nobody has reviewed (SCORING 2.3).
    pub fn id(&self) -> &SourceId {
        &self.settings.id
    }

    /// Why it is not in use under this licence mode; none if it is.
    pub fn off(&self, licence: LicenceMode) -> Option<Off> {
        self.settings.off(licence)
    }
}
