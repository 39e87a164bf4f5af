//! Signatures on transfers (RFC 8945), for one request and the sequence of messages that answers
//! it, on both sides.
//!
//! SHA-256 and up; MD5 and SHA-1 are not for new systems (RFC 8945 section 6), and shortened
//! signatures are neither made nor taken.

mod record;

use std::fmt;
use std::sync::Arc;

use ring::hmac;

use self::record::{ANY, Signature, Variables, append};
use super::wire::{HEADER_OCTETS, Header, rcode, refusal};
use crate::model::{Name, NameRef, Timestamp};

/// How far clocks may be apart, in seconds (RFC 8945 section 10).
pub const FUDGE_SECONDS: u16 = 300;
/// How many messages in a row may come without a signature (RFC 8945 section 5.3.1).
const UNSIGNED_MAX: u32 = 99;

/// How signatures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl Algorithm {
    /// All that are known.
    pub const ALL: [Algorithm; 3] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    /// The name in configuration files and, with a final dot, on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    /// The algorithm of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }

    fn mac_octets(self) -> usize {
        self.hmac().digest_algorithm().output_len()
    }

    fn write_name(self, out: &mut Vec<u8>) {
        out.push(self.as_str().len() as u8);
        out.extend(self.as_str().bytes());
        out.push(0);
    }
}

/// A shared secret with its name.
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: hmac::Key,
}

impl Key {
    /// A key; the secret should be as long as the algorithm's output.
    pub fn new(name: Name, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { name, algorithm, secret: hmac::Key::new(algorithm.hmac(), secret) }
    }

    /// Its name.
    pub fn name(&self) -> NameRef<'_> {
        self.name.as_ref()
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many octets a signature adds to a message at most.
    pub fn signature_octets(&self) -> usize {
        const FIXED: usize = 10 + 6 + 2 + 2 + 2 + 2 + 2 + 6;
        let algorithm = self.algorithm.as_str().len() + 2;
        self.name.as_ref().wire_octets() + FIXED + algorithm + self.algorithm.mac_octets()
    }
}

/// The secret is not shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm.as_str())
    }
}

/// The keys that a server knows.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Arc<Key>>);

impl Keys {
    /// A set of keys. Of those with one name and algorithm the first counts.
    pub fn new(keys: Vec<Arc<Key>>) -> Self {
        Self(keys)
    }

    fn find(&self, name: NameRef<'_>, algorithm: Option<Algorithm>) -> Option<&Arc<Key>> {
        self.0.iter().find(|key| key.name() == name && Some(key.algorithm) == algorithm)
    }
}

/// Errors in a signature record (RFC 8945 section 3, RFC 6895 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
enum Code {
    /// BADSIG.
    Signature = 16,
    /// BADKEY.
    Key = 17,
    /// BADTIME.
    Time = 18,
    /// BADTRUNC.
    Truncation = 22,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TsigError {
    /// The message or its signature record cannot be read.
    #[error("a malformed message or signature")]
    Malformed,
    /// A key or algorithm that is not known.
    #[error("the key `{0}.` or its algorithm is not known")]
    UnknownKey(Name),
    /// A signature that the key did not make.
    #[error("a signature that does not hold")]
    BadSignature,
    /// A signature that was shortened.
    #[error("a signature that was shortened")]
    Truncated,
    /// A signature of another time.
    #[error("a signature of a time {seconds} s away")]
    BadTime {
        /// How far the clocks are apart.
        seconds: u64,
    },
    /// No signature where one is due.
    #[error("no signature")]
    Unsigned,
    /// The other side did not take our signature.
    #[error("the other side refuses our signature with error {0}")]
    Refused(u16),
}

/// A request whose signature is not good, with the answer that is due.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What is wrong.
    pub error: TsigError,
    /// What to send (RFC 8945 section 5.3.2); none where the request cannot be read.
    pub response: Option<Vec<u8>>,
}

/// The server's side of a transfer.
#[derive(Debug, Clone)]
pub struct ServerSequence(Chain);

