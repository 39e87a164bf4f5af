//! DNSSEC validation of what recursion or forwarders say.
//!
//! hickory's validator knows one tree of trust, from the root down. Keys that the operator gives
//! for lower zones are islands of trust (RFC 4033 section 2): [`island`] makes a tree of their own
//! of them. The longest configured name above a name decides which tree it is validated in; a name
//! below none of them is answered as it comes, and its security is indeterminate.

mod amend;
mod diagnosis;
mod island;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::xfer::DnsHandle;
use hickory_net::{DnsError, NetError, NoRecords};
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::dnssec::{Proof, TrustAnchors, Verifier};
use hickory_proto::op::{DnsRequestOptions, DnsResponse, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_proto::serialize::txt::trust_anchor::{Entry, Parser};

use super::SettingsError;
use super::convert::{self, Item, Outcome};
use crate::model;
use crate::ports::Security;
use crate::ports::upstream::RCODE_NAME_ERROR;
use island::{Islands, PrivateRoot};

/// Stands in the text of trust anchors for the root's keys that IANA publishes.
const PUBLISHED: &str = "iana";

/// DNSSEC validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// DNSSEC records are passed on to who asks for them, and nothing is checked.
    Off,
    /// Everything below a trust anchor is checked.
    On {
        /// DNSKEY records in master file form, of the root or of lower zones; a line `iana` stands
        /// for the root's keys of 2017 and 2024 that IANA publishes. These if nothing is given.
        anchors: Option<String>,
    },
}

/// Checks the text of trust anchors.
pub fn check_anchors(text: &str) -> Result<(), SettingsError> {
    Anchors::read(text).map(drop)
}

/// The keys that are trusted without proof.
#[derive(Clone)]
pub(super) struct Anchors {
    root: Option<Arc<TrustAnchors>>,
    lower: Vec<(Name, DNSKEY)>,
}

impl Anchors {
    /// Those that the settings name; none if nothing is validated.
    pub fn of(validation: &Validation) -> Result<Option<Self>, SettingsError> {
        match validation {
            Validation::Off => Ok(None),
            Validation::On { anchors: None } => Self::read(PUBLISHED).map(Some),
            Validation::On { anchors: Some(text) } => Self::read(text).map(Some),
        }
    }

    fn read(text: &str) -> Result<Self, SettingsError> {
        let is_published = |line: &str| line.trim().eq_ignore_ascii_case(PUBLISHED);
        let keys: Vec<&str> = text.lines().filter(|line| !is_published(line)).collect();
        let mut root = match text.lines().any(is_published) {
            true => TrustAnchors::default(),
            false => TrustAnchors::empty(),
        };
        let mut lower = Vec::new();
        let entries = Parser::new(keys.join("\n") + "\n").parse();
        let wrong = |error: String| SettingsError::TrustAnchors(error);
        for entry in entries.map_err(|error| wrong(error.to_string()))? {
            let Entry::DNSKEY(key) = entry else {
                return Err(wrong("DNSKEY records alone can be anchors".to_owned()));
            };
            let (name, key) = (key.name(), key.data());
            if !key.zone_key() || key.revoke() {
                return Err(wrong(format!("the key of {name} is no zone key, or is revoked")));
            }
            if !key.algorithm().is_supported() {
                let algorithm = key.algorithm();
                return Err(wrong(format!("the key of {name}: algorithm {algorithm} is unknown")));
            }
            match name.is_root() {
                true => _ = root.insert(key.public_key()),
                false => lower.push((name.to_lowercase(), key.clone())),
            }
        }
        if root.is_empty() && lower.is_empty() {
            return Err(wrong("no key".to_owned()));
        }
        Ok(Self { root: (!root.is_empty()).then(|| Arc::new(root)), lower })
    }
}

/// Asks `H` and validates what it says.
pub(super) struct Validator<H: DnsHandle> {
    inner: H,
    root: Option<DnssecDnsHandle<H>>,
    lower: Option<DnssecDnsHandle<Islands<H>>>,
    islands: Vec<Name>,
}

impl<H: DnsHandle> Validator<H> {
    pub fn new(anchors: &Anchors, inner: H) -> Result<Self, SettingsError> {
        let of_root = |anchors: &Arc<TrustAnchors>| {
            DnssecDnsHandle::with_trust_anchor(inner.clone(), anchors.clone())
        };
        let root = anchors.root.as_ref().map(of_root);
        let lower = match anchors.lower.is_empty() {
            true => None,
            false => {
                let private = PrivateRoot::new(&anchors.lower)
                    .map_err(|error| SettingsError::TrustAnchors(error.to_string()))?;
                let anchor = Arc::new(private.anchor());
                let islands = Islands::new(inner.clone(), private);
                Some(DnssecDnsHandle::with_trust_anchor(islands, anchor))
            }
        };
        let islands = anchors.lower.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { inner, root, lower, islands })
    }

    /// Whether a trust anchor stands above the name.
    pub fn covers(&self, name: &model::Name) -> bool {
        self.root.is_some() || self.is_on_island(&convert::hickory_name(name.as_ref()))
    }

    fn is_on_island(&self, name: &Name) -> bool {
        self.islands.iter().any(|island| island.zone_of(name))
    }

    /// What the upstream says to a question, validated as far as trust anchors allow.
    pub async fn resolve(&self, name: &model::Name, wanted: u16) -> Result<Found, NetError> {
        let owner = convert::hickory_name(name.as_ref());
        let query = Query::query(owner, RecordType::from(wanted));
        let is_on_island = self.is_on_island(query.name());
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let asking = match (&self.lower, &self.root) {
            (Some(lower), _) if is_on_island => ask(lower, query, options),
            (_, Some(root)) => ask(root, query, options),
            _ => ask(&self.inner, query, options),
        };
        Found::read(name, asking.await.map(amended))
    }
}

