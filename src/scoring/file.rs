//! The compiled model as it is stored: canonical JSON, whole numbers but for the precisions.
//!
//! Canonical means sorted keys, one space of indentation a level, no newline at the end, and no
//! key that only repeats a default. The SHA-256 of these octets is the model id, so `sha256sum` of
//! a canonical file gives it as well. Unknown and repeated keys are errors.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Kind;
use super::facts::is_default;

/// The whole model; `S` is a source, compiled or as people describe it (`compile.rs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct ModelFile<S = SourceFile> {
    /// Days since registration (SCORING 2.6).
    pub age_days: Vec<Band>,
    /// APIVoid (SCORING 2.5).
    pub apivoid: ApiVoidFile,
    /// CIRCL BGP Ranking (SCORING 2.5).
    pub bgpranking: BgpRankingFile,
    /// Caps of the channels.
    pub caps: CapsFile,
    /// Couplings of classes, `list|vt`, in permille.
    #[serde(deserialize_with = "unique_keys")]
    pub class_pairs: BTreeMap<String, u16>,
    /// Switches of the guards (SCORING 2.11).
    #[serde(default, skip_serializing_if = "is_default")]
    pub guards: GuardsFile,
    /// Seen here on 30 of 60 days by 5 clients.
    pub local_history: i32,
    /// Hours since the first observation.
    pub nod_hours: Vec<Band>,
    /// Couplings of sources, `openphish|hagezi_tif`, in permille.
    #[serde(deserialize_with = "unique_keys")]
    pub pairs: BTreeMap<String, u16>,
    /// The prediction from the name and its neighbourhood.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prediction: PredictionFile,
    /// Log-odds before any evidence.
    pub prior: PriorFile,
    /// Worst rank of the last 30 days.
    pub rank30: Vec<Band>,
    /// Sources by id.
    #[serde(deserialize_with = "unique_keys")]
    pub sources: BTreeMap<String, S>,
    /// Where the levels begin and end.
    pub thresholds: ThresholdsFile,
    /// Threat Intelligence Platform, test 82.
    pub tip: TipFile,
    /// The unit of all weights; only `mban` is known.
    pub unit: String,
    /// The model's name, for people.
    pub version: String,
    /// VirusTotal.
    pub vt: VirusTotalFile,
}

impl<S> ModelFile<S> {
    /// The same model with other sources.
    pub fn with_sources<T>(self, sources: BTreeMap<String, T>) -> ModelFile<T> {
        ModelFile {
            age_days: self.age_days,
            apivoid: self.apivoid,
            bgpranking: self.bgpranking,
            caps: self.caps,
            class_pairs: self.class_pairs,
            guards: self.guards,
            local_history: self.local_history,
            nod_hours: self.nod_hours,
            pairs: self.pairs,
            prediction: self.prediction,
            prior: self.prior,
            rank30: self.rank30,
            sources,
            thresholds: self.thresholds,
            tip: self.tip,
            unit: self.unit,
            version: self.version,
            vt: self.vt,
        }
    }
}

impl ModelFile {
    /// The octets whose SHA-256 is the model id.
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let layout = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut octets, layout);
        self.serialize(&mut serializer).expect("numbers and strings always have a JSON form");
        octets
    }
}

/// One source, compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Which couplings hold where no pair is named.
    pub class: Class,
    /// It takes in much: without a source that is not generic it enforces nothing (SCORING 2.11 j).
    #[serde(default, skip_serializing_if = "is_default")]
    pub generic: bool,
    /// Hours that do not age a listing; 48 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_h: Option<u32>,
    /// Half-lives in hours.
    #[serde(default, skip_serializing_if = "is_default")]
    pub half_life_h: PerKind<u32>,
    /// Weights as the listing ages, 33 each.
    #[serde(default, skip_serializing_if = "is_default")]
    pub knots: PerKind<Vec<i16>>,
    /// Sources of one origin are verbatim copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Precisions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pi: PerKind<Precision>,
    /// What the age counts from.
    #[serde(default, rename = "ref", skip_serializing_if = "is_default")]
    pub reference: Reference,
    /// 0 primary list, 1 provider or local rank, 2 aggregator.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stage: u8,
    /// Audited well enough to block a young name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

