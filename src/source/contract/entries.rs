//! The rules of SCORING 4.4 that look at single entries: R3 holds removals back, R4 to R8 put
//! additions aside or drop them.
//!
//! What is put aside weighs nothing and blocks nothing until its time is over, and then only if it
//! no longer breaks R5. Lists that fill a category of content name popular names by design, so R5
//! does not speak of them; what the operator answers for may name whole top-level domains, so R6
//! does not speak of it; and a file on the operator's own disk is changed by nobody else, so none
//! of these rules do.

mod effects;

use std::fmt;

use self::effects::Effects;
use super::History;
use crate::evidence::{Claimed, Claims, NameClaim};
use crate::model::{Name, NameRef, Network, Scope, SourceId, Timestamp, Trust};
use crate::pipeline::{Published, Standings};
use crate::zone::Mode;

/// How long additions are put aside (R4).
pub const QUARANTINE_SECONDS: u32 = 24 * 3600;
/// How far apart two fetches must agree that entries are gone (R3).
const AGREEMENT_SECONDS: u32 = 6 * 3600;
/// So many additions are never a flood by themselves (R4).
const ADDITIONS_FREE: u64 = 200;
/// A domain of this rank is popular (R5).
const RANK_POPULAR: u32 = 10_000;
/// A domain of this rank is never taken from a list that blocks (R5).
const RANK_TOP: u32 = 1_000;
/// The widest prefixes that are taken, IPv4 and IPv6 (R6).
const PREFIX_LENGTH_MIN: (u8, u8) = (16, 32);
/// Sources that repeat this share of each other do not vouch for each other (R4).
const INDEPENDENT_PERMILLE_MAX: u32 = 700;
/// Names shown as examples of a breach.
const EXAMPLES_MAX: usize = 3;

/// A rule of SCORING 4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The list has shrunk by half.
    Shrunk,
    /// It has grown beyond what it usually does.
    Grown,
    /// It names popular domains.
    Popular,
    /// It names what no list may name.
    Forbidden,
    /// It would change too much of what people ask.
    Traffic,
    /// Too much would hang on it alone.
    Pivotal,
}

impl Rule {
    /// Its name in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shrunk => "R3",
            Self::Grown => "R4",
            Self::Popular => "R5",
            Self::Forbidden => "R6",
            Self::Traffic => "R7",
            Self::Pivotal => "R8",
        }
    }
}

/// A rule that a snapshot broke, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: Rule,
    /// What was found and what comes of it.
    pub text: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.rule.as_str())
    }
}

/// A snapshot that R1 and R2 let pass, with what is known of the source.
pub struct Incoming<'i> {
    /// The source.
    pub id: &'i SourceId,
    /// How far its word is taken.
    pub trust: &'i Trust,
    /// It is a file on the operator's own disk.
    pub own_file: bool,
    /// All that it names now.
    pub claims: Claims,
    /// What is in force of it.
    pub before: &'i Claims,
    /// What is put aside of it, and until when.
    pub held: &'i Claims,
    /// See `held`.
    pub held_until: Option<Timestamp>,
    /// The snapshots accepted before.
    pub history: &'i History,
    /// When it was first seen to have shrunk by half.
    pub shrunk_since: Option<Timestamp>,
    /// Verdicts of the last 24 hours that hang on it alone.
    pub pivotal_today: u64,
    /// The time.
    pub now: Timestamp,
}

/// What comes of a snapshot.
#[derive(Debug)]
pub struct Admission {
    /// What is in force from now on.
    pub claims: Claims,
    /// What is put aside.
    pub held: Claims,
    /// Until when.
    pub held_until: Option<Timestamp>,
    /// Since when removals wait for a second fetch.
    pub shrunk_since: Option<Timestamp>,
    /// How many indicators came new.
    pub additions: u64,
    /// The rules it broke.
    pub breaches: Vec<Breach>,
    /// New verdicts that hang on it alone.
    pub pivotal: u64,
    /// What was put aside came into force, so that the size is the usual one from now on.
    pub released: bool,
}

