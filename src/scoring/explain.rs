//! Why a score is what it is (SCORING 2.10): every contribution, what did not count and why, the
//! guards, and what would have changed the verdict.

use std::cmp::Reverse;

use serde::Serialize;

use super::counterfactual::{self, Change, Without};
use super::decision::{Previous, decide};
use super::direct::{engines, listing_weight};
use super::facts::{Facts, Kind, Listing};
use super::part::{Label, Part};
use super::{Level, Model, Score, SourceIndex, evaluate, valid_for_seconds};
use crate::model::{Category, Scope};

/// A verdict with its reasons. The contributions sum to the score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// SHA-256 of the model.
    pub model_id: String,
    /// The model's name.
    pub model_version: String,
    /// What the indicator is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Log-odds in millibans.
    pub mban: i64,
    /// What is to be done.
    pub level: Level,
    /// What was in force before.
    pub previous: Level,
    /// The leading category, if there is positive direct evidence.
    pub category: Option<Category>,
    /// `prior` first, then the largest first; none is 0.
    pub contributions: Vec<Contribution>,
    /// Listings that add nothing, and why.
    pub uncounted: Vec<Uncounted>,
    /// The guards that spoke, in order.
    pub guards: Vec<String>,
    /// How many independent groups speak against it, in ppm of one group.
    pub diversity_ppm: u32,
    /// Whether a source of tier A speaks against it.
    pub tier_a: bool,
    /// Whoever asks for it is infected (G6).
    pub alert: bool,
    /// Whether a person should look at it.
    pub review: bool,
    /// The level changed too often, so it only falls for now.
    pub ticket: bool,
    /// Which providers answered, so that one sees who did not.
    pub asked: Vec<Asked>,
    /// Seconds for which the verdict stands if nothing new is learnt.
    pub valid_for_seconds: u32,
    /// Without the strongest group.
    pub without_strongest: Option<Without>,
    /// The smallest single piece of further evidence that would change the level.
    pub smallest_change: Option<Change>,
}

/// One contribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contribution {
    /// What it is: a source, or a fact of context or infrastructure.
    pub id: String,
    /// What it adds, in mban.
    pub mban: i32,
    /// What it would add alone, in mban.
    pub raw_mban: i32,
    /// The share that nothing counted before it already said.
    pub independence_ppm: u32,
    /// How old it is, if it ages by the hour.
    pub age_h: Option<u32>,
    /// Where it stands in the fact record.
    pub fact_ref: Option<String>,
    /// It in words.
    pub text: String,
}

/// A listing that adds nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Uncounted {
    /// The list.
    pub id: String,
    /// Its age.
    pub age_h: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a listing adds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Held back by the feed's own checks.
    Quarantined,
    /// It is about one URL on a shared or popular host.
    Url,
    /// The list says nothing of this kind of indicator.
    Kind,
    /// Too old.
    Aged,
    /// What it says was said before.
    Repeated,
}

/// A provider that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The provider.
    pub id: String,
    /// Hours since its answer.
    pub age_h: u32,
}

/// Scores, decides, and says why.
pub fn explain(model: &Model, facts: &Facts, previous: &Previous) -> Explanation {
    let (score, parts) = parts(model, facts);
    let decision = decide(model, facts, &score, previous);
    Explanation {
        model_id: model.id().to_owned(),
        model_version: model.version().to_owned(),
        kind: facts.kind,
        mban: score.mban,
        level: decision.level,
        previous: previous.level,
        category: score.category,
        contributions: parts.iter().map(|part| contribution(model, facts, part)).collect(),
        uncounted: uncounted(model, facts, &parts),
        guards: decision.guards.iter().map(ToString::to_string).collect(),
        diversity_ppm: score.diversity_ppm,
        tier_a: score.tier_a,
        alert: decision.alerts(),
        review: decision.asks_for_review(),
        ticket: decision.ticket,
        asked: asked(model, facts),
        valid_for_seconds: valid_for_seconds(model, facts, decision.level, previous),
        without_strongest: counterfactual::without_strongest(model, facts, previous.level),
        smallest_change: counterfactual::smallest_change(model, facts, previous.level),
    }
}

