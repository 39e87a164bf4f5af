//! What is blocked for everyone, gathered from the zones that leave.

use std::io;

use crate::model::{Action, GroupSet, Indicator, NameRef, Network, TriggerKind};
use crate::pipeline::Published;
use crate::publish::leaving::Outgoing;
use crate::scoring::HOSTED_DOMAINS_SHARED;
use crate::zone::{Effect, PolicyZone, Zone};

/// A name that is blocked.
#[derive(Debug, Clone, Copy)]
pub struct BlockedName<'z> {
    /// The name.
    pub name: NameRef<'z>,
    /// Whether the name itself is.
    pub itself: bool,
    /// Whether the names below it are.
    pub below: bool,
    /// Whether some name below it is let through.
    pub has_exception: bool,
    /// What happens to it.
    pub action: &'z Action,
    /// The zone that says so.
    pub zone: &'z PolicyZone,
}

/// What is blocked for everyone in one state.
#[derive(Clone, Copy)]
pub struct Blocked<'s> {
    /// The state.
    pub state: &'s Published,
    /// Its zones that leave, in order of precedence.
    pub zones: &'s [Outgoing],
}

impl<'s> Blocked<'s> {
    /// The zones that hold for everyone.
    fn for_everyone(self) -> impl Iterator<Item = &'s Outgoing> {
        self.zones.iter().filter(|zone| zone.here.options.groups == GroupSet::NONE)
    }

    /// Whether an effect keeps clients from what they asked for. Local data of the operator's own
    /// names is an answer like others; that of the walled garden is none.
    fn blocks(self, effect: &Effect) -> bool {
        match &effect.action {
            Action::NxDomain
            | Action::NoData
            | Action::Drop
            | Action::Redirect(_)
            | Action::RedirectBelow(_) => true,
            Action::Data(_) => effect.action == self.state.policy.redirect_action(),
            Action::Passthru | Action::TcpOnly => false,
        }
    }

    /// Gives every blocked name once, zone after zone and within a zone in order.
    pub fn each_name(
        self,
        mut give: impl FnMut(BlockedName<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        for (at, zone) in self.for_everyone().enumerate() {
            let made = &zone.made;
            let exceptions = exceptions(made);
            let mut cursor = made.query_names().iter();
            while let Some((name, payload)) = cursor.next() {
                let effects = made.effects_of(payload);
                let itself = effects.exact.filter(|effect| self.blocks(effect));
                let below = effects.below.filter(|effect| self.blocks(effect));
                let Some(effect) = itself.or(below) else { continue };
                if self.for_everyone().take(at).any(|earlier| self.says_so(earlier, name)) {
                    continue;
                }
                let found = exceptions.partition_point(|held| &held[..] < name.key());
                let under =
                    |held: &Vec<u8>| held.len() > name.key().len() && held.starts_with(name.key());
                let mut under_it = exceptions[found..].iter().take(2);
                give(BlockedName {
                    name,
                    itself: itself.is_some(),
                    below: below.is_some(),
                    has_exception: under_it.any(under),
                    action: &effect.action,
                    zone: &zone.here,
                })?;
            }
        }
        Ok(())
    }

    /// Whether an earlier zone blocks the name by a rule of its own.
    fn says_so(self, earlier: &Outgoing, name: NameRef<'_>) -> bool {
        // The zone in force has a table to look names up by; what leaves has the same rules, but
        // for those under exceptions, and then this zone is under them too.
        let effects = earlier.here.zone.at_name(TriggerKind::QueryName, name);
        let both = effects.map(|effects| [effects.exact, effects.below]);
        both.is_some_and(|both| both.iter().all(|e| e.is_some_and(|e| self.blocks(e))))
    }

    /// The networks whose addresses are blocked in answers, past guard G4 (what many or popular
    /// names share is nobody's to block at a firewall), sorted, none inside another.
    pub fn networks(self) -> Vec<Network> {
        let mut passed: Vec<Network> = Vec::new();
        let mut blocked: Vec<Network> = Vec::new();
        for zone in self.for_everyone() {
            for (network, number) in zone.made.networks(TriggerKind::AnswerAddress) {
                let Some(effect) = zone.made.effects().get(*number as usize) else { continue };
                match effect.action {
                    Action::Passthru => passed.push(*network),
                    _ if self.blocks(effect) && !self.is_shared(*network) => blocked.push(*network),
                    _ => {}
                }
            }
        }
        let meets = |a: &Network, b: &Network| a.covers(*b) || b.covers(*a);
        blocked.retain(|network| !passed.iter().any(|passed| meets(passed, network)));
        blocked.sort();
        blocked.dedup_by(|inner, outer| outer.covers(*inner));
        blocked
    }

    /// Guard G4: so many or such popular names live there that others would suffer; and addresses
    /// of special use.
    fn is_shared(self, network: Network) -> bool {
        let standings = &self.state.standings;
        let hosting = standings.neighbourhood.hosting.as_ref();
        let hosted = hosting.and_then(|hosting| hosting.hosted(&Indicator::Network(network)));
        standings.special_use.is_network(network)
            || hosted.is_some_and(|h| h.domains >= HOSTED_DOMAINS_SHARED || h.popular > 0)
    }
}

/// The names that a zone lets through, in order.
fn exceptions(zone: &Zone) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let passes = |effect: Option<&Effect>| effect.is_some_and(|e| e.action == Action::Passthru);
    if zone.effects().iter().any(|effect| passes(Some(effect))) {
        let mut cursor = zone.query_names().iter();
        while let Some((name, payload)) = cursor.next() {
            let effects = zone.effects_of(payload);
            if passes(effects.exact) || passes(effects.below) {
                names.push(name.key().to_vec());
            }
        }
    }
    names
}
