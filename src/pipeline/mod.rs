//! The single writer: what was learnt goes in, the published state comes out.
//!
//! [`Pipeline`] keeps everything that decides, and [`Published`] is what readers hold: one
//! immutable whole, swapped as one. Two roads lead to it. [`Pipeline::assemble`] takes the
//! generated zones as they are and makes only the policy's own anew: an edit is in force in
//! milliseconds. [`Pipeline::rebuild`] judges all evidence anew. Both are pure: the same inputs and
//! the same `now` give the same zones.

mod appraise;
mod asn;
mod case;
mod generate;
mod judge;
mod named;
mod networks;
pub mod opinions;
mod registered;
mod rehearsal;
pub mod report;
mod sources;
mod standing;
mod value;
mod verdicts;
mod why;
mod why_network;

use std::sync::Arc;

pub use appraise::{Appraisal, Appraiser};
pub use case::{Case, Judgement};
pub use generate::{Generated, Held, Origin};
pub use named::NamedZone;
use named::NamedZones;
pub use networks::{Hosted, Hosting, Neighbourhood, NetworkVerdicts};
pub use opinions::{Opinion, Opinions};
pub use registered::{Registered, RegisteredDomain};
pub use rehearsal::Rehearsal;
pub use sources::{Profile, Ranks, Source};
pub use standing::{Standing, Standings};
pub use value::FeedValue;
pub use verdicts::{Verdict, Verdicts};
pub use why::Subject;

use crate::model::{GroupSet, Name, SourceId, Timestamp};
use crate::policy::compile::{self, LocalZones};
use crate::policy::domains::Summary;
use crate::policy::protect::Allowed;
use crate::policy::{Policy, Threshold, Thresholds};
use crate::scoring::{Model, Step};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::zone::{Mode, PolicyZone, Serial, Soa, Zone};

/// What a rebuild made, apart from the zones.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Scored names by level, from allow to block.
    pub levels: [usize; 4],
    /// Domains blocked as a whole because of their hosts.
    pub escalated: usize,
    /// Scored networks and AS by level, likewise.
    #[serde(default)]
    pub network_levels: [usize; 4],
    /// Per generated zone: its name, what became of the names, what guards held back.
    pub zones: Vec<(String, Summary, Held)>,
}

/// Where a zone from elsewhere counts among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Before the lists of the policy.
    First,
    /// After the lists of the policy, before everything that is made from sources.
    BeforeGenerated,
    /// After everything else.
    Last,
}

/// Everything that decides, and what was decided last.
pub struct Pipeline {
    model: Arc<Model>,
    policy: Arc<Policy>,
    named_zones: NamedZones,
    sources: Vec<Source>,
    standings: Standings,
    verdicts: Verdicts,
    network_verdicts: NetworkVerdicts,
    generated: Vec<(Origin, Zone)>,
    /// The zones of the policy's own lists, as they were made last.
    local: Vec<Zone>,
    tally: Tally,
    suffix: Name,
    hash_seed: u64,
    published: Option<Arc<Published>>,
}

/// The state in force. Readers take one and keep it for a whole query, transfer or request.
pub struct Published {
    /// The zones, in order and indexed.
    pub snapshot: Arc<Snapshot>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When an entry of the policy ends, so that it is to be made anew.
    pub next_expiry: Option<Timestamp>,
    /// The model in force, the policy's thresholds in it.
    pub model: Arc<Model>,
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// The claims in force.
    pub sources: Vec<Source>,
    /// What guards look into.
    pub standings: Standings,
    /// What was decided.
    pub verdicts: Verdicts,
    /// The same about networks and AS.
    pub network_verdicts: NetworkVerdicts,
    /// What the last rebuild made.
    pub tally: Tally,
}

impl Pipeline {
    /// A pipeline without sources, file zones or decisions. The names of all zones of ours end in
    /// `suffix`.
    pub fn new(model: Model, policy: Arc<Policy>, suffix: Name, hash_seed: u64) -> Self {
        Self {
            model: Arc::new(with_thresholds(model, &policy.thresholds)),
            policy,
            named_zones: NamedZones::default(),
            sources: Vec::new(),
            standings: Standings::default(),
            verdicts: Verdicts::default(),
            network_verdicts: [].into(),
            generated: Vec::new(),
            local: Vec::new(),
            tally: Tally::default(),
            suffix,
            hash_seed,
            published: None,
        }
    }