/// The score with the parts that are not 0, in the order of SCORING 2.10: `prior` first, then by
/// falling magnitude, then by id.
pub(super) fn parts(model: &Model, facts: &Facts) -> (Score, Vec<Part>) {
    let mut parts: Vec<Part> = Vec::new();
    let score = evaluate(model, facts, &mut parts);
    parts.retain(|part| part.label == Label::Prior || part.mban != 0);
    parts.sort_by_key(|part| {
        let is_prior = part.label == Label::Prior;
        (!is_prior, Reverse(part.mban.unsigned_abs()), part.label.id(model))
    });
    (score, parts)
}

fn contribution(model: &Model, facts: &Facts, part: &Part) -> Contribution {
    Contribution {
        id: part.label.id(model).to_owned(),
        mban: part.mban,
        raw_mban: part.raw_mban,
        independence_ppm: part.independence_ppm,
        age_h: part.age_h,
        fact_ref: fact_ref(model, part.label),
        text: text(model, facts, part),
    }
}

/// Where the fact stands in the record; a listing by its source, as lists have no order.
fn fact_ref(model: &Model, label: Label) -> Option<String> {
    let providers = &model.providers;
    let path = match label {
        Label::Prior => "type",
        Label::Source(index) if index == providers.vt => "vt",
        Label::Source(index) if index == providers.votes => "vt.votes_malicious",
        Label::Source(index) if index == providers.apivoid => "apivoid",
        Label::Source(index) if index == providers.tip => "tip",
        Label::Source(index) if index == providers.local => "asn_local_log_ratio",
        Label::Source(index) if index == providers.bgpr => "bgpranking_q_ppm",
        Label::Source(index) => return Some(format!("lists.{}", model.source(index).id())),
        Label::Age => "age_days",
        Label::LocalHistory => "local_history",
        Label::Nod => "nod_hours",
        Label::Popularity => "rank30",
        Label::Prediction => "prediction",
        Label::HostAsn => "infra.host.asn",
        Label::HostPrefix => "infra.host.prefix",
        Label::HostIp => "infra.host.ip",
        Label::Ns => "infra.ns",
        Label::Siblings => "infra.siblings",
        Label::CapDirectPositive
        | Label::CapDirectNegative
        | Label::CapInfrastructurePositive
        | Label::CapInfrastructureNegative => return None,
    };
    Some(path.to_owned())
}

fn text(model: &Model, facts: &Facts, part: &Part) -> String {
    let days = facts.age_days.unwrap_or(0);
    match part.label {
        Label::Prior => format!("any {} before evidence", facts.kind.as_str()),
        Label::Source(index) => source_text(model, facts, part, index),
        Label::Age => format!("registered {days} days ago"),
        Label::LocalHistory => "asked for here by many for long".to_owned(),
        Label::Nod => format!("first seen {} h ago", facts.nod_hours.unwrap_or(0)),
        Label::Popularity => format!("rank {} or better for 30 days", facts.rank30.unwrap_or(0)),
        Label::Prediction => "the name and its neighbourhood look like it".to_owned(),
        Label::HostAsn => "malicious names in the AS of its addresses".to_owned(),
        Label::HostPrefix => "malicious names in the prefix, beyond the AS".to_owned(),
        Label::HostIp => "malicious names on the address, beyond the prefix".to_owned(),
        Label::Ns => "malicious names on its name servers".to_owned(),
        Label::Siblings => "malicious names registered together with it".to_owned(),
        Label::CapDirectPositive | Label::CapDirectNegative => {
            "direct evidence beyond its cap".to_owned()
        }
        Label::CapInfrastructurePositive | Label::CapInfrastructureNegative => {
            "infrastructure beyond its cap".to_owned()
        }
    }
}

