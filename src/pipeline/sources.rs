//! The sources as the pipeline sees them: whose claims, how far trusted, as what in the model.

use std::sync::Arc;

use crate::evidence::{Claims, NameClaim};
use crate::model::{Claim, Scope, SourceId, Timestamp, Trust};
use crate::scoring::{Listing, Model, Reference, SourceIndex};
use crate::zone::Mode;

/// What the addresses of a source do in the ranks of networks (SCORING 2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ranks {
    /// They are counted against the networks they lie in.
    #[default]
    Count,
    /// They are neither counted nor left out.
    Ignore,
    /// They are those of scanners, parking companies or sinkholes, and are left out of all counts.
    /// Such a source claims no malice and enters no score.
    Exclude,
}

/// What the configuration says of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub id: SourceId,
    /// How far its word is taken.
    pub trust: Trust,
    /// Whether its rules act, are only counted, or are not made at all.
    pub mode: Mode,
    /// The source of the model whose weights it has; its own name where the model knows it, else
    /// `unreviewed_list`.
    pub weighs_as: Arc<str>,
    /// What it weighed as before the model in force had a place of its own for it.
    pub weighed_as: Option<Arc<str>>,
    /// What the age of its claims counts from, if other than in the model.
    pub reference: Option<Reference>,
    /// What its addresses do in the ranks of networks.
    pub ranks: Ranks,
}

impl Profile {
    /// A source that is evidence, with the weights of a source of the model.
    pub fn scored(id: &str, weighs_as: &str) -> Self {
        Self {
            id: SourceId::new(id),
            trust: Trust::Scored,
            mode: Mode::Enforce,
            weighs_as: weighs_as.into(),
            weighed_as: None,
            reference: None,
            ranks: Ranks::default(),
        }
    }
}

/// A source with its claims in force.
#[derive(Debug, Clone)]
pub struct Source {
    /// What the configuration says.
    pub profile: Profile,
    /// What it claims.
    pub claims: Claims,
}

/// A source with the place that a model has for it, where that is one that was learnt: the model
/// that ships does not know the name. With another model it weighs as before.
pub(super) fn own_place(mut source: Source, model: &Model, shipped: &Model) -> Source {
    let profile = &mut source.profile;
    let id = profile.id.as_str().to_owned();
    let learnt = model.source_index(&id).is_some() && shipped.source_index(&id).is_none();
    match profile.weighed_as.take() {
        before if learnt => {
            let held = std::mem::replace(&mut profile.weighs_as, id.into());
            profile.weighed_as = before.or(Some(held));
        }
        Some(before) => profile.weighs_as = before,
        None => {}
    }
    source
}

/// The scored sources with their numbers in the model, in the order of a merge over their names.
pub(super) struct Scored<'s> {
    pub sources: Vec<&'s Source>,
    indexes: Vec<(SourceIndex, Reference)>,
}

impl<'s> Scored<'s> {
    /// The sources that enter the score: those of trust `scored` that enforce and that the model
    /// knows. A source in `observe` mode is left out and stays visible in `why`.
    pub fn of(sources: &'s [Source], model: &Model) -> Self {
        let mut scored = Self { sources: Vec::new(), indexes: Vec::new() };
        for source in sources {
            let profile = &source.profile;
            let speaks = profile.mode == Mode::Enforce && profile.ranks != Ranks::Exclude;
            if profile.trust != Trust::Scored || !speaks {
                continue;
            }
            if let Some(index) = model.source_index(&profile.weighs_as) {
                scored.sources.push(source);
                let reference =
                    profile.reference.unwrap_or_else(|| model.source(index).reference());
                scored.indexes.push((index, reference));
            }
        }
        scored
    }

    /// The number in the model and the meaning of dates of the source at a position.
    pub fn index(&self, position: usize) -> (SourceIndex, Reference) {
        self.indexes[position]
    }

    /// The listing that a claim of the source at a position makes; none for an exception.
    pub fn listing(&self, position: usize, claim: NameClaim, now: Timestamp) -> Option<Listing> {
        let (source, reference) = self.indexes[position];
        (!claim.exception).then(|| listing(source, reference, &claim.claim, now))
    }
}

/// A claim as an entry of the fact record: how old it is depends on what the source's dates mean.
pub(super) fn listing(
    source: SourceIndex,
    reference: Reference,
    claim: &Claim,
    now: Timestamp,
) -> Listing {
    let since = match reference {
        Reference::FirstPresent => claim.first_seen,
        Reference::LastPresent | Reference::Upstream => claim.last_seen,
    };
    Listing {
        scope: claim.scope,
        category: claim.category,
        ..Listing::new(source, since.age_hours(now))
    }
}

/// Whether a claim about a name may make a rule of its own: one about a URL does so only where the
/// host is not shared and not popular (SCORING 2.9).
pub(super) fn names_the_host(claim: NameClaim, shared_or_popular: bool) -> bool {
    !claim.exception && (claim.claim.scope == Scope::Name || !shared_or_popular)
}
