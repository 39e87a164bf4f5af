//! Rules as records.

use super::{OwnedRecord, Record, action, rdata, write_owner};
use crate::model::{Action, Name, NameRef, RrSet, Rule};
use crate::zone::{Effect, TriggerRef};

/// Why a rule cannot be written as records. Such a rule works in our own resolver and is left out
/// of what others get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// Owner, wildcard and the zone's own name together are too long (RFC 1035 section 2.3.4).
    /// Resolvers refuse the whole zone over one such owner.
    #[error("the owner has {octets} octets with the zone's name, and 255 are the most")]
    OwnerTooLong {
        /// Length on the wire.
        octets: usize,
    },
    /// A rule for the root itself would stand at the zone's own name.
    #[error("a rule for the root itself has no owner name")]
    RootName,
    /// All addresses of a family; prefix lengths start at 1 (section 4.1.1).
    #[error("a prefix of length 0 has no owner name")]
    WholeFamily,
    /// The owner name would stand for another trigger.
    #[error("the owner would read as another trigger")]
    AnotherTrigger,
    /// The target of an alias would stand for another action.
    #[error("the target would read as another action")]
    AnotherAction,
    /// An alias for the trigger's own name, which once meant PASSTHRU (section 10).
    #[error("an alias for the trigger's own name reads as PASSTHRU")]
    OwnTarget,
    /// A wildcard target is too long with its `*`.
    #[error("the target is longer than 255 octets")]
    TargetTooLong,
    /// A type that local data cannot have.
    #[error("{} records are no local data", rdata::type_name(*.0))]
    DataType(u16),
    /// Local data without records, or not in order.
    #[error("local data that is empty or not in order")]
    DataOrder,
    /// Record data that its type does not have, or not in the form that [`rdata::read`] gives.
    #[error("malformed {} record data", rdata::type_name(*.0))]
    MalformedData(u16),
    /// More records of one type than resolvers take.
    #[error("more than {} {} records", action::SET_RECORDS_MAX, rdata::type_name(*.0))]
    TooManyRecords(u16),
}

/// Turns one rule after the other into records.
pub struct Encoder<'z> {
    origin: NameRef<'z>,
    owner: Vec<u8>,
    cname: Vec<u8>,
    ttl: u32,
    sets: &'z [RrSet],
}

impl<'z> Encoder<'z> {
    /// For the zone named `origin`.
    pub fn new(origin: NameRef<'z>) -> Self {
        Self { origin, owner: Vec::new(), cname: Vec::new(), ttl: 0, sets: &[] }
    }

    /// Takes a rule in place of the one before. Where it cannot be written there are no records.
    pub fn take(&mut self, trigger: TriggerRef<'_>, effect: &'z Effect) -> Result<(), Unwritable> {
        self.cname.clear();
        self.sets = &[];
        self.ttl = effect.ttl;
        write_owner(trigger, self.origin, &mut self.owner)?;
        if let Action::Data(sets) = &effect.action {
            action::check_data(sets)?;
            self.sets = sets;
            return Ok(());
        }
        if let Action::Redirect(target) = &effect.action
            && own_target(self.owner(), self.origin, trigger, target)
        {
            return Err(Unwritable::OwnTarget);
        }
        let written = action::write_cname(&effect.action, &mut self.cname);
        if written.is_err() {
            self.cname.clear();
        }
        written.map(|_| ())
    }

    /// The owner of the rule's records, the zone's name included.
    pub fn owner(&self) -> NameRef<'_> {
        NameRef::from_key(&self.owner)
    }

    /// The rule's records: one CNAME, or local data in order of types.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let owner = self.owner();
        let cname = (!self.cname.is_empty()).then_some(Record {
            owner,
            rtype: rdata::CNAME,
            ttl: self.ttl,
            rdata: &self.cname,
        });
        let data = self.sets.iter().flat_map(move |set| {
            let record = move |rdata| Record { owner, rtype: set.rtype, ttl: set.ttl, rdata };
            set.rdata.iter().map(move |rdata| record(rdata))
        });
        cname.into_iter().chain(data)
    }
}

/// Whether an alias leads to the name that its owner spells out: the query name or nameserver
/// name, or the labels of an address (section 10). A wildcard spells out no name.
pub(super) fn own_target(
    owner: NameRef<'_>,
    origin: NameRef<'_>,
    trigger: TriggerRef<'_>,
    target: &Name,
) -> bool {
    let label = super::KIND_LABELS.iter().find(|(kind, _)| *kind == trigger.kind());
    let label = label.map_or(0, |(_, label)| label.len());
    owner.key().get(origin.key().len() + label..) == Some(target.as_ref().key())
}

/// The records of one rule in the zone named `origin`.
pub fn records_of(rule: &Rule, origin: NameRef<'_>) -> Result<Vec<OwnedRecord>, Unwritable> {
    let effect = Effect { action: rule.action.clone(), ttl: rule.ttl };
    let mut encoder = Encoder::new(origin);
    encoder.take(TriggerRef::from(&rule.trigger), &effect)?;
    Ok(encoder.records().map(Record::to_owned).collect())
}
