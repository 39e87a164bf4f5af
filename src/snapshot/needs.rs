//! What an evaluation will look at in the answer, so that nothing else is gathered.

use super::evaluate::Evaluation;
use crate::model::TriggerKind;

/// Whether policy needs something about the servers on the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// No rule looks at it.
    No,
    /// Rules look at what is known; nobody waits for more.
    IfKnown,
    /// The answer waits until it is known.
    Wait,
}

/// What [`Evaluation::finish`] will look at, so that nothing else is gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Whether addresses in the answer matter.
    pub answer_addresses: bool,
    /// The names of servers.
    pub nameserver_names: Need,
    /// The addresses of servers.
    pub nameserver_addresses: Need,
    /// Servers of zone cuts of at most this many labels are not looked at: 0 is the root, 1 its
    /// children (`min-ns-dots` of the least demanding zone).
    pub zone_labels_ignored: u8,
}

impl Evaluation<'_> {
    /// What of the answer [`Evaluation::finish`] will look at.
    pub fn needs(&self) -> Needs {
        // A rule of a later zone cannot be preferred to a settled one, nor a later kind of its own.
        let zones = match self.settled {
            Some(position) => self.applying.before(position),
            None => self.applying,
        };
        let having = |kind: TriggerKind| zones.and(self.snapshot.having[kind as usize]);
        let options = |position: usize| &self.snapshot.zones[position].policy.options;
        // Nobody waits for the sake of a zone that only observes.
        let acting = |position: &usize| self.acting.has(*position);
        let need = |kind, waits: &dyn Fn(usize) -> bool| match having(kind) {
            none if none.is_empty() => Need::No,
            some if some.positions().filter(acting).any(waits) => Need::Wait,
            _ => Need::IfKnown,
        };
        let servers =
            having(TriggerKind::NameserverName).or(having(TriggerKind::NameserverAddress));
        Needs {
            answer_addresses: !having(TriggerKind::AnswerAddress).is_empty(),
            nameserver_names: need(TriggerKind::NameserverName, &|position| {
                options(position).nsdname_wait_recurse
            }),
            nameserver_addresses: need(TriggerKind::NameserverAddress, &|position| {
                options(position).nsip_wait_recurse
            }),
            zone_labels_ignored: servers
                .positions()
                .map(|position| options(position).min_ns_dots)
                .min()
                .unwrap_or(u8::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::super::sample::{name, query, snapshot, zone, zone_with};
    use super::*;
    use crate::model::Action;
    use crate::zone::ZoneOptions;

    #[test]
    fn only_what_rules_look_at_is_needed() {
        let eager = ZoneOptions { nsip_wait_recurse: false, min_ns_dots: 2, ..ZoneOptions::ours() };
        let snapshot = snapshot(vec![
            zone_with(eager, &[("nsip 192.0.2.1", Action::NxDomain)]),
            zone(&[("qname www.bad.test", Action::NxDomain), ("nsdname ns.x", Action::NoData)]),
        ]);
        let needs = |text: &str| match snapshot.begin(&query(&name(text))) {
            Step::Decided { .. } => panic!("decided early"),
            Step::Resolve(evaluation) => evaluation.needs(),
        };
        let (no, if_known, wait) = (Need::No, Need::IfKnown, Need::Wait);
        let expected = |nameserver_names, nameserver_addresses, zone_labels_ignored| Needs {
            answer_addresses: false,
            nameserver_names,
            nameserver_addresses,
            zone_labels_ignored,
        };
        // The rule for the name is settled but for the first zone's servers.
        assert_eq!(needs("www.bad.test"), expected(no, if_known, 2));
        assert_eq!(needs("www.good.test"), expected(wait, if_known, 1));
    }
}