/// A validated answer, with what the validator takes for unsigned although it need not be signed.
fn amended(mut response: DnsResponse) -> DnsResponse {
    amend::synthesized(&mut response);
    response
}

/// Boxed: the three futures differ, and they are large.
fn ask<H: DnsHandle>(
    handle: &H,
    query: Query,
    options: DnsRequestOptions,
) -> BoxFuture<'static, Result<DnsResponse, NetError>> {
    let mut answers = handle.lookup(query, options);
    async move { answers.next().await.unwrap_or(Err(NetError::NoConnections)) }.boxed()
}

/// What came of a question.
pub(super) struct Found {
    pub outcome: Outcome,
    /// Whether there is no answer, not even an alias.
    pub is_negative: bool,
    /// The name that a negative result is about.
    pub about: model::Name,
}

impl Found {
    /// Negative results may come as errors; what is left are failures.
    pub fn read(
        name: &model::Name,
        result: Result<DnsResponse, NetError>,
    ) -> Result<Self, NetError> {
        match result {
            Ok(response) => Ok(Self::of_message(name, &response)),
            Err(NetError::Dns(DnsError::NoRecordsFound(found))) if found.ns.is_none() => {
                Ok(Self::negative(found))
            }
            Err(NetError::Dns(DnsError::Nsec { response, query, .. }))
                if amend::is_proven_expansion(query.name(), &response) =>
            {
                Ok(Self::of_message(name, &response))
            }
            Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => {
                let mut found = Self::of_message(name, &response);
                found.about = name.clone();
                found.outcome.security = Some(security(proof));
                if proof == Proof::Bogus && found.outcome.extended.is_empty() {
                    found.outcome.extended.push(diagnosis::of_denial(&response));
                }
                Ok(found)
            }
            Err(error) => Err(error),
        }
    }

    /// From a message, an empty answer of which is negative.
    pub fn of_message(name: &model::Name, message: &Message) -> Self {
        let mut outcome = convert::outcome(message);
        outcome.extended.extend(diagnosis::of_records(message));
        if amend::rests_on_opt_out(&convert::hickory_name(name.as_ref()), message) {
            outcome.security = Some(Security::Insecure);
        }
        let about = message.queries.first().map(|query| convert::name(query.name()));
        let is_negative = outcome.answers.is_empty();
        Self { outcome, is_negative, about: about.unwrap_or_else(|| name.clone()) }
    }

    /// From hickory's form of a negative answer.
    pub fn negative(found: NoRecords) -> Self {
        let mut outcome = Outcome::default();
        if found.response_code == ResponseCode::NXDomain {
            outcome.rcode = RCODE_NAME_ERROR;
        }
        let records: &[Record] = found.authorities.as_deref().unwrap_or_default();
        outcome.authorities = records.iter().filter_map(convert::item).collect();
        if let Some(soa) = found.soa.filter(|_| !outcome.authorities.iter().any(is_soa)) {
            outcome.authorities.extend(convert::item(&soa.into_record_of_rdata()));
        }
        Self { outcome, is_negative: true, about: convert::name(found.query.name()) }
    }
}

fn is_soa(item: &Item) -> bool {
    item.record.rtype == super::assemble::rtype::SOA
}

fn security(proof: Proof) -> Security {
    match proof {
        Proof::Secure => Security::Secure,
        Proof::Insecure => Security::Insecure,
        Proof::Indeterminate => Security::Indeterminate,
        Proof::Bogus => Security::Bogus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = ". 300 IN DNSKEY 257 3 15 pQ9Ja2sjnOUZzEZKZ2qHOv8dLrzDgRh4Wm5dfLnXWaE=";

    #[test]
    fn anchors_are_keys_of_the_root_and_of_lower_zones() {
        let lower = ROOT.replacen(". ", "Corp.Example. ", 1);
        for (text, root, islands) in [
            (ROOT.to_owned(), 1, 0),
            ("iana".to_owned(), 2, 0),
            (lower.clone(), 0, 1),
            (format!(" IANA \n{lower}\n{ROOT}"), 3, 1),
        ] {
            let anchors = Anchors::read(&text).unwrap();
            let found = anchors.root.map_or(0, |root| root.len());
            assert_eq!((found, anchors.lower.len()), (root, islands), "{text}");
        }
        for text in [
            "",
            "\n",
            "corp.",
            ". IN DNSKEY 257 3 15 x",
            &ROOT.replace("257", "1"),
            &ROOT.replace(" 15 ", " 99 "),
        ] {
            assert!(check_anchors(text).is_err(), "{text}");
        }
    }
}