fn source_text(model: &Model, facts: &Facts, part: &Part, index: SourceIndex) -> String {
    if let Some(listing) = part.listing.map(|at| &facts.listings[usize::from(at)]) {
        return format!("listed as {}, {} h old", listing.category, listing.age_h);
    }
    let providers = &model.providers;
    match (facts.vt, facts.apivoid, facts.tip) {
        (Some(vt), _, _) if index == providers.vt => {
            let feeds = match vt.dup_engines {
                0 => String::new(),
                repeated => format!(", {repeated} of them read here as a feed"),
            };
            let all = engines(&vt);
            format!(
                "{} malicious, {} suspicious of {all} engines{feeds}",
                vt.malicious, vt.suspicious
            )
        }
        (Some(vt), _, _) if index == providers.votes => {
            format!("{} votes malicious, {} harmless", vt.votes_malicious, vt.votes_harmless)
        }
        (_, Some(answer), _) if index == providers.apivoid => {
            format!("detected by {} of {} engines", answer.detections, answer.engines)
        }
        (_, _, Some(answer)) if index == providers.tip => {
            let found = if answer.malware_db_hit == Some(true) { "found" } else { "not found" };
            format!("{found} in malware databases")
        }
        _ if index == providers.local => "share of listed addresses in the AS or prefix".to_owned(),
        _ => {
            let q_ppm = facts.bgpranking_q_ppm.unwrap_or(0);
            format!("in the worst {}.{:04} % of AS", q_ppm / 10_000, q_ppm % 10_000)
        }
    }
}

fn uncounted(model: &Model, facts: &Facts, parts: &[Part]) -> Vec<Uncounted> {
    let counted = |at: usize| parts.iter().any(|part| part.listing == u16::try_from(at).ok());
    let mut uncounted: Vec<Uncounted> = facts
        .listings
        .iter()
        .enumerate()
        .filter(|(at, _)| !counted(*at))
        .map(|(_, listing)| Uncounted {
            id: model.source(listing.source).id().to_owned(),
            age_h: listing.age_h,
            reason: reason(model, facts, listing),
        })
        .collect();
    uncounted.sort_unstable();
    uncounted
}

fn reason(model: &Model, facts: &Facts, listing: &Listing) -> Reason {
    if listing.quarantined {
        Reason::Quarantined
    } else if listing.scope == Scope::Url && facts.shields_urls() {
        Reason::Url
    } else if model.source(listing.source).precision_ppm(facts.kind).is_none() {
        Reason::Kind
    } else if listing_weight(model, facts, listing, 0) == 0 {
        Reason::Aged
    } else {
        Reason::Repeated
    }
}