impl ServerSequence {
    /// Checks a request (RFC 8945 section 5.2) and takes the signature off; none where it has no
    /// signature.
    pub fn check(
        keys: &Keys,
        request: &mut Vec<u8>,
        now: Timestamp,
    ) -> Result<Option<Self>, Box<Refusal>> {
        let refuse = |error, response| Box::new(Refusal { error, response });
        let signature = match Signature::find(request) {
            Ok(None) => return Ok(None),
            Ok(Some(signature)) => signature,
            Err(error) => return Err(refuse(error, refusal(request, rcode::FORMERR))),
        };
        let answer = |code, key: Option<&Chain>| signature.error_response(request, code, key, now);
        let Some(key) = keys.find(signature.key.as_ref(), signature.algorithm) else {
            let error = TsigError::UnknownKey(signature.key.clone());
            return Err(refuse(error, answer(Code::Key, None)));
        };
        let mut chain = Chain::new(key.clone());
        chain.digest_message(&request[..signature.start], signature.original_id);
        chain.digest_variables(&signature.variables);
        let octets = key.algorithm.mac_octets();
        match signature.mac.len() {
            length if length == octets => {}
            // Neither a full signature nor one that anybody may make (section 5.2.2.1).
            length if length > octets || length < (octets / 2).max(10) => {
                return Err(refuse(TsigError::Malformed, refusal(request, rcode::FORMERR)));
            }
            _ => {
                chain.start(&signature.mac);
                return Err(refuse(TsigError::Truncated, answer(Code::Truncation, Some(&chain))));
            }
        }
        if chain.verify(&signature.mac).is_err() {
            return Err(refuse(TsigError::BadSignature, answer(Code::Signature, None)));
        }
        chain.start(&signature.mac);
        if let Err(error) = signature.variables.check_time(now) {
            return Err(refuse(error, answer(Code::Time, Some(&chain))));
        }
        signature.remove(request);
        Ok(Some(Self(chain)))
    }

    /// The key that signed the request.
    pub fn key(&self) -> &Arc<Key> {
        &self.0.key
    }

    /// Signs the next message of the answer. The caller left room for
    /// [`Key::signature_octets`].
    pub fn sign(&mut self, message: &mut Vec<u8>, now: Timestamp) {
        self.0.sign(message, Variables::new(now));
    }

    /// Takes in a message of the answer that goes without a signature, as other servers send them.
    #[cfg(test)]
    pub fn pass(&mut self, message: &[u8]) {
        self.0.context.update(message);
    }
}

/// The client's side of a transfer.
#[derive(Debug, Clone)]
pub struct ClientSequence {
    chain: Chain,
    unsigned: u32,
}

impl ClientSequence {
    /// Signs a request.
    pub fn sign(key: Arc<Key>, request: &mut Vec<u8>, now: Timestamp) -> Self {
        let mut chain = Chain::new(key);
        chain.sign(request, Variables::new(now));
        // The answer comes first on the wire after the request, with all variables.
        chain.first = true;
        Self { chain, unsigned: 0 }
    }

    /// Checks the next message of the answer (RFC 8945 section 5.3.1) and takes the signature off.
    /// Messages between the first and the last may have none.
    pub fn check(&mut self, message: &mut Vec<u8>, now: Timestamp) -> Result<(), TsigError> {
        let Some(signature) = Signature::find(message)? else {
            if self.chain.first || self.unsigned == UNSIGNED_MAX {
                return Err(TsigError::Unsigned);
            }
            self.unsigned += 1;
            self.chain.context.update(message);
            return Ok(());
        };
        if signature.mac.is_empty() && signature.variables.error != 0 {
            return Err(TsigError::Refused(signature.variables.error));
        }
        let key = &self.chain.key;
        if signature.key != key.name || signature.algorithm != Some(key.algorithm) {
            return Err(TsigError::UnknownKey(signature.key));
        }
        self.chain.digest_message(&message[..signature.start], signature.original_id);
        match self.chain.first {
            true => self.chain.digest_variables(&signature.variables),
            false => self.chain.digest_timers(&signature.variables),
        }
        self.chain.verify(&signature.mac)?;
        self.chain.start(&signature.mac);
        self.chain.first = false;
        if signature.variables.error != 0 {
            return Err(TsigError::Refused(signature.variables.error));
        }
        signature.variables.check_time(now)?;
        signature.remove(message);
        self.unsigned = 0;
        Ok(())
    }

    /// Checks that the answer may end here: its last message was signed.
    pub fn finish(self) -> Result<(), TsigError> {
        match self.chain.first || self.unsigned > 0 {
            true => Err(TsigError::Unsigned),
            false => Ok(()),
        }
    }
}