/// What a source is, as far as dependence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Class {
    /// A list of indicators.
    List = 0,
    /// VirusTotal's engines.
    Vt = 1,
    /// VirusTotal's votes.
    Votes = 2,
    /// APIVoid.
    ApiVoid = 3,
    /// Threat Intelligence Platform.
    Tip = 4,
    /// Our own rank of the origin AS or prefix (SCORING 2.8).
    Local = 5,
    /// CIRCL BGP Ranking.
    Bgpr = 6,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 7] =
        [Self::List, Self::Vt, Self::Votes, Self::ApiVoid, Self::Tip, Self::Local, Self::Bgpr];

    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Vt => "vt",
            Self::Votes => "votes",
            Self::ApiVoid => "apivoid",
            Self::Tip => "tip",
            Self::Local => "local",
            Self::Bgpr => "bgpr",
        }
    }
}

/// What the age of a listing counts from (SCORING 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The date the feed itself gives.
    #[default]
    Upstream,
    /// The last fetch that held the entry: lists that take entries off again.
    LastPresent,
    /// The first fetch that held the entry: lists that only grow.
    FirstPresent,
}

/// How well a source is audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// Lower bound of the precision at least 0.97 after 40 audits (SCORING 2.3).
    A,
}

/// A value for each kind of indicator that has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct PerKind<T> {
    /// For an AS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<T>,
    /// For a domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<T>,
    /// For an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<T>,
    /// For a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<T>,
}

impl<T> Default for PerKind<T> {
    fn default() -> Self {
        Self { asn: None, domain: None, ip: None, prefix: None }
    }
}

impl<T> PerKind<T> {
    /// The value for that kind.
    pub fn of(&self, kind: Kind) -> Option<&T> {
        match kind {
            Kind::Asn => self.asn.as_ref(),
            Kind::Domain => self.domain.as_ref(),
            Kind::Ip => self.ip.as_ref(),
            Kind::Prefix => self.prefix.as_ref(),
        }
    }

    /// Sets the value for that kind.
    pub fn set(&mut self, kind: Kind, value: T) {
        let place = match kind {
            Kind::Asn => &mut self.asn,
            Kind::Domain => &mut self.domain,
            Kind::Ip => &mut self.ip,
            Kind::Prefix => &mut self.prefix,
        };
        *place = Some(value);
    }
}

/// A precision in ppm, written as a fraction of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision(pub u32);

impl Serialize for Precision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1e6)
    }
}

impl<'de> Deserialize<'de> for Precision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fraction = f64::deserialize(deserializer)?;
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(de::Error::custom("a precision lies between 0 and 1, without both"));
        }
        Ok(Self((fraction * 1e6).round() as u32))
    }
}

/// A step of a table: values below the bound that no earlier step took weigh `mban`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band(pub Bound, pub i32);

/// Where a step ends; the last step of a table has no end, `null` in JSON, `"above"` in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound(pub Option<u32>);

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoundVisitor;
        impl Visitor<'_> for BoundVisitor {
            type Value = Bound;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or null (\"above\") for the last step")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Bound, E> {
                u32::try_from(value).map(|bound| Bound(Some(bound))).map_err(de::Error::custom)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Bound, E> {
                u32::try_from(value).map(|bound| Bound(Some(bound))).map_err(de::Error::custom)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Bound, E> {
                match value {
                    "above" => Ok(Bound(None)),
                    _ => Err(de::Error::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }

            fn visit_unit<E: de::Error>(self) -> Result<Bound, E> {
                Ok(Bound(None))
            }
        }
        deserializer.deserialize_any(BoundVisitor)
    }
}

/// APIVoid: weights by detections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiVoidFile {
    /// By number of detections.
    pub detections: Vec<Band>,
    /// Hours over which the answer ages to nothing.
    pub tau_h: u32,
}