fn asked(model: &Model, facts: &Facts) -> Vec<Asked> {
    let answers = [
        (model.providers.apivoid, facts.apivoid.map(|answer| answer.age_h)),
        (model.providers.tip, facts.tip.map(|answer| answer.age_h)),
        (model.providers.vt, facts.vt.map(|answer| answer.age_h)),
    ];
    let answered = answers.into_iter().filter_map(|(index, age_h)| Some((index, age_h?)));
    answered
        .map(|(index, age_h)| Asked { id: model.source(index).id().to_owned(), age_h })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::facts::{ApiVoid, Host, Tip, VirusTotal};

    fn listing(model: &Model, id: &str, age_h: u32) -> Listing {
        Listing::new(model.source_index(id).unwrap(), age_h)
    }

    #[test]
    fn every_contribution_says_what_it_is_and_where_it_comes_from() {
        let model = Model::shipped();
        let mut facts = Facts::new(Kind::Domain);
        facts
            .listings
            .push(Listing { category: Category::Phishing, ..listing(&model, "openphish", 6) });
        facts.vt = Some(VirusTotal {
            malicious: 7,
            suspicious: 1,
            harmless: 86,
            dup_engines: 1,
            age_h: 2,
            votes_malicious: 3,
            ..VirusTotal::default()
        });
        facts.apivoid = Some(ApiVoid { detections: 4, engines: 40, age_h: 10 });
        facts.tip = Some(Tip { malware_db_hit: Some(true), age_h: 9 });
        facts.bgpranking_q_ppm = Some(600);
        facts.age_days = Some(2);
        facts.nod_hours = Some(30);
        facts.infrastructure.host = Some(Host { asn: Some(150), prefix: Some(420), ip: Some(980) });
        facts.infrastructure.ns = Some(600);
        let explanation = explain(&model, &facts, &Previous::default());
        let lines: Vec<String> = explanation
            .contributions
            .iter()
            .map(|part| {
                let fact = part.fact_ref.as_deref().unwrap_or("-");
                format!("{:+} {} ({fact}): {}", part.mban, part.id, part.text)
            })
            .collect();
        assert_eq!(
            lines,
            [
                "-2000 prior (type): any domain before evidence",
                "+3380 openphish (lists.openphish): listed as phishing, 6 h old",
                "+1290 vt (vt): 7 malicious, 1 suspicious of 94 engines, 1 of them read here as a feed",
                "+900 age (age_days): registered 2 days ago",
                "+560 host.ip (infra.host.ip): malicious names on the address, beyond the prefix",
                "+450 apivoid (apivoid): detected by 4 of 40 engines",
                "+300 ns (infra.ns): malicious names on its name servers",
                "+270 host.prefix (infra.host.prefix): malicious names in the prefix, beyond the AS",
                "+178 bgpranking (bgpranking_q_ppm): in the worst 0.0600 % of AS",
                "+150 host.asn (infra.host.asn): malicious names in the AS of its addresses",
                "+100 tip (tip): found in malware databases",
                "+60 nod (nod_hours): first seen 30 h ago",
                "+7 vt_votes (vt.votes_malicious): 3 votes malicious, 0 harmless",
            ]
        );
        let sum: i64 = explanation.contributions.iter().map(|part| i64::from(part.mban)).sum();
        assert_eq!(sum, explanation.mban);
        assert_eq!(explanation.category, Some(Category::Phishing));
        assert_eq!(explanation.contributions[2].independence_ppm, 600_000);
        assert_eq!(explanation.contributions[2].raw_mban, 2150);
        assert_eq!(explanation.contributions[2].age_h, Some(2));
        let asked: Vec<(&str, u32)> =
            explanation.asked.iter().map(|asked| (asked.id.as_str(), asked.age_h)).collect();
        assert_eq!(asked, [("apivoid", 10), ("tip", 9), ("vt", 2)]);
    }

    #[test]
    fn listings_that_add_nothing_say_why() {
        let model = Model::shipped();
        let mut facts = Facts::new(Kind::Domain);
        facts.multi_tenant = true;
        facts.listings.extend([
            Listing { quarantined: true, ..listing(&model, "openphish", 1) },
            Listing { scope: Scope::Url, ..listing(&model, "urlhaus", 1) },
            listing(&model, "feodo", 1),
            listing(&model, "threatfox", 90_000),
            listing(&model, "certpl", 5),
            listing(&model, "certpl", 7),
        ]);
        let explanation = explain(&model, &facts, &Previous::default());
        let reasons: Vec<(&str, Reason)> = explanation
            .uncounted
            .iter()
            .map(|listing| (listing.id.as_str(), listing.reason))
            .collect();
        assert_eq!(
            reasons,
            [
                ("certpl", Reason::Repeated),
                ("feodo", Reason::Kind),
                ("openphish", Reason::Quarantined),
                ("threatfox", Reason::Aged),
                ("urlhaus", Reason::Url),
            ]
        );
    }

    #[test]
    fn the_leading_category_has_the_largest_sum_of_what_counts() {
        let model = Model::shipped();
        let category = |listed: &[(&str, Category)]| {
            let mut facts = Facts::new(Kind::Domain);
            facts.tip = Some(Tip { malware_db_hit: Some(true), age_h: 0 });
            for &(id, category) in listed {
                facts.listings.push(Listing { category, ..listing(&model, id, 0) });
            }
            evaluate(&model, &facts, &mut ()).category
        };
        assert_eq!(category(&[]), Some(Category::Suspicious));
        let phishing = [("openphish", Category::Phishing), ("urlhaus", Category::Malware)];
        assert_eq!(category(&phishing), Some(Category::Phishing));
        // phishtank comes first of two equal weights, so it counts whole.
        let c2 = [("threatfox", Category::C2), ("phishtank", Category::Malware)];
        assert_eq!(category(&c2), Some(Category::Malware));
        assert_eq!(evaluate(&model, &Facts::new(Kind::Domain), &mut ()).category, None);
    }
}