/// The digest of what was said so far since the last signature, which starts with that signature
/// (RFC 8945 section 4.3).
#[derive(Clone)]
struct Chain {
    key: Arc<Key>,
    context: hmac::Context,
    /// Whether the next signature is the first after the request's, or the request's own.
    first: bool,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({:?})", self.key)
    }
}

impl Chain {
    fn new(key: Arc<Key>) -> Self {
        let context = hmac::Context::with_key(&key.secret);
        Self { key, context, first: true }
    }

    /// Begins anew after a signature.
    fn start(&mut self, mac: &[u8]) {
        self.context = hmac::Context::with_key(&self.key.secret);
        self.context.update(&(mac.len() as u16).to_be_bytes());
        self.context.update(mac);
    }

    /// Takes in a message without its signature record, as it was when it was signed.
    fn digest_message(&mut self, message: &[u8], original_id: u16) {
        let Some(header) = Header::read(message) else { return };
        let [questions, answers, authority, additional] = header.counts;
        let counts = [questions, answers, authority, additional.saturating_sub(1)];
        self.context.update(&Header { id: original_id, counts, ..header }.to_octets());
        self.context.update(&message[HEADER_OCTETS..]);
    }

    fn digest_variables(&mut self, variables: &Variables) {
        let mut octets = Vec::with_capacity(64);
        self.key.name().write_wire(&mut octets);
        octets.extend(ANY.to_be_bytes());
        octets.extend(0u32.to_be_bytes());
        self.key.algorithm.write_name(&mut octets);
        variables.write_timers(&mut octets);
        octets.extend(variables.error.to_be_bytes());
        octets.extend((variables.other.len() as u16).to_be_bytes());
        octets.extend_from_slice(&variables.other);
        self.context.update(&octets);
    }

    fn digest_timers(&mut self, variables: &Variables) {
        let mut octets = Vec::with_capacity(8);
        variables.write_timers(&mut octets);
        self.context.update(&octets);
    }

    /// Compares in constant time.
    fn verify(&self, mac: &[u8]) -> Result<(), TsigError> {
        let made = self.context.clone().sign();
        // ring compares in constant time when it verifies a signature of a message; here the
        // message was taken in piece by piece.
        let differs = made.as_ref().iter().zip(mac).fold(0, |sum, (a, b)| sum | (a ^ b));
        match made.as_ref().len() == mac.len() && std::hint::black_box(differs) == 0 {
            true => Ok(()),
            false => Err(TsigError::BadSignature),
        }
    }

    /// Signs a message and goes on from there.
    fn sign(&mut self, message: &mut Vec<u8>, variables: Variables) {
        let id = Header::read(message).map_or(0, |header| header.id);
        self.context.update(message);
        match self.first {
            true => self.digest_variables(&variables),
            false => self.digest_timers(&variables),
        }
        let mac = self.context.clone().sign();
        self.first = false;
        self.start(mac.as_ref());
        let name = self.key.name().to_wire();
        let mut algorithm = Vec::new();
        self.key.algorithm.write_name(&mut algorithm);
        append(message, &name, &algorithm, &variables, mac.as_ref(), id);
    }
}

impl Signature {
    /// The answer to a request that this record does not sign well (RFC 8945 section 5.3.2): not
    /// signed where the key or the signature is bad, else signed.
    fn error_response(
        &self,
        request: &[u8],
        code: Code,
        signed: Option<&Chain>,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let mut response = refusal(request, rcode::NOTAUTH)?;
        let other = match code {
            Code::Time => u64::from(now.0).to_be_bytes()[2..].to_vec(),
            _ => Vec::new(),
        };
        let (time, fudge) = (self.variables.time, self.variables.fudge);
        let variables = Variables { time, fudge, error: code as u16, other };
        if let Some(chain) = signed {
            chain.clone().sign(&mut response, variables);
            return Some(response);
        }
        let id = Header::read(request)?.id;
        let (name, algorithm) =
            (self.key.as_ref().to_wire(), self.algorithm_name.as_ref().to_wire());
        append(&mut response, &name, &algorithm, &variables, &[], id);
        Some(response)
    }
}

#[cfg(test)]
mod tests;
