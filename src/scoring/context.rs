//! The context channel (SCORING 2.6): how old, how popular, how well known here, and what the name
//! itself predicts.

use super::Model;
use super::chain::{Chains, Coupling, Item};
use super::facts::Facts;
use super::part::{Label, Part, Sink};

/// Coupling of any two facts of context, in permille.
const PERMILLE: u32 = 500;

/// A name that is new to the registry is new to resolvers: age and first observation.
const AGE_NOD_PERMILLE: u32 = 800;

/// What the channel says in sum, and the prediction as far as it may speak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub mban: i32,
    pub prediction: i32,
}

/// The facts of context in the order of their ids, which breaks ties.
const LABELS: [Label; 5] =
    [Label::Age, Label::LocalHistory, Label::Nod, Label::Popularity, Label::Prediction];
const AGE: u16 = 0;
const LOCAL_HISTORY: u16 = 1;
const NOD: u16 = 2;
const POPULARITY: u16 = 3;
const PREDICTION: u16 = 4;

/// Scores the channel as it will be `later_h` hours from now.
pub(super) fn score(model: &Model, facts: &Facts, later_h: u32, sink: &mut impl Sink) -> Context {
    let mut chains = Chains::default();
    let mut add = |rank: u16, mban: i32| chains.add(0, rank, rank, mban);
    if let Some(days) = facts.age_days {
        add(AGE, model.age_days.below(days.saturating_add(later_h / 24)));
    }
    if let Some(hours) = facts.nod_hours {
        add(NOD, model.nod_hours.below(hours.saturating_add(later_h)));
    }
    if let Some(rank) = facts.rank30 {
        add(POPULARITY, model.rank30.below(rank));
    }
    if facts.local_history {
        add(LOCAL_HISTORY, model.local_history);
    }
    // A harmless look is cheap to have, so a prediction never speaks for a name.
    let prediction = facts.prediction.unwrap_or(0).clamp(0, model.prediction.max);
    add(PREDICTION, prediction);

    chains.run(&ContextCoupling);
    let mut mban = 0;
    for item in chains.positive.iter().chain(&chains.negative) {
        mban += item.contribution();
        sink.part(Part::of_item(LABELS[usize::from(item.tag())], item));
    }
    Context { mban, prediction }
}

struct ContextCoupling;

impl Coupling for ContextCoupling {
    fn permille(&self, one: &Item, other: &Item) -> u32 {
        match (one.tag(), other.tag()) {
            (AGE, NOD) | (NOD, AGE) => AGE_NOD_PERMILLE,
            _ => PERMILLE,
        }
    }

    fn copies(&self, _: &Item, _: &Item) -> bool {
        false
    }
}
