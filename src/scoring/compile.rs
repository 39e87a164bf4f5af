//! The model compiler: from a description that people write to the canonical model.
//!
//! The only place of scoring with floating point. Logarithms differ in the last bit between
//! machines, so a model is compiled once, and its JSON is what is kept, named and replayed.
//!
//! A description has the keys of a model, but a source gives for each kind of indicator a precision
//! and how it ages; the last step of a table ends `"above"` all bounds:
//!
//! ```toml
//! [sources.openphish]
//! class = "list"
//! ref = "first_present"
//! grace_h = 720
//! domain = { pi = 0.96, half_life_days = 3 }
//! ```

use serde::Deserialize;

use super::decay::KNOTS;
use super::file::{Class, ModelFile, PerKind, Precision, PriorFile, Reference, SourceFile, Tier};
use super::{Kind, Model, ModelError};
use crate::diagnostic::{Diagnostic, Place};

/// Longest description that is read, in octets: some twenty times the shipped one.
pub const DESCRIPTION_SIZE_BYTES_MAX: usize = 1 << 20;

/// A model as people describe it.
pub type Description = ModelFile<SourceDescription>;

/// A source as people describe it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDescription {
    /// Which couplings hold where no pair is named.
    pub class: Class,
    /// 0 primary list, 1 provider or local rank, 2 aggregator.
    #[serde(default)]
    pub stage: u8,
    /// Sources of one origin are verbatim copies.
    pub origin: Option<String>,
    /// Audited well enough to block a young name alone.
    pub tier: Option<Tier>,
    /// It takes in much: without a source that is not generic it enforces nothing.
    #[serde(default)]
    pub generic: bool,
    /// Hours that do not age a listing; 48 if absent.
    pub grace_h: Option<u32>,
    /// What the age counts from.
    #[serde(default, rename = "ref")]
    pub reference: Reference,
    /// How good it is for AS.
    pub asn: Option<CurveDescription>,
    /// How good it is for domains.
    pub domain: Option<CurveDescription>,
    /// How good it is for addresses.
    pub ip: Option<CurveDescription>,
    /// How good it is for prefixes.
    pub prefix: Option<CurveDescription>,
}

/// How good a source is for one kind of indicator, and how its entries age: by half-lives or like
/// a decaying model of MISP.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveDescription {
    /// Precision for "this answer should be blocked".
    pub pi: Precision,
    /// Days until half of the entries are harmless again.
    pub half_life_days: Option<f64>,
    /// MISP's polynomial.
    pub misp: Option<MispDescription>,
}

/// `1 − (age / lifetime)^(1/δ)`, as MISP's decaying models have it (SCORING 1.2).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MispDescription {
    /// Days until nothing is left.
    pub lifetime_days: f64,
    /// Decay speed.
    pub delta: f64,
}

/// Why a description is not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is longer than any description.
    #[error(
        "the description is {size_bytes} octets long; at most {DESCRIPTION_SIZE_BYTES_MAX} are read"
    )]
    TooLong {
        /// Its length.
        size_bytes: usize,
    },
    /// It is not TOML, or has other keys or types than a description.
    #[error("the description does not read: {}", .0.message())]
    Toml(#[from] toml::de::Error),
    /// A curve needs a half-life or MISP's parameters, not both.
    #[error("source `{source_id}`, {}: give either `half_life_days` or `misp`", kind.as_str())]
    Ageing {
        /// The source.
        source_id: String,
        /// The kind of indicator.
        kind: Kind,
    },
    /// A time that is no whole number of hours where the scorer needs one.
    #[error("source `{source_id}`, {}: a half-life is a whole number of hours, a lifetime six times that, both above 0", kind.as_str())]
    Hours {
        /// The source.
        source_id: String,
        /// The kind of indicator.
        kind: Kind,
    },
    /// A decay speed that is no positive number.
    #[error("source `{source_id}`, {}: `delta` must be above 0", kind.as_str())]
    Delta {
        /// The source.
        source_id: String,
        /// The kind of indicator.
        kind: Kind,
    },
    /// A precision no better than the prior: the source would say nothing, or the opposite.
    #[error("source `{source_id}`, {}: a precision of {pi} is not above the prior, {prior:.4}", kind.as_str())]
    Precision {
        /// The source.
        source_id: String,
        /// The kind of indicator.
        kind: Kind,
        /// Its precision.
        pi: f64,
        /// The prior as a probability.
        prior: f64,
    },
    /// What it compiles to is no model.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl CompileError {
    /// The error for people, with its place in the description where there is one.
    pub fn diagnostic(&self, file: &str, text: &str) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.to_string());
        match self {
            Self::Toml(error) => match error.span() {
                Some(span) => diagnostic.at(Place::of_offset(file, text, span.start)),
                None => diagnostic,
            },
            _ => diagnostic.hint(format!("look at {file}")),
        }
    }
}

