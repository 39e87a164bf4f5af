//! How often each list is right, by reviews and reports (SCORING 4.2), and without them (4.3).

use super::overlap::KINDS;
use super::{Learnt, Material, Overlaps, PrecisionChange};
use crate::model::{Indicator, Timestamp};
use crate::ports::ledger::Answer;
use crate::scoring::Kind;

/// How many reviews the precision in force counts for.
const PRIOR_REVIEWS: f64 = 10.0;
/// Days after which a review counts half.
const HALF_LIFE_DAYS: f64 = 180.0;
/// A report counts for this part of a review, times the source's share in the score.
const REPORT_WEIGHT: f64 = 0.5;
/// With fewer reviews, trust may only fall.
const REVIEWS_MIN: usize = 10;
/// And no list is trusted more than this, so that none blocks alone.
const UNREVIEWED_MAX_PPM: u32 = 940_000;
/// No review makes a list better than this.
const PRECISION_MAX: f64 = 0.99;
/// What a week may change at most, in millibans of the odds.
const STEP_UP_MBAN: f64 = 150.0;
/// See [`STEP_UP_MBAN`].
const STEP_DOWN_MBAN: f64 = 600.0;
/// An estimate without reviews that lies so much lower asks for a look, in millibans.
const TICKET_MBAN: f64 = 300.0;
/// Less than this is no change worth a review, in ppm.
const CHANGE_PPM_MIN: u32 = 1_000;

/// Reviews and reports of one list.
#[derive(Debug, Default)]
struct Labels {
    right: f64,
    wrong: f64,
    reviews: usize,
    reviews_right: usize,
}

/// Says which precisions are others than the model has.
pub(super) fn precisions(material: &Material<'_>, overlaps: &Overlaps, learnt: &mut Learnt) {
    let anchors = material.popularity.len() as u64;
    for (at, list) in overlaps.lists.iter().enumerate() {
        let Some(index) = material.model.source_index(&list.weighs_as) else { continue };
        let source = material.model.source(index);
        for kind in KINDS {
            let Some(before) = source.precision_ppm(kind) else { continue };
            let labels = Labels::of(material, &list.id, kind);
            let corroborated = overlaps.corroborated_ppm(material.model, at, anchors);
            let (wanted, reason) = match labels.reviews >= REVIEWS_MIN {
                true => {
                    let bound = labels.lower_bound(fraction(before));
                    ticket(&list.id, bound, corroborated, learnt);
                    (bound, labels.reason())
                }
                // What a maintainer answers for waits for reviews.
                false if source.is_tier_a() => continue,
                false => unreviewed(before, corroborated, labels.reviews),
            };
            let after = ppm(stepped(fraction(before), wanted));
            if after.abs_diff(before) >= CHANGE_PPM_MIN {
                learnt.changes.precisions.push(PrecisionChange {
                    source: list.id.clone(),
                    kind,
                    before,
                    after,
                    reason,
                });
            }
        }
    }
}

/// min(0.94, prior, corroborated): without reviews trust only falls.
fn unreviewed(before: u32, corroborated: Option<u32>, reviews: usize) -> (f64, String) {
    let wanted = before.min(UNREVIEWED_MAX_PPM).min(corroborated.unwrap_or(u32::MAX));
    let reason = match corroborated {
        Some(found) if found == wanted => format!(
            "{reviews} reviews; as far as independent lists bear it out it is {} % right",
            percent(found)
        ),
        _ => format!("{reviews} reviews; without {REVIEWS_MIN} no list blocks alone"),
    };
    (fraction(wanted), reason)
}

/// Something independent of reviewers says much less of a list than they do.
fn ticket(id: &str, bound: f64, corroborated: Option<u32>, learnt: &mut Learnt) {
    let Some(found) = corroborated else { return };
    if mban(fraction(found)) < mban(bound) - TICKET_MBAN {
        learnt.notes.push(format!(
            "{id}: reviews say {} % right, but independent lists bear out no more than {} %",
            percent(ppm(bound)),
            percent(found)
        ));
    }
}

