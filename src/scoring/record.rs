//! The fact record as it is stored and exchanged (SCORING section 3): facts with the names of
//! sources spelled out.
//!
//! Beyond section 3 a record can hold the facts that 2.9 and 2.11 need: `category` and `url` of a
//! listing, `shared_range`, `multi_tenant`, `prediction`, `no_popularity_list`,
//! `below_registrable`.

use serde::{Deserialize, Serialize};

use super::Model;
use super::facts::{Facts, Listing, Listings, is_default};
use crate::model::{Category, Scope};

/// Everything known about one indicator, in no model's terms.
pub type FactRecord = Facts<Vec<ListingRecord>>;

/// One list's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListingRecord {
    /// The list's id.
    pub source: String,
    /// Hours since the time the list's `ref` names; 0 if absent.
    #[serde(default)]
    pub age_h: u32,
    /// Held back by the feed's own checks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quarantined: bool,
    /// The claim is about one URL on the host.
    #[serde(default, skip_serializing_if = "is_default")]
    pub url: bool,
    /// What the list says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
}

/// A record names a source that the model does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{source_id}` is no source of the model `{model_version}`")]
pub struct UnknownSource {
    /// The source.
    pub source_id: String,
    /// The model's name.
    pub model_version: String,
}

impl FactRecord {
    /// The facts in the terms of a model. Lists are put in order, so that the order in which they
    /// were recorded changes nothing.
    pub fn resolve(&self, model: &Model) -> Result<Facts, UnknownSource> {
        let listings: Result<Listings, _> =
            self.listings.iter().map(|listing| listing.resolve(model)).collect();
        let mut listings = listings?;
        listings.sort_unstable();
        Ok(self.with_listings(listings))
    }

    /// The record of facts that are in the terms of `model`.
    pub fn of(model: &Model, facts: &Facts) -> Self {
        let of = |listing| ListingRecord::of(model, listing);
        facts.with_listings(facts.listings.iter().map(of).collect())
    }
}

impl ListingRecord {
    fn resolve(&self, model: &Model) -> Result<Listing, UnknownSource> {
        let source = model.source_index(&self.source).ok_or_else(|| UnknownSource {
            source_id: self.source.clone(),
            model_version: model.version().to_owned(),
        })?;
        Ok(Listing {
            source,
            age_h: self.age_h,
            quarantined: self.quarantined,
            scope: if self.url { Scope::Url } else { Scope::Name },
            category: self.category.unwrap_or(Category::Suspicious),
        })
    }

    fn of(model: &Model, listing: &Listing) -> Self {
        Self {
            source: model.source(listing.source).id().to_owned(),
            age_h: listing.age_h,
            quarantined: listing.quarantined,
            url: listing.scope == Scope::Url,
            category: Some(listing.category).filter(|&named| named != Category::Suspicious),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FactRecord, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_type_is_needed_and_null_is_not_known() {
        let record =
            read(r#"{"type": "asn", "rank30": null, "parked": null, "lists": null}"#).unwrap();
        assert_eq!(record, read(r#"{"type": "asn"}"#).unwrap());
        assert!(read("{}").unwrap_err().contains("missing field `type`"));
    }

    #[test]
    fn unknown_keys_are_errors_at_every_depth() {
        for (text, key) in [
            (r#"{"type": "ip", "rank": 3}"#, "rank"),
            (r#"{"type": "ip", "lists": [{"source": "feodo", "age": 3}]}"#, "age"),
            (r#"{"type": "ip", "vt": {"malign": 1}}"#, "malign"),
            (r#"{"type": "ip", "infra": {"host": {"as": 1}}}"#, "as"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
        }
    }

    #[test]
    fn an_unknown_source_is_named() {
        let record = read(r#"{"type": "ip", "lists": [{"source": "feodoo"}]}"#).unwrap();
        let error = record.resolve(&Model::shipped()).unwrap_err();
        assert_eq!(error.source_id, "feodoo");
    }

    #[test]
    fn a_record_of_facts_reads_back_as_the_same_facts() {
        let text = r#"{
            "type": "domain", "admin": "deny", "prediction": 900, "below_registrable": true,
            "lists": [{"source": "openphish", "age_h": 3, "url": true, "category": "phishing"}],
            "tip": {"malware_db_hit": false, "age_h": 4}, "infra": {"host": {"ip": -3}}
        }"#;
        let model = Model::shipped();
        let facts = read(text).unwrap().resolve(&model).unwrap();
        let written = serde_json::to_string(&FactRecord::of(&model, &facts)).unwrap();
        assert_eq!(read(&written).unwrap().resolve(&model).unwrap(), facts);
        assert_eq!(facts.listings[0].scope, Scope::Url);
        assert_eq!(facts.listings[0].category, Category::Phishing);
    }
}
