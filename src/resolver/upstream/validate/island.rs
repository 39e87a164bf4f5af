//! Trust anchors below the root, for a validator that begins at the root.
//!
//! To the validator the world of the islands is a root zone with a key of our own, which delegates
//! each island with a signed DS record made from the island's anchors. So the one way to validate
//! is hickory's, unchanged. What an answer says about names outside the island it is about is cut
//! off before the validator sees it: those names are asked for on their own.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use hickory_net::NetError;
use hickory_net::runtime::{Time, TokioTime};
use hickory_net::xfer::DnsHandle;
use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::dnssec::{
    Algorithm, DigestType, DnsSecError, SigningKey, TBS, TrustAnchors, Verifier,
};
use hickory_proto::op::{DnsRequest, DnsResponse, Message, Query};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};

/// What our own records say of their time to live, in seconds. The validator keeps them so long.
const TTL_SECONDS: u32 = 3_600;
/// Our signatures, made for each question, hold from an hour ago for a day.
const INCEPTION_SECONDS: u32 = 3_600;
const EXPIRATION_SECONDS: u32 = 86_400;

/// The root zone of the islands.
pub(super) struct PrivateRoot {
    key: Ed25519SigningKey,
    dnskey: DNSKEY,
    /// The DS records of each island.
    islands: Vec<(Name, Vec<Record>)>,
}

impl PrivateRoot {
    /// With a new key, which never leaves the program.
    pub fn new(anchors: &[(Name, DNSKEY)]) -> Result<Self, DnsSecError> {
        let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8()?)?;
        let dnskey = DNSKEY::from_key(&key.to_public_key()?);
        let mut islands: Vec<(Name, Vec<Record>)> = Vec::new();
        for (name, anchor) in anchors {
            let digest = anchor.to_digest(name, DigestType::SHA256)?;
            let ds = DS::new(
                anchor.calculate_key_tag()?,
                anchor.algorithm(),
                DigestType::SHA256,
                digest.as_ref().to_vec(),
            );
            let rdata = RData::DNSSEC(DNSSECRData::DS(ds));
            let record = Record::from_rdata(name.clone(), TTL_SECONDS, rdata);
            match islands.iter_mut().find(|(island, _)| island == name) {
                Some((_, records)) => records.push(record),
                None => islands.push((name.clone(), vec![record])),
            }
        }
        Ok(Self { key, dnskey, islands })
    }

    /// The root's key, to be trusted.
    pub fn anchor(&self) -> TrustAnchors {
        let mut anchors = TrustAnchors::empty();
        anchors.insert(self.dnskey.public_key());
        anchors
    }

    /// The nearest island above a name, or at it.
    fn island_of(&self, name: &Name) -> Option<&Name> {
        let above = self.islands.iter().map(|(island, _)| island).filter(|i| i.zone_of(name));
        above.max_by_key(|island| island.num_labels())
    }

    /// What the root itself says, to the two questions that are its own.
    fn answer(&self, query: &Query, now: u32) -> Option<Message> {
        let records = match query.query_type() {
            RecordType::DNSKEY if query.name().is_root() => {
                let rdata = RData::DNSSEC(DNSSECRData::DNSKEY(self.dnskey.clone()));
                vec![Record::from_rdata(Name::root(), TTL_SECONDS, rdata)]
            }
            RecordType::DS => {
                let of_name = |(island, _): &&(Name, _)| island == query.name();
                self.islands.iter().find(of_name)?.1.clone()
            }
            _ => return None,
        };
        let signature = self.signature(&records, now).ok()?;
        let mut message = Message::query();
        message.add_query(query.clone());
        message.add_answers(records);
        message.add_answer(signature);
        Some(message.into_response())
    }

    fn signature(&self, set: &[Record], now: u32) -> Result<Record, DnsSecError> {
        let first = &set[0];
        let input = SigInput {
            type_covered: first.record_type(),
            algorithm: Algorithm::ED25519,
            num_labels: first.name.num_labels(),
            original_ttl: first.ttl,
            sig_expiration: SerialNumber::new(now.wrapping_add(EXPIRATION_SECONDS)),
            sig_inception: SerialNumber::new(now.wrapping_sub(INCEPTION_SECONDS)),
            key_tag: self.dnskey.calculate_key_tag()?,
            signer_name: Name::root(),
        };
        let signed = TBS::from_input(&first.name, DNSClass::IN, &input, set.iter())?;
        let rrsig = RRSIG::from_sig(input, self.key.sign(&signed)?);
        let rdata = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
        Ok(Record::from_rdata(first.name.clone(), first.ttl, rdata))
    }
}

/// Asks `H`, but for what the islands' root says itself.
#[derive(Clone)]
pub(super) struct Islands<H> {
    inner: H,
    root: Arc<PrivateRoot>,
}

impl<H> Islands<H> {
    pub fn new(inner: H, root: PrivateRoot) -> Self {
        Self { inner, root: Arc::new(root) }
    }
}

impl<H: DnsHandle> DnsHandle for Islands<H> {
    type Response = BoxStream<'static, Result<DnsResponse, NetError>>;
    type Runtime = H::Runtime;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let query = request.queries.first().cloned().unwrap_or_default();
        // The validator compares in 32 bits, too (RFC 4034 section 3.1.5).
        let now = TokioTime::current_time() as u32;
        if let Some(message) = self.root.answer(&query, now) {
            let response = DnsResponse::from_message(message).map_err(NetError::from);
            return stream::once(async move { response }).boxed();
        }
        let island = self.root.island_of(query.name()).cloned();
        let mut answers = self.inner.send(request);
        let cut = async move {
            let answer = answers.next().await.unwrap_or(Err(NetError::NoConnections));
            answer.map(|response| within(island.as_ref(), response))
        };
        stream::once(cut.boxed()).boxed()
    }
}

/// What a response says about names of the island.
fn within(island: Option<&Name>, mut response: DnsResponse) -> DnsResponse {
    let is_within = |record: &Record| island.is_some_and(|island| island.zone_of(&record.name));
    response.answers.retain(is_within);
    response.authorities.retain(is_within);
    response.additionals.retain(is_within);
    response
}