/// Compiles a description; what comes out is checked as a model.
pub fn compile(description: &str) -> Result<ModelFile, CompileError> {
    if description.len() > DESCRIPTION_SIZE_BYTES_MAX {
        return Err(CompileError::TooLong { size_bytes: description.len() });
    }
    let description: Description = toml::from_str(description)?;
    let sources = description
        .sources
        .iter()
        .map(|(id, source)| Ok((id.clone(), compile_source(&description.prior, id, source)?)))
        .collect::<Result<_, CompileError>>()?;
    let file = description.with_sources(sources);
    Model::from_file(&file)?;
    Ok(file)
}

fn compile_source(
    prior: &PriorFile,
    id: &str,
    source: &SourceDescription,
) -> Result<SourceFile, CompileError> {
    let mut file = SourceFile {
        class: source.class,
        grace_h: source.grace_h,
        half_life_h: PerKind::default(),
        knots: PerKind::default(),
        generic: source.generic,
        origin: source.origin.clone(),
        pi: PerKind::default(),
        reference: source.reference,
        stage: source.stage,
        tier: source.tier,
    };
    let curves = [
        (Kind::Asn, &source.asn, prior.asn),
        (Kind::Domain, &source.domain, prior.domain),
        (Kind::Ip, &source.ip, prior.ip),
        (Kind::Prefix, &source.prefix, prior.prefix),
    ];
    for (kind, curve, prior) in curves {
        let Some(curve) = curve else { continue };
        let ageing = ageing(id, kind, curve)?;
        file.pi.set(kind, curve.pi);
        file.half_life_h.set(kind, ageing.half_life_h());
        file.knots.set(kind, knots(id, kind, curve.pi, ageing, prior)?);
    }
    Ok(file)
}

/// How much of a precision is left with age.
#[derive(Debug, Clone, Copy)]
enum Ageing {
    HalfLife { hours: u32 },
    Misp { lifetime_h: u32, delta: f64 },
}

impl Ageing {
    /// What the scorer takes for the half-life: it reads the knots over six of it.
    fn half_life_h(self) -> u32 {
        match self {
            Self::HalfLife { hours } => hours,
            Self::Misp { lifetime_h, .. } => lifetime_h / 6,
        }
    }

    /// Of a precision above the prior, the share that is left at `k / 32` of the span.
    fn left(self, knot: usize) -> f64 {
        let of_span = knot as f64 / (KNOTS - 1) as f64;
        match self {
            // Exponential survival, cut at six half-lives (SCORING 2.4).
            Self::HalfLife { .. } => {
                let gone = (-6.0_f64).exp2();
                ((-6.0 * of_span).exp2() - gone) / (1.0 - gone)
            }
            Self::Misp { delta, .. } => (1.0 - of_span.powf(1.0 / delta)).max(0.0),
        }
    }
}