impl Labels {
    fn of(material: &Material<'_>, id: &str, kind: Kind) -> Self {
        let mut labels = Self::default();
        let of_kind = |indicator: &str| {
            let parsed = Indicator::parse(indicator).ok();
            parsed.is_some_and(|parsed| matches!(parsed, Indicator::Domain(_)))
                == (kind == Kind::Domain)
        };
        for audit in material.audits.iter().filter(|audit| of_kind(&audit.indicator)) {
            // Only what was drawn at random is a fair sample.
            if audit.drawn.as_ref().is_some_and(|(source, _)| source == id) {
                labels.reviews += usize::from(audit.answer != Answer::Unsure);
                labels.reviews_right += usize::from(audit.answer == Answer::Malicious);
                labels.add(audit.answer, faded(audit.at, material.now));
            }
        }
        for report in material.reports.iter().filter(|report| of_kind(&report.indicator)) {
            if let Some((_, permille)) = report.sources.iter().find(|(source, _)| source == id) {
                let share = f64::from(*permille) / 1000.0;
                labels.add(report.answer, REPORT_WEIGHT * share * faded(report.at, material.now));
            }
        }
        labels
    }

    fn add(&mut self, answer: Answer, weight: f64) {
        match answer {
            Answer::Malicious => self.right += weight,
            Answer::Benign => self.wrong += weight,
            Answer::Unsure => {}
        }
    }

    /// Wilson's lower bound with z = 1.
    fn lower_bound(&self, prior: f64) -> f64 {
        let right = PRIOR_REVIEWS * prior + self.right;
        let all = PRIOR_REVIEWS + self.right + self.wrong;
        let p = right / all;
        let spread = (p * (1.0 - p) / all + 1.0 / (4.0 * all * all)).sqrt();
        (p + 1.0 / (2.0 * all) - spread) / (1.0 + 1.0 / all)
    }

    fn reason(&self) -> String {
        format!("{} of {} random entries were found malicious", self.reviews_right, self.reviews)
    }
}

fn faded(at: Timestamp, now: Timestamp) -> f64 {
    let days = f64::from(at.age_seconds(now)) / 86_400.0;
    (-days / HALF_LIFE_DAYS).exp2()
}

/// As far towards what is wanted as one week may go.
fn stepped(before: f64, wanted: f64) -> f64 {
    let wanted = wanted.min(PRECISION_MAX);
    let (from, to) = (mban(before), mban(wanted));
    let to = to.clamp(from - STEP_DOWN_MBAN, from + STEP_UP_MBAN);
    let odds = 10f64.powf(to / 1000.0);
    odds / (1.0 + odds)
}

fn mban(p: f64) -> f64 {
    1000.0 * (p / (1.0 - p)).log10()
}

fn fraction(ppm: u32) -> f64 {
    f64::from(ppm.clamp(1, 999_999)) / 1e6
}

/// In steps of a thousandth, which no difference in the last bit of a logarithm reaches.
fn ppm(p: f64) -> u32 {
    (p * 1000.0).round() as u32 * 1000
}

fn percent(ppm: u32) -> String {
    format!("{}.{}", ppm / 10_000, ppm % 10_000 / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reviews_move_the_bound_and_a_week_bounds_the_step() {
        let labels = |right: f64, wrong: f64| Labels { right, wrong, ..Labels::default() };
        // α = 10·0.96 + 40, β = 10·0.04: p = 0.992, N = 50, z = 1.
        assert_eq!(ppm(labels(40.0, 0.0).lower_bound(0.96)), 967_000);
        assert_eq!(ppm(labels(30.0, 10.0).lower_bound(0.96)), 729_000);
        // 0.96 are 1380 mban; 150 more are 1530, 600 less are 780.
        assert_eq!(ppm(stepped(0.96, 0.999)), 971_000);
        assert_eq!(ppm(stepped(0.96, 0.5)), 858_000);
        assert_eq!(ppm(stepped(0.96, 0.95)), 950_000);
    }

    #[test]
    fn an_old_review_counts_less() {
        let day = 86_400;
        assert!((faded(Timestamp(0), Timestamp(180 * day)) - 0.5).abs() < 1e-9);
        assert!((faded(Timestamp(day), Timestamp(0)) - 1.0).abs() < 1e-9, "a clock that was ahead");
    }

    #[test]
    fn without_reviews_trust_only_falls() {
        assert_eq!(unreviewed(960_000, None, 3).0, 0.94);
        assert_eq!(unreviewed(800_000, Some(950_000), 0).0, 0.8);
        assert_eq!(unreviewed(800_000, Some(400_000), 0).0, 0.4);
    }
}