/// BGP Ranking: weights by position divided by the number of ranked AS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BgpRankingFile {
    /// In ppm; unlike in other tables a bound belongs to its own step ("≤ 0.1 %").
    pub q_ppm: Vec<Band>,
}

/// The most that a channel can say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapsFile {
    /// Least sum of negative direct evidence.
    pub direct_neg: i32,
    /// Greatest sum of positive direct evidence.
    pub direct_pos: i32,
    /// Least sum of negative infrastructure.
    pub infra_neg: i32,
    /// Greatest sum of positive infrastructure.
    pub infra_pos: i32,
}

/// Switches of the guards; all off in the golden model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardsFile {
    /// A copy is no group in G9, even of a source that is hardly heard.
    #[serde(default, skip_serializing_if = "is_default")]
    pub distinct_origins: bool,
    /// A tier-A source may redirect an established host below its registrable domain
    /// (SCORING 2.11 g).
    #[serde(default, skip_serializing_if = "is_default")]
    pub tier_a_redirects_hosts: bool,
}

/// How the prediction enters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionFile {
    /// What a strong prediction counts towards diversity in G9, in ppm of a group.
    pub diversity_ppm: u32,
    /// The most it can say, in mban.
    pub max: i32,
    /// From here on it is strong, in mban.
    pub strong: i32,
}

impl Default for PredictionFile {
    fn default() -> Self {
        Self { diversity_ppm: 400_000, max: 2400, strong: 1000 }
    }
}

/// Log-odds before any evidence, in mban (SCORING 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorFile {
    /// Of an AS.
    pub asn: i32,
    /// Of a domain.
    pub domain: i32,
    /// Of an address.
    pub ip: i32,
    /// Of a prefix.
    pub prefix: i32,
}

/// Where the levels begin and end (SCORING 2.9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdsFile {
    /// Of block.
    pub block: StepFile,
    /// Changes in seven days after which a level only falls.
    #[serde(default = "changes_max", skip_serializing_if = "is_changes_max")]
    pub changes_max: u32,
    /// Hours that a level is kept before it falls.
    pub min_dwell_h: u32,
    /// Of monitor.
    pub monitor: StepFile,
    /// Of redirect.
    pub redirect: StepFile,
}

/// A level begins at `on` and, once begun, ends below `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Where it ends, in mban.
    pub off: i32,
    /// Where it begins, in mban.
    pub on: i32,
}

/// Threat Intelligence Platform's test of malware databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TipFile {
    /// Weight of "not found".
    pub malware_db_clean: i32,
    /// Weight of a hit.
    pub malware_db_hit: i32,
    /// Hours over which the answer ages to nothing.
    pub tau_h: u32,
}

/// VirusTotal's engines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirusTotalFile {
    /// No detection, analysed when the name was younger than a day.
    pub clean_fresh: i32,
    /// No detection, analysed later.
    pub clean_mature: i32,
    /// By half units: two for a malicious verdict, one for a suspicious one.
    pub half_units: Vec<Band>,
    /// Fewer engines than this cannot clear a name.
    pub min_engines: u32,
    /// Hours over which a clean answer ages to nothing.
    pub tau_clean_h: u32,
    /// Hours over which detections age to nothing.
    pub tau_h: u32,
}

/// At most 4 changes an indicator and 7 days (SCORING 2.9).
fn changes_max() -> u32 {
    4
}

fn is_changes_max(changes: &u32) -> bool {
    *changes == changes_max()
}

/// A map in which a repeated key is an error, not the last one's victory.
fn unique_keys<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct UniqueVisitor<V>(PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<String, V>()? {
                if map.contains_key(&key) {
                    return Err(de::Error::custom(format_args!("the key `{key}` is repeated")));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(UniqueVisitor(PhantomData))
}