/// Judges a snapshot, given the state in force where there is one.
pub fn judge(incoming: Incoming<'_>, published: Option<&Published>) -> Admission {
    let bound = incoming.history.is_long() && !incoming.own_file;
    let standings = published.map(|state| &state.standings);
    let mut breaches = Vec::new();
    let (claims, forbidden) = drop_forbidden(&incoming, standings, &mut breaches);

    let (mut in_force, mut in_held) = (incoming.before.members(), incoming.held.members());
    let (known, fresh) = claims.partition(|claimed| in_force.has(claimed));
    let (waiting, additions) = fresh.partition(|claimed| in_held.has(claimed));
    let added = additions.len() as u64;

    let popular = popular_among(&incoming, &additions.union(&waiting), standings, &mut breaches);
    let grown = bound && grown(&incoming, claims.len() as u64, added, &mut breaches);
    let mut effects = Effects::of(&incoming, published).filter(|_| bound);
    let all_new = additions.union(&waiting);
    let traffic = effects.as_mut().is_some_and(|e| e.change_too_much(&all_new, &mut breaches));
    let quarantine = bound && (popular.too_many || forbidden) || grown || traffic;
    let over = incoming.held_until.is_none_or(|until| until <= incoming.now);
    let stays = !waiting.is_empty() && (!over || popular.too_many || traffic);

    let only_grown = grown && !popular.too_many && !forbidden && !traffic;
    let mut vouchers = Vouchers::of(incoming.id, published);
    let (new_in, new_aside) = match quarantine {
        true => additions.partition(|claimed| only_grown && vouchers.vouch(claimed)),
        false => (additions, Claims::none()),
    };
    let (old_in, old_aside) = match stays {
        true => (Claims::none(), waiting),
        false => (waiting, Claims::none()),
    };
    let (new_in, excess, pivotal) = match &mut effects {
        Some(effects) => effects.within_a_day(&incoming, new_in, &mut breaches),
        None => (new_in, Claims::none(), 0),
    };
    let new_aside = new_aside.union(&excess);
    let released = !old_in.is_empty();
    let held = without(&new_aside.union(&old_aside), &popular.top);
    let taken = without(&new_in.union(&old_in), &popular.top);
    let held_until = match (new_aside.is_empty() && !(stays && over), held.is_empty()) {
        (_, true) => None,
        (true, false) => incoming.held_until,
        (false, false) => Some(incoming.now.plus_seconds(QUARANTINE_SECONDS)),
    };

    let current = known.union(&taken);
    let (claims, shrunk_since) = match bound {
        true => keep_removals(&incoming, current, claims.len() as u64, &mut breaches),
        false => (current, None),
    };
    Admission {
        claims,
        held,
        held_until,
        shrunk_since,
        additions: added,
        breaches,
        pivotal,
        released,
    }
}

/// R6: what no list may name is dropped; where it is more than a hundredth, additions wait.
fn drop_forbidden(
    incoming: &Incoming<'_>,
    standings: Option<&Standings>,
    breaches: &mut Vec<Breach>,
) -> (Claims, bool) {
    let exempt = *incoming.trust == Trust::Operator || incoming.own_file;
    let Some(standings) = standings.filter(|_| !exempt) else {
        return (incoming.claims.clone(), false);
    };
    let mut examples = Vec::new();
    let (forbidden, sound) = incoming.claims.partition(|claimed| {
        let forbidden = is_forbidden(standings, claimed);
        if forbidden && examples.len() < EXAMPLES_MAX {
            examples.push(shown(claimed));
        }
        forbidden
    });
    let (dropped, all) = (forbidden.len(), incoming.claims.len());
    let too_many = dropped * 100 > all;
    if dropped > 0 {
        let rest = if too_many { ", and what is new waits 24 hours" } else { "" };
        let text = format!(
            "{dropped} of {all} entries are such as no list may name, among them {}: dropped{rest}",
            examples.join(", ")
        );
        breaches.push(Breach { rule: Rule::Forbidden, text });
    }
    (sound, too_many)
}

fn is_forbidden(standings: &Standings, claimed: Claimed<'_>) -> bool {
    match claimed {
        // An exception takes away; a URL says nothing of a shared host anyway (SCORING 2.9).
        Claimed::Name(_, claim) if claim.exception || claim.claim.scope == Scope::Url => false,
        Claimed::Name(name, _) => {
            let standing = standings.of(name);
            standing.public_suffix || standing.critical || name.label_count() < 2
        }
        Claimed::Network(network, _) => {
            is_too_wide(network) || standings.special_use.is_network(network)
        }
        Claimed::System(..) => false,
    }
}

fn is_too_wide(network: Network) -> bool {
    let (v4, v6) = PREFIX_LENGTH_MIN;
    network.length() < if network.address().is_ipv4() { v4 } else { v6 }
}

/// R5: popular domains among what is new.
struct Popular {
    /// More than two, and more than a thousandth.
    too_many: bool,
    /// Those of the first thousand, which are never taken.
    top: Claims,
}

/// Only entries whose rule would be the registrable domain count (SCORING 2.11 e).
fn popular_among(
    incoming: &Incoming<'_>,
    new: &Claims,
    standings: Option<&Standings>,
    breaches: &mut Vec<Breach>,
) -> Popular {
    let none = Popular { too_many: false, top: Claims::none() };
    let exempt = matches!(incoming.trust, Trust::Category(_)) || incoming.own_file;
    let Some(standings) = standings.filter(|_| !exempt && incoming.history.is_long()) else {
        return none;
    };
    let rank = |claimed: Claimed<'_>| match claimed {
        Claimed::Name(name, claim) => rank_of_rule(standings, name, claim),
        _ => None,
    };
    let mut examples = Vec::new();
    let (popular, _) = new.partition(|claimed| {
        let popular = rank(claimed).is_some_and(|rank| rank <= RANK_POPULAR);
        if popular && examples.len() < EXAMPLES_MAX {
            examples.push(shown(claimed));
        }
        popular
    });
    let (top, _) = popular.partition(|claimed| rank(claimed).is_some_and(|r| r <= RANK_TOP));
    let too_many = popular.len() > 2.max(new.len() / 1000);
    if too_many || !top.is_empty() {
        let what = match too_many {
            true => "all that is new waits until it no longer does",
            false => "those are dropped",
        };
        let text = format!(
            "it newly names {} popular domains, {} of the first thousand, among them {}: {what}",
            popular.len(),
            top.len(),
            examples.join(", ")
        );
        breaches.push(Breach { rule: Rule::Popular, text });
    }
    Popular { too_many, top }
}