fn ageing(id: &str, kind: Kind, curve: &CurveDescription) -> Result<Ageing, CompileError> {
    let source_id = || id.to_owned();
    match (&curve.half_life_days, &curve.misp) {
        (Some(days), None) => whole_hours(*days)
            .map(|hours| Ageing::HalfLife { hours })
            .ok_or_else(|| CompileError::Hours { source_id: source_id(), kind }),
        (None, Some(misp)) if misp.delta.is_finite() && misp.delta > 0.0 => {
            whole_hours(misp.lifetime_days)
                .filter(|hours| hours % 6 == 0)
                .map(|lifetime_h| Ageing::Misp { lifetime_h, delta: misp.delta })
                .ok_or_else(|| CompileError::Hours { source_id: source_id(), kind })
        }
        (None, Some(_)) => Err(CompileError::Delta { source_id: source_id(), kind }),
        _ => Err(CompileError::Ageing { source_id: source_id(), kind }),
    }
}

/// Days as hours, if those are whole and at least one.
fn whole_hours(days: f64) -> Option<u32> {
    let hours = days * 24.0;
    let whole = hours.round();
    ((1.0..=f64::from(u32::MAX)).contains(&whole) && (hours - whole).abs() < 1e-6)
        .then_some(whole as u32)
}

/// What an entry weighs as it ages: its precision falls towards the prior, not its log-odds
/// (SCORING 2.4).
fn knots(
    id: &str,
    kind: Kind,
    precision: Precision,
    ageing: Ageing,
    prior_mban: i32,
) -> Result<Vec<i16>, CompileError> {
    let pi = f64::from(precision.0) / 1e6;
    let odds = 10_f64.powf(f64::from(prior_mban) / 1000.0);
    let prior = odds / (1.0 + odds);
    if pi <= prior {
        return Err(CompileError::Precision { source_id: id.to_owned(), kind, pi, prior });
    }
    let weight = |knot: usize| {
        let pi = prior + (pi - prior) * ageing.left(knot);
        (1000.0 * (pi / (1.0 - pi)).log10() - f64::from(prior_mban)).round() as i16
    };
    Ok((0..KNOTS).map(weight).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{SHIPPED_DESCRIPTION, SHIPPED_JSON};

    #[test]
    fn the_shipped_model_is_what_its_description_compiles_to() {
        let canonical = compile(SHIPPED_DESCRIPTION).unwrap().to_canonical();
        #[expect(clippy::disallowed_methods, reason = "how golden files are written anew")]
        if std::env::var_os("SEKISHO_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scoring/shipped.json");
            std::fs::write(path, &canonical).unwrap();
        } else {
            let same = canonical == SHIPPED_JSON.as_bytes();
            assert!(same, "shipped.json is not shipped.toml compiled; SEKISHO_BLESS=1 writes it");
        }
    }

    /// Every weight of the golden model comes out of its precisions and half-lives.
    #[test]
    fn the_golden_model_compiles_to_its_own_knots() {
        let Some(octets) = crate::scoring::tests::shared("design/model.default.json") else {
            return;
        };
        let file: ModelFile = serde_json::from_slice(&octets).unwrap();
        let priors = [file.prior.asn, file.prior.domain, file.prior.ip, file.prior.prefix];
        let mut checked = 0;
        for (id, source) in &file.sources {
            for (kind, prior) in Kind::ALL.into_iter().zip(priors) {
                let Some(&precision) = source.pi.of(kind) else { continue };
                let ageing = Ageing::HalfLife { hours: *source.half_life_h.of(kind).unwrap() };
                let knots = knots(id, kind, precision, ageing, prior).unwrap();
                assert_eq!(Some(&knots), source.knots.of(kind), "{id}");
                checked += 1;
            }
        }
        assert_eq!(checked, 24);
    }

    /// The feeds that the program reads and the providers that it asks (SCORING 2.3 and 2.11).
    #[test]
    fn the_shipped_model_knows_every_source_of_the_program() {
        let model = Model::shipped();
        for id in [
            "openphish",
            "tweetfeed",
            "maltrail_malware",
            "maltrail_malicious",
            "maltrail_suspicious",
            "blp",
            "shadowwhisperer",
            "jarelllama",
            "urlhaus",
            "threatfox",
            "phishtank",
            "hagezi_tif",
            "certpl",
            "feodo",
            "spamhaus_drop",
            "spamhaus_asndrop",
            "firehol_l1",
            "et_compromised",
            "ipsum3",
            "cins",
            "blocklist_de",
            "phishing_database",
            "generic_list",
            "unreviewed_list",
            "vt",
            "vt_votes",
            "apivoid",
            "tip",
            "local_rank",
            "bgpranking",
        ] {
            assert!(model.source_index(id).is_some(), "{id}");
        }
        let openphish = model.source(model.source_index("openphish").unwrap());
        assert_eq!(openphish.reference(), Reference::FirstPresent);
        assert_eq!(openphish.weight(Kind::Domain, 720), openphish.weight(Kind::Domain, 0));
    }

    #[test]
    fn a_curve_of_misp_ages_by_its_polynomial() {
        // Half of three days leaves 1 - 0.5^(1/2.3) = 0.2602 of what 0.95 has over the prior.
        let text = "domain = { pi = 0.95, misp = { lifetime_days = 3, delta = 2.3 } }";
        let file = with("domain = { pi = 0.96, half_life_days = 3 }", text).unwrap();
        let openphish = &file.sources["openphish"];
        assert_eq!(openphish.half_life_h.domain, Some(12));
        let knots = openphish.knots.domain.as_ref().unwrap();
        assert_eq!((knots[0], knots[16], knots[32]), (3279, 1533, 0));
    }

    #[test]
    fn what_is_wrong_with_a_description_is_named() {
        let curve = "domain = { pi = 0.96, half_life_days = 3 }";
        for (from, to, expected) in [
            ("[caps]", "[cap]", "unknown field `cap`"),
            (curve, "domain = { pi = 0.96 }", "`openphish`, domain: give either"),
            (curve, "domain = { pi = 1.5, half_life_days = 3 }", "between 0 and 1"),
            (curve, "domain = { pi = 0.009, half_life_days = 3 }", "not above the prior, 0.0099"),
            (curve, "domain = { pi = 0.96, half_life_days = 0.03 }", "whole number of hours"),
            (curve, "domain = { pi = 0.96, half_life_days = -1 }", "whole number of hours"),
            (
                curve,
                "domain = { pi = 0.96, misp = { lifetime_days = 0.5, delta = 0 } }",
                "`delta` must be above 0",
            ),
            (
                curve,
                "domain = { pi = 0.96, misp = { lifetime_days = 0.125, delta = 2 } }",
                "a lifetime six times that",
            ),
            ("direct_pos = 6000", "direct_pos = -6000", "the cap has the wrong sign"),
        ] {
            let error = with(from, to).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
        let long = " ".repeat(DESCRIPTION_SIZE_BYTES_MAX + 1);
        assert!(matches!(compile(&long), Err(CompileError::TooLong { .. })));
    }

    #[test]
    fn a_slip_in_a_description_is_shown_at_its_place() {
        let text = "version = \"x\"\nthresold = 1\n";
        let diagnostic = compile(text).unwrap_err().diagnostic("m.toml", text);
        let place = diagnostic.place.unwrap();
        assert_eq!((place.line, place.column), (2, 1), "{}", diagnostic.message);
    }

    /// The shipped description with one text replaced, where it first stands.
    fn with(from: &str, to: &str) -> Result<ModelFile, CompileError> {
        assert!(SHIPPED_DESCRIPTION.contains(from), "{from}");
        compile(&SHIPPED_DESCRIPTION.replacen(from, to, 1))
    }
}
