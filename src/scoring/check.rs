//! From a model file to a model: everything that a score later relies on is checked here, once.
//!
//! All weights are bounded so that the arithmetic of the chain cannot overflow.

use super::coupling::{check_classes, couple, number_origins, relate};
use super::decay::{Curve, KNOTS};
use super::file::{Band, Class, ModelFile, PerKind, SourceFile, StepFile, Tier};
use super::model::{
    Model, Providers, SOURCES_MAX, Source, SourceIndex, Step, Table, VirusTotalWeights,
};
use super::{Kind, MODEL_SIZE_BYTES_MAX};

/// Greatest magnitude of a weight in mban: odds of 10³⁰ to one. It fits in 16 bits, and a
/// coupling or factor times it in 32 or 64.
pub const MBAN_MAX: i32 = 30_000;

/// Longest half-life: ten years.
pub const HALF_LIFE_H_MAX: u32 = 87_600;

/// Longest time over which an answer ages, and longest grace: sixty years, so that hours times
/// any weight fit.
pub const HOURS_MAX: u32 = 6 * HALF_LIFE_H_MAX;

/// Longest id of a source in octets.
pub const ID_OCTETS_MAX: usize = 64;

/// Most steps of a table.
pub const STEPS_MAX: usize = 64;

/// Hours that do not age a listing where a source does not say otherwise (SCORING 2.3).
pub const GRACE_H: u32 = 48;