fn rank_of_rule(standings: &Standings, name: NameRef<'_>, claim: NameClaim) -> Option<u32> {
    if claim.exception || claim.claim.scope == Scope::Url {
        return None;
    }
    let standing = standings.of(name);
    let is_www = || name.below(standing.registrable).is_some_and(|rest| rest.key() == b"www\0");
    (name == standing.registrable || is_www()).then_some(standing.rank).flatten()
}

/// R4: more than twice the usual size, or more additions than ever come at once.
fn grown(incoming: &Incoming<'_>, size: u64, added: u64, breaches: &mut Vec<Breach>) -> bool {
    let history = incoming.history;
    let Some(usual_doubled) = history.usual_doubled() else { return false };
    let size = size.saturating_sub(incoming.held.len() as u64);
    let swollen = size > usual_doubled;
    let (usual, spread) = history.usual_additions();
    // max(MAD, 0.05 ñ); the doubled median over forty is a twentieth of it.
    let allowed = usual.saturating_add(spread.max(usual_doubled / 40).saturating_mul(8));
    let flood = added > allowed && added > ADDITIONS_FREE;
    let grown = added > 0 && (swollen || flood);
    if grown {
        let text = format!(
            "{added} new entries at once, {size} in all where {} are usual: what no other source \
             names waits 24 hours",
            usual_doubled / 2
        );
        breaches.push(Breach { rule: Rule::Grown, text });
    }
    grown
}

/// R3: what is gone stays until a second fetch, six hours later, still does not have it.
fn keep_removals(
    incoming: &Incoming<'_>,
    current: Claims,
    size: u64,
    breaches: &mut Vec<Breach>,
) -> (Claims, Option<Timestamp>) {
    let usual_doubled = incoming.history.usual_doubled().unwrap_or(0);
    if size.saturating_mul(4) >= usual_doubled {
        return (current, None);
    }
    let since = incoming.shrunk_since.unwrap_or(incoming.now);
    if since.age_seconds(incoming.now) >= AGREEMENT_SECONDS {
        return (current, None);
    }
    let text = format!(
        "{size} entries where {} are usual: what is gone stays until a fetch six hours later agrees",
        usual_doubled / 2
    );
    breaches.push(Breach { rule: Rule::Shrunk, text });
    (current.union(incoming.before), Some(since))
}

fn without(claims: &Claims, others: &Claims) -> Claims {
    if others.is_empty() {
        return claims.clone();
    }
    let mut members = others.members();
    claims.partition(|claimed| members.has(claimed)).1
}

fn shown(claimed: Claimed<'_>) -> String {
    match claimed {
        Claimed::Name(name, _) => Name::to_string(&name.to_owned()),
        Claimed::Network(network, _) => network.to_string(),
        Claimed::System(number, _) => format!("AS{number}"),
    }
}

/// Sources that are independent of one, to vouch for what it newly names.
struct Vouchers<'p>(Vec<crate::evidence::sets::Members<'p>>);

impl<'p> Vouchers<'p> {
    fn of(id: &SourceId, published: Option<&'p Published>) -> Self {
        let Some(state) = published else { return Self(Vec::new()) };
        let index = |weighs_as: &str| state.model.source_index(weighs_as);
        let own = state.sources.iter().find(|source| source.profile.id == *id);
        let own = own.and_then(|source| index(&source.profile.weighs_as));
        let independent = |source: &&crate::pipeline::Source| {
            let profile = &source.profile;
            let other = index(&profile.weighs_as);
            profile.id != *id
                && profile.trust == Trust::Scored
                && profile.mode == Mode::Enforce
                && own.zip(other).is_some_and(|(own, other)| {
                    state.model.coupling_permille(own, other) < INDEPENDENT_PERMILLE_MAX
                })
        };
        let others = state.sources.iter().filter(independent);
        Self(others.map(|source| source.claims.members()).collect())
    }

    /// Claims are asked in order and every walk keeps step, so all are asked once one has it.
    fn vouch(&mut self, claimed: Claimed<'_>) -> bool {
        let mut found = false;
        for members in &mut self.0 {
            found |= members.has(claimed);
        }
        found
    }
}

#[cfg(test)]
mod tests;