    /// Takes over a policy.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        let model = Model::clone(&self.model);
        self.model = Arc::new(with_thresholds(model, &policy.thresholds));
        self.policy = policy;
    }

    /// Takes over the zones that the configuration names, in order. What the hand-written ones let
    /// through for everyone is what must resolve (guard G3).
    pub fn set_named_zones(&mut self, zones: Vec<NamedZone>) {
        self.named_zones.set(zones);
        self.standings.critical = self.named_zones.critical();
    }

    /// Takes over the version of a zone that another publisher makes, or takes it out of force.
    /// Whether generated zones depend on it.
    pub fn set_version(&mut self, name: Name, version: Option<Zone>) -> bool {
        self.named_zones.set_version(name, version)
    }

    /// Takes over what guards look into. The critical names stay those of the file zones.
    pub fn set_standings(&mut self, standings: Standings) {
        let critical = self.standings.critical.clone();
        self.standings = Standings { critical, ..standings };
    }

    /// The sources with their claims.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The model in force.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Takes over a model. A list that it knows by name and the one that ships does not has a place
    /// of its own in it from now on.
    pub fn set_model(&mut self, model: Model) {
        let model = with_thresholds(model, &self.policy.thresholds);
        let (sources, shipped) = (std::mem::take(&mut self.sources), Model::shipped());
        self.sources =
            sources.into_iter().map(|s| sources::own_place(s, &model, &shipped)).collect();
        self.model = Arc::new(model);
    }

    /// Takes over the list of sources, and with it all claims.
    pub fn set_sources(&mut self, sources: Vec<Source>) {
        self.sources = sources;
    }

    /// Takes over what one source claims now. False where there is no such source.
    pub fn set_claims(&mut self, source: &SourceId, claims: crate::evidence::Claims) -> bool {
        match self.sources.iter_mut().find(|s| s.profile.id == *source) {
            Some(held) => {
                held.claims = claims;
                true
            }
            None => false,
        }
    }

    /// Takes over zones and decisions of an earlier run. The zones of the policy's lists are made
    /// anew; those of the earlier run tell which of them have changed.
    pub fn restore(
        &mut self,
        generated: Vec<(Origin, Zone)>,
        local: Vec<Zone>,
        verdicts: Verdicts,
        tally: Tally,
    ) {
        (self.generated, self.local) = (generated, local);
        (self.verdicts, self.tally) = (verdicts, tally);
    }

    /// The zones of the policy's own lists.
    pub fn local(&self) -> &[Zone] {
        &self.local
    }

    /// Replaces a generated zone by an equal one that lies elsewhere, such as in a mapped file.
    pub fn relocate(&mut self, origin: &Origin, zone: Zone) {
        if let Some(held) = self.generated.iter_mut().find(|(o, _)| o == origin) {
            held.1 = zone;
        }
    }

    /// Replaces the decisions by equal ones that lie elsewhere.
    pub fn relocate_verdicts(&mut self, verdicts: Verdicts) {
        self.verdicts = verdicts;
    }

    /// The generated zones in force.
    pub fn generated(&self) -> &[(Origin, Zone)] {
        &self.generated
    }

    /// The decisions in force.
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    /// What the last rebuild made.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The state published last.
    pub fn published(&self) -> Option<&Arc<Published>> {
        self.published.as_ref()
    }

    /// Judges all evidence anew and puts the zones in force: [`Self::case`], [`Case::judge`],
    /// [`Self::accept`] and [`Self::assemble`] in one.
    pub fn rebuild(&mut self, now: Timestamp) -> Result<Arc<Published>, SnapshotError> {
        self.accept(self.case(now).judge());
        self.assemble(now)
    }

    /// What is to be judged now.
    pub fn case(&self, now: Timestamp) -> Case {
        Case {
            model: self.model.clone(),
            policy: self.policy.clone(),
            sources: self.sources.clone(),
            standings: self.standings.clone(),
            allowed: self.allowed(now),
            verdicts: self.verdicts.clone(),
            network_verdicts: self.network_verdicts.clone(),
            generated: self.generated.clone(),
            suffix: self.suffix.clone(),
            hash_seed: self.hash_seed,
            now,
        }
    }

    /// Takes over zones and decisions. One case is judged at a time: serials count on from the
    /// zones that it began with.
    pub fn accept(&mut self, judgement: Judgement) {
        self.tally = judgement.tally;
        self.verdicts = judgement.verdicts;
        self.network_verdicts = judgement.network_verdicts;
        self.generated = judgement.generated;
    }

    /// Puts the policy's own zones in force, made anew, before the generated ones as they are.
    pub fn assemble(&mut self, now: Timestamp) -> Result<Arc<Published>, SnapshotError> {
        let soa = Soa::ours(Serial::default());
        let local =
            compile::local_zones(&self.policy, now, &soa, self.suffix.as_ref(), self.hash_seed);
        let LocalZones { zones: local, next_expiry } = local;
        let published = self.published.take();
        let mut zones: Vec<PolicyZone> = self.named_zones.of(Order::First).collect();
        let local: Vec<PolicyZone> =
            local.into_iter().map(|zone| settled_local(zone, &self.local, now)).collect();
        self.local = local.iter().map(|zone| zone.zone.clone()).collect();
        zones.extend(local);
        zones.extend(self.named_zones.of(Order::BeforeGenerated));
        zones.extend(self.generated.iter().filter_map(|(origin, zone)| self.applied(origin, zone)));
        zones.extend(self.named_zones.of(Order::Last));
        let id = published.as_ref().map_or(u64::from(now.0) << 16, |p| p.snapshot.id() + 1);
        let clients = self.policy.clients.prefixes();
        let previous = published.as_ref().map(|p| &*p.snapshot);
        let snapshot = Snapshot::new(id, self.hash_seed, zones, clients, previous);
        let snapshot = match snapshot {
            Ok(snapshot) => {
                let (observing, off) = (self.groups_in(Mode::Observe), self.groups_in(Mode::Off));
                Arc::new(snapshot.with_group_modes(observing, off))
            }
            Err(error) => {
                self.published = published;
                return Err(error);
            }
        };
        let state = Arc::new(Published {
            snapshot,
            made_at: now,
            next_expiry,
            model: self.model.clone(),
            policy: self.policy.clone(),
            sources: self.sources.clone(),
            standings: self.standings.clone(),
            verdicts: self.verdicts.clone(),
            network_verdicts: self.network_verdicts.clone(),
            tally: self.tally.clone(),
        });
        self.published = Some(state.clone());
        Ok(state)
    }

    /// A generated zone with the options that the policy gives it; none where it is switched off.
    fn applied(&self, origin: &Origin, zone: &Zone) -> Option<PolicyZone> {
        let policy = &self.policy;
        let options = match origin {
            Origin::Threat => policy.threat_options(),
            Origin::Predicted => policy.predicted_options()?,
            Origin::Operator => policy.operator_options(),
            Origin::OperatorObserved => {
                let options = policy.operator_options();
                crate::zone::ZoneOptions { mode: options.mode.min(Mode::Observe), ..options }
            }
            Origin::Category(name) => policy.category_options(policy.category(name)?)?,
        };
        Some(PolicyZone { zone: zone.clone(), options })
    }

    fn groups_in(&self, mode: Mode) -> GroupSet {
        let groups = self.policy.groups.iter().enumerate().filter(|(_, group)| group.mode == mode);
        groups.fold(GroupSet::NONE, |set, (at, _)| set.union(GroupSet::of(at)))
    }

    /// What everyone may reach, by the policy's allow list and the zones before generated ones.
    fn allowed(&self, now: Timestamp) -> Allowed {
        let before = [Order::First, Order::BeforeGenerated];
        let before = before.into_iter().flat_map(|order| self.named_zones.of(order));
        let allowed = Allowed::of(&self.policy, now);
        before.fold(allowed, |allowed, zone| allowed.and_zone(&zone))
    }
}

/// The model with the thresholds that the policy sets.
fn with_thresholds(model: Model, thresholds: &Thresholds) -> Model {
    let step = |t: &Threshold| Step { on: t.on_mban, off: t.off_mban };
    model.with_thresholds(
        step(&thresholds.monitor),
        step(&thresholds.redirect),
        step(&thresholds.block),
    )
}

fn settled_local(made: PolicyZone, held: &[Zone], now: Timestamp) -> PolicyZone {
    let before = held.iter().find(|zone| zone.origin() == made.zone.origin());
    let zone = match before {
        Some(before) if before.same_rules(&made.zone) => before.clone(),
        before => with_next_serial(made.zone, before.map(|zone| zone.soa().serial), now),
    };
    PolicyZone { zone, ..made }
}

fn with_next_serial(zone: Zone, before: Option<Serial>, now: Timestamp) -> Zone {
    let soa = Soa { serial: before.unwrap_or_default().next(now), ..zone.soa().clone() };
    zone.with_soa(soa)
}