/// Why a model file is not a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is longer than any model.
    #[error("the model is {size_bytes} octets long; at most {MODEL_SIZE_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        size_bytes: usize,
    },
    /// It is not JSON, or has other keys or types than a model.
    #[error("the model does not read: {0}")]
    Json(#[from] serde_json::Error),
    /// Its weights are in another unit.
    #[error("the model's unit is `{0}`; only `mban` is known")]
    Unit(String),
    /// It has more sources than fit.
    #[error("the model has {0} sources; at most {SOURCES_MAX} fit")]
    TooManySources(usize),
    /// An id is empty, too long, or has other characters than a-z, 0-9, `_`, `-` and `.`.
    #[error("`{0}` is no id of a source: 1 to {ID_OCTETS_MAX} of a-z 0-9 _ - . are")]
    SourceId(String),
    /// A stage beyond 2.
    #[error("source `{source_id}` has stage {stage}; 0, 1 and 2 are known")]
    Stage {
        /// The source.
        source_id: String,
        /// Its stage.
        stage: u8,
    },
    /// Precision, half-life and knots must come together.
    #[error("source `{source_id}` needs pi, half_life_h and {KNOTS} knots for `{}`", kind.as_str())]
    Curve {
        /// The source.
        source_id: String,
        /// The kind of indicator.
        kind: Kind,
    },
    /// A curve for a class that has no listings.
    #[error("source `{0}` is no list, so it cannot have knots or a tier")]
    NotAList(String),
    /// A weight that is too large.
    #[error("{place}: {mban} mban is beyond ±{MBAN_MAX}")]
    Weight {
        /// Where it stands.
        place: String,
        /// The weight.
        mban: i32,
    },
    /// A weight of the wrong sign, or two bounds in the wrong order.
    #[error("{place}: {problem}")]
    Order {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A number of hours that is zero or too large.
    #[error("{place}: {hours} hours are not between 1 and {hours_max}")]
    Hours {
        /// Where they stand.
        place: String,
        /// The hours.
        hours: u32,
        /// The most that are accepted.
        hours_max: u32,
    },
    /// A table that is empty or too long, or whose bounds do not rise to an open last step.
    #[error("{0}: 1 to {STEPS_MAX} steps with rising bounds are needed, the last one without")]
    Table(&'static str),
    /// A pair that is not two different known names with a bar between them.
    #[error("`{0}` is no pair of two different sources or classes of this model")]
    Pair(String),
    /// A pair that is given in both orders.
    #[error("the pair `{0}` is given twice")]
    PairTwice(String),
    /// A coupling beyond 1000.
    #[error("the coupling of `{pair}` is {permille}; at most 1000 permille can be shared")]
    Coupling {
        /// The pair.
        pair: String,
        /// Its coupling.
        permille: u16,
    },
    /// Two classes without a coupling.
    #[error("the coupling of the classes `{}|{}` is missing", .0.as_str(), .1.as_str())]
    ClassPair(Class, Class),
    /// Each class but lists has exactly one source.
    #[error("{found} sources have the class `{}`; there must be one", class.as_str())]
    Provider {
        /// The class.
        class: Class,
        /// How many sources it has.
        found: usize,
    },
    /// An overlay clones what is not there.
    #[error("the overlay clones `{0}`, which is no list of this model")]
    OverlayLike(String),
}

/// Checks everything and lays the model out.
pub(super) fn assemble(file: &ModelFile) -> Result<Model, ModelError> {
    if file.unit != "mban" {
        return Err(ModelError::Unit(file.unit.clone()));
    }
    if file.sources.len() > SOURCES_MAX {
        return Err(ModelError::TooManySources(file.sources.len()));
    }
    let mut sources = Vec::with_capacity(file.sources.len());
    for (id, source) in &file.sources {
        sources.push(check_source(id, source)?);
    }
    number_origins(&mut sources);
    let classes = check_classes(file)?;
    let related = relate(file, &sources, &classes)?;
    let (block, redirect, monitor) = check_thresholds(file)?;
    Ok(Model {
        id: digest(&[&file.to_canonical()]),
        version: file.version.as_str().into(),
        prior: check_prior(file)?,
        couplings: couple(&related, &sources),
        related,
        classes,
        providers: find_providers(&sources)?,
        sources,
        vt: check_virus_total(file)?,
        apivoid_detections: check_table("apivoid.detections", &file.apivoid.detections)?,
        apivoid_tau_h: check_hours("apivoid.tau_h", file.apivoid.tau_h, HOURS_MAX)?,
        tip_hit: check_weight("tip.malware_db_hit", file.tip.malware_db_hit)?,
        tip_clean: check_weight("tip.malware_db_clean", file.tip.malware_db_clean)?,
        tip_tau_h: check_hours("tip.tau_h", file.tip.tau_h, HOURS_MAX)?,
        bgpranking_q_ppm: check_table("bgpranking.q_ppm", &file.bgpranking.q_ppm)?,
        direct_max: check_cap("caps.direct_pos", file.caps.direct_pos, 1)?,
        direct_min: check_cap("caps.direct_neg", file.caps.direct_neg, -1)?,
        infrastructure_max: check_cap("caps.infra_pos", file.caps.infra_pos, 1)?,
        infrastructure_min: check_cap("caps.infra_neg", file.caps.infra_neg, -1)?,
        age_days: check_table("age_days", &file.age_days)?,
        nod_hours: check_table("nod_hours", &file.nod_hours)?,
        rank30: check_table("rank30", &file.rank30)?,
        local_history: check_weight("local_history", file.local_history)?,
        prediction: check_prediction(file)?,
        monitor,
        redirect,
        block,
        min_dwell_h: file.thresholds.min_dwell_h,
        changes_max: file.thresholds.changes_max,
        distinct_origins: file.guards.distinct_origins,
        tier_a_redirects_hosts: file.guards.tier_a_redirects_hosts,
    })
}

pub(super) fn digest(parts: &[&[u8]]) -> Box<str> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    data_encoding::HEXLOWER.encode(context.finish().as_ref()).into()
}

pub(super) fn check_id(id: &str) -> Result<(), ModelError> {
    let known = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.');
    if (1..=ID_OCTETS_MAX).contains(&id.len()) && id.bytes().all(known) {
        return Ok(());
    }
    Err(ModelError::SourceId(id.to_owned()))
}

fn check_source(id: &str, file: &SourceFile) -> Result<Source, ModelError> {
    check_id(id)?;
    if file.stage > 2 {
        return Err(ModelError::Stage { source_id: id.to_owned(), stage: file.stage });
    }
    let listings = PerKind::default() != file.knots || file.tier.is_some() || file.generic;
    if file.class != Class::List && listings {
        return Err(ModelError::NotAList(id.to_owned()));
    }
    let mut curves = [const { None }; 4];
    for kind in Kind::ALL {
        curves[kind as usize] = check_curve(id, file, kind)?;
    }
    let grace_h = file.grace_h.unwrap_or(GRACE_H);
    if grace_h > HOURS_MAX {
        let place = format!("sources.{id}.grace_h");
        return Err(ModelError::Hours { place, hours: grace_h, hours_max: HOURS_MAX });
    }
    Ok(Source {
        id: id.into(),
        class: file.class,
        stage: file.stage,
        origin: file.origin.as_deref().map(Into::into),
        origin_number: 0,
        tier_a: file.tier == Some(Tier::A),
        generic: file.generic,
        grace_h,
        reference: file.reference,
        curves,
    })
}

fn check_curve(id: &str, file: &SourceFile, kind: Kind) -> Result<Option<Curve>, ModelError> {
    let parts = (file.pi.of(kind), file.half_life_h.of(kind), file.knots.of(kind));
    let incomplete = || ModelError::Curve { source_id: id.to_owned(), kind };
    let (precision, half_life_h, knots) = match parts {
        (None, None, None) => return Ok(None),
        (Some(precision), Some(half_life_h), Some(knots)) => (precision, *half_life_h, knots),
        _ => return Err(incomplete()),
    };
    let place = |key: &str| format!("sources.{id}.{key}.{}", kind.as_str());
    check_hours(&place("half_life_h"), half_life_h, HALF_LIFE_H_MAX)?;
    for knot in knots {
        check_weight(&place("knots"), i32::from(*knot))?;
    }
    Ok(Some(Curve {
        precision_ppm: precision.0,
        span_h: 6 * half_life_h,
        knots: knots.as_slice().try_into().map_err(|_| incomplete())?,
    }))
}

pub(super) fn find_providers(sources: &[Source]) -> Result<Providers, ModelError> {
    let only = |class: Class| {
        let mut of_class = (0..sources.len()).filter(|&at| sources[at].class == class);
        match (of_class.next(), of_class.count()) {
            (Some(at), 0) => Ok(SourceIndex(at as u16)),
            (first, more) => {
                Err(ModelError::Provider { class, found: usize::from(first.is_some()) + more })
            }
        }
    };
    Ok(Providers {
        vt: only(Class::Vt)?,
        votes: only(Class::Votes)?,
        apivoid: only(Class::ApiVoid)?,
        tip: only(Class::Tip)?,
        local: only(Class::Local)?,
        bgpr: only(Class::Bgpr)?,
    })
}

fn check_prior(file: &ModelFile) -> Result<[i32; 4], ModelError> {
    let mut prior = [0; 4];
    for kind in Kind::ALL {
        let mban = match kind {
            Kind::Asn => file.prior.asn,
            Kind::Domain => file.prior.domain,
            Kind::Ip => file.prior.ip,
            Kind::Prefix => file.prior.prefix,
        };
        prior[kind as usize] = check_weight(&format!("prior.{}", kind.as_str()), mban)?;
    }
    Ok(prior)
}

fn check_virus_total(file: &ModelFile) -> Result<VirusTotalWeights, ModelError> {
    Ok(VirusTotalWeights {
        half_units: check_table("vt.half_units", &file.vt.half_units)?,
        clean_fresh: check_weight("vt.clean_fresh", file.vt.clean_fresh)?,
        clean_mature: check_weight("vt.clean_mature", file.vt.clean_mature)?,
        min_engines: file.vt.min_engines,
        tau_h: check_hours("vt.tau_h", file.vt.tau_h, HOURS_MAX)?,
        tau_clean_h: check_hours("vt.tau_clean_h", file.vt.tau_clean_h, HOURS_MAX)?,
    })
}

fn check_prediction(file: &ModelFile) -> Result<super::file::PredictionFile, ModelError> {
    check_cap("prediction.max", file.prediction.max, 1)?;
    check_weight("prediction.strong", file.prediction.strong)?;
    if file.prediction.diversity_ppm > 1_000_000 {
        let problem = "a prediction is never more than one group (1000000 ppm)";
        return Err(ModelError::Order { place: "prediction.diversity_ppm".to_owned(), problem });
    }
    Ok(file.prediction.clone())
}

/// Each level begins no lower than it ends, and no level begins or ends below a lesser one.
fn check_thresholds(file: &ModelFile) -> Result<(Step, Step, Step), ModelError> {
    let step = |name: &str, step: StepFile| {
        let place = format!("thresholds.{name}");
        check_weight(&place, step.on)?;
        check_weight(&place, step.off)?;
        if step.off > step.on {
            return Err(ModelError::Order { place, problem: "`off` is above `on`" });
        }
        Ok(Step { on: step.on, off: step.off })
    };
    let block = step("block", file.thresholds.block)?;
    let redirect = step("redirect", file.thresholds.redirect)?;
    let monitor = step("monitor", file.thresholds.monitor)?;
    let rises = |lower: Step, upper: Step| lower.on <= upper.on && lower.off <= upper.off;
    if rises(monitor, redirect) && rises(redirect, block) {
        return Ok((block, redirect, monitor));
    }
    let problem = "they must rise from monitor over redirect to block";
    Err(ModelError::Order { place: "thresholds".to_owned(), problem })
}

fn check_weight(place: &str, mban: i32) -> Result<i32, ModelError> {
    if (-MBAN_MAX..=MBAN_MAX).contains(&mban) {
        return Ok(mban);
    }
    Err(ModelError::Weight { place: place.to_owned(), mban })
}

fn check_cap(place: &str, mban: i32, sign: i32) -> Result<i32, ModelError> {
    check_weight(place, mban)?;
    if mban * sign < 0 {
        let problem = "the cap has the wrong sign";
        return Err(ModelError::Order { place: place.to_owned(), problem });
    }
    Ok(mban)
}

fn check_hours(place: &str, hours: u32, hours_max: u32) -> Result<u32, ModelError> {
    if (1..=hours_max).contains(&hours) {
        return Ok(hours);
    }
    Err(ModelError::Hours { place: place.to_owned(), hours, hours_max })
}

fn check_table(name: &'static str, bands: &[Band]) -> Result<Table, ModelError> {
    let wrong = || ModelError::Table(name);
    if bands.len() > STEPS_MAX {
        return Err(wrong());
    }
    let (last, steps) = bands.split_last().ok_or_else(wrong)?;
    if last.0.0.is_some() {
        return Err(wrong());
    }
    let mut table = Table { steps: Vec::new(), last: check_weight(name, last.1)? };
    for Band(bound, mban) in steps {
        let bound = bound.0.ok_or_else(wrong)?;
        if table.steps.last().is_some_and(|&(before, _)| bound <= before) {
            return Err(wrong());
        }
        table.steps.push((bound, check_weight(name, *mban)?));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The error of the shipped model with the value at a JSON pointer replaced.
    fn error_with(pointer: &str, value: Value) -> String {
        let mut model: Value = serde_json::from_str(crate::scoring::SHIPPED_JSON).unwrap();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = model.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            _ => parent[key] = value,
        }
        Model::from_json(model.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_model_is_named_with_its_place() {
        let long_id = format!("/sources/{}", "a".repeat(65));
        for (pointer, value, expected) in [
            ("/unit", json!("ban"), "unit is `ban`"),
            ("/thresold", json!(1), "unknown field `thresold`"),
            ("/sources/openphish/grace", json!(1), "unknown field `grace`"),
            ("/sources/Open", json!({"class": "list"}), "`Open` is no id"),
            (&long_id, json!({"class": "list"}), "is no id"),
            ("/sources/openphish/stage", json!(3), "`openphish` has stage 3"),
            ("/sources/openphish/class", json!("lists"), "unknown variant `lists`"),
            ("/sources/openphish/tier", json!("B"), "unknown variant `B`"),
            ("/sources/openphish/knots/domain/0", json!(30_001), "30001 mban is beyond ±30000"),
            ("/sources/openphish/knots/domain", json!([1, 2]), "`openphish` needs pi"),
            ("/sources/openphish/pi", json!({}), "`openphish` needs pi"),
            ("/sources/openphish/pi/domain", json!(1), "between 0 and 1"),
            ("/sources/openphish/half_life_h/domain", json!(0), "0 hours are not between"),
            ("/sources/openphish/grace_h", json!(600_000), "600000 hours are not between"),
            ("/sources/vt/tier", json!("A"), "`vt` is no list"),
            ("/sources/second_vt", json!({"class": "vt"}), "2 sources have the class `vt`"),
            ("/sources/tip/class", json!("list"), "0 sources have the class `tip`"),
            ("/pairs/openphish|nobody", json!(1), "`openphish|nobody` is no pair"),
            ("/pairs/openphish|openphish", json!(1), "`openphish|openphish` is no pair"),
            ("/pairs/hagezi_tif|openphish", json!(1), "is given twice"),
            ("/pairs/openphish|certpl", json!(1001), "at most 1000 permille"),
            ("/class_pairs/vt|list", json!(1), "is given twice"),
            ("/class_pairs", json!({}), "classes `list|list` is missing"),
            ("/thresholds/block", json!({"on": 1, "off": 2}), "`off` is above `on`"),
            ("/thresholds/monitor/on", json!(1001), "rise from monitor over redirect"),
            ("/caps/direct_neg", json!(1), "the cap has the wrong sign"),
            ("/caps/direct_pos", json!(i32::MIN), "is beyond ±30000"),
            ("/prior/ip", json!(-40_000), "prior.ip: -40000 mban"),
            ("/rank30", json!([]), "rank30: 1 to 64 steps"),
            ("/rank30", json!([[5, 1], [5, 2], [null, 0]]), "rank30: 1 to 64 steps"),
            ("/rank30", json!([[5, 1], [6, 2]]), "rank30: 1 to 64 steps"),
            ("/rank30", json!([[null, 1], [null, 2]]), "rank30: 1 to 64 steps"),
            (
                "/prediction",
                json!({"diversity_ppm": 1_000_001, "max": 2400, "strong": 1000}),
                "never more than one group",
            ),
            ("/vt/tau_h", json!(0), "vt.tau_h: 0 hours"),
        ] {
            let error = error_with(pointer, value);
            assert!(error.contains(expected), "{pointer}: {error}");
        }
    }

    #[test]
    fn a_repeated_key_is_an_error() {
        let model = crate::scoring::SHIPPED_JSON;
        for key in ["\"openphish\": {", "\"unit\": \"mban\","] {
            let doubled = match key {
                "\"openphish\": {" => model.replacen(key, "\"blp\": {", 1),
                _ => model.replacen(key, &format!("{key} {key}"), 1),
            };
            assert_ne!(doubled, model);
            assert!(Model::from_json(doubled.as_bytes()).is_err(), "{key}");
        }
    }

    #[test]
    fn a_model_that_is_too_long_or_too_wide_is_not_read() {
        let long = vec![b' '; MODEL_SIZE_BYTES_MAX + 1];
        assert!(matches!(Model::from_json(&long), Err(ModelError::TooLong { .. })));
        let mut file: ModelFile = serde_json::from_str(crate::scoring::SHIPPED_JSON).unwrap();
        let list = file.sources["generic_list"].clone();
        for at in 0..SOURCES_MAX {
            file.sources.insert(format!("list{at}"), list.clone());
        }
        assert!(matches!(Model::from_file(&file), Err(ModelError::TooManySources(_))));
    }

    #[test]
    fn the_id_names_the_content_and_not_the_layout() {
        let model = Model::shipped();
        let value: Value = serde_json::from_str(crate::scoring::SHIPPED_JSON).unwrap();
        assert_eq!(Model::from_json(value.to_string().as_bytes()).unwrap().id(), model.id());
        let mut other = value;
        other["local_history"] = json!(-301);
        assert_ne!(Model::from_json(other.to_string().as_bytes()).unwrap().id(), model.id());
    }
}
