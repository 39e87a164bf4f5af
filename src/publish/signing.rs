//! Detached signatures in the form of minisign, made with Ed25519.
//!
//! Files and keys are those of `minisign`: `minisign -Vm FILE -p sekisho.pub` verifies what is
//! signed here, and a secret key that `minisign -GW` made (one without a password) signs here. The
//! content is hashed with BLAKE2b-512 and the hash is signed, so that it need not be in memory.
//! Formats: <https://jedisct1.github.io/minisign/#signature-format>.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest as _};
use data_encoding::BASE64;
use ring::rand::SecureRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// "Ed": a key, or a signature of the content itself.
const ALGORITHM: &[u8; 2] = b"Ed";
/// "ED": a signature of the content's BLAKE2b-512 hash.
const ALGORITHM_HASHED: &[u8; 2] = b"ED";
/// "B2": the checksum of a secret key is BLAKE2b-256.
const CHECKSUM: &[u8; 2] = b"B2";
/// A secret key: algorithm, key derivation, checksum algorithm, salt, two limits, then key number,
/// seed with public key, and checksum.
const SECRET_OCTETS: usize = 2 + 2 + 2 + 32 + 8 + 8 + PAYLOAD_OCTETS + 32;
/// Key number, seed and public key.
const PAYLOAD_OCTETS: usize = 8 + 64;

/// Why a key cannot be used or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Not two lines of which the second is base64 of the right length.
    #[error("not a secret key of minisign")]
    Malformed,
    /// It has a password, which nobody types here.
    #[error("the key has a password")]
    Encrypted,
    /// Its checksum or its public half does not fit.
    #[error("the key is damaged")]
    Damaged,
    /// The system has no randomness.
    #[error("no randomness")]
    Random,
}

/// A key that signs.
pub struct SigningKey {
    number: [u8; 8],
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id())
    }
}

impl SigningKey {
    /// A new key.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, SigningError> {
        let (mut number, mut seed) = ([0; 8], [0; 32]);
        random.fill(&mut number).map_err(|_| SigningError::Random)?;
        random.fill(&mut seed).map_err(|_| SigningError::Random)?;
        Self::of(number, seed)
    }

    fn of(number: [u8; 8], seed: [u8; 32]) -> Result<Self, SigningError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| SigningError::Damaged)?;
        Ok(Self { number, seed, pair })
    }

    /// Reads a secret key file.
    pub fn read(text: &str) -> Result<Self, SigningError> {
        let line = text.lines().nth(1).ok_or(SigningError::Malformed)?;
        let octets = BASE64.decode(line.trim().as_bytes()).map_err(|_| SigningError::Malformed)?;
        let octets: [u8; SECRET_OCTETS] = octets.try_into().map_err(|_| SigningError::Malformed)?;
        if &octets[..2] != ALGORITHM || &octets[4..6] != CHECKSUM {
            return Err(SigningError::Malformed);
        }
        if octets[2..4] != [0, 0] {
            return Err(SigningError::Encrypted);
        }
        let (payload, checksum) = octets[54..].split_at(PAYLOAD_OCTETS);
        let number = payload[..8].try_into().expect("eight octets");
        let seed = payload[8..40].try_into().expect("thirty-two octets");
        let key = Self::of(number, seed)?;
        let sound = checksum == &self::checksum(payload)[..];
        match sound && key.pair.public_key().as_ref() == &payload[40..] {
            true => Ok(key),
            false => Err(SigningError::Damaged),
        }
    }

    /// The secret key file, without a password: it is to be readable for us alone.
    pub fn secret_file(&self) -> String {
        let payload = [&self.number[..], &self.seed, self.pair.public_key().as_ref()].concat();
        let head = [&ALGORITHM[..], &[0, 0], CHECKSUM, &[0; 32 + 8 + 8]].concat();
        let octets = [&head[..], &payload, &checksum(&payload)].concat();
        format!("untrusted comment: sekisho secret key {}\n{}\n", self.id(), BASE64.encode(&octets))
    }

    /// The public key file.
    pub fn public_file(&self) -> String {
        format!("untrusted comment: sekisho public key {}\n{}\n", self.id(), self.public_key())
    }

    /// The public key as `minisign -P` takes it.
    pub fn public_key(&self) -> String {
        BASE64.encode(&[&ALGORITHM[..], &self.number, self.pair.public_key().as_ref()].concat())
    }

    /// The key's number as minisign shows it.
    pub fn id(&self) -> String {
        format!("{:016X}", u64::from_le_bytes(self.number))
    }

    /// The signature file of content with this hash. The trusted comment is signed too.
    pub fn sign(&self, hash: &ContentHash, trusted_comment: &str) -> String {
        let signature = self.pair.sign(&hash.0);
        let signed = [signature.as_ref(), trusted_comment.as_bytes()].concat();
        let global = self.pair.sign(&signed);
        let octets = [&ALGORITHM_HASHED[..], &self.number, signature.as_ref()].concat();
        format!(
            "untrusted comment: signature from sekisho key {}\n{}\ntrusted comment: \
             {trusted_comment}\n{}\n",
            self.id(),
            BASE64.encode(&octets),
            BASE64.encode(global.as_ref())
        )
    }
}

fn checksum(payload: &[u8]) -> [u8; 32] {
    let mut hash = Blake2b::<U32>::new();
    hash.update(ALGORITHM);
    hash.update(payload);
    hash.finalize().into()
}

/// The BLAKE2b-512 hash of some content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentHash([u8; 64]);

/// Takes content piece by piece.
#[derive(Default, Clone)]
pub struct ContentHasher(Blake2b512);

impl ContentHasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> ContentHash {
        ContentHash(self.0.finalize().into())
    }
}

/// Whether a signature file is one of this public key for this content; gives the trusted comment.
pub fn verify(public_key: &str, signature_file: &str, content: &[u8]) -> Option<String> {
    let key = BASE64.decode(public_key.as_bytes()).ok()?;
    let (head, public) = key.split_at_checked(10)?;
    let mut lines = signature_file.lines();
    let signature = BASE64.decode(lines.nth(1)?.as_bytes()).ok()?;
    let comment = lines.next()?.strip_prefix("trusted comment: ")?;
    let global = BASE64.decode(lines.next()?.as_bytes()).ok()?;
    let (signature_head, signature) = signature.split_at_checked(10)?;
    if &signature_head[..2] != ALGORITHM_HASHED || signature_head[2..] != head[2..] {
        return None;
    }
    let mut hasher = ContentHasher::default();
    hasher.update(content);
    let public = UnparsedPublicKey::new(&ring::signature::ED25519, public);
    public.verify(&hasher.finish().0, signature).ok()?;
    public.verify(&[signature, comment.as_bytes()].concat(), &global).ok()?;
    Some(comment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::of(*b"12345678", [7; 32]).unwrap()
    }

    fn signature(content: &[u8]) -> String {
        let mut hasher = ContentHasher::default();
        hasher.update(content);
        key().sign(&hasher.finish(), "timestamp:1 file:x")
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let (public, file) = (key().public_key(), signature(b"content"));
        assert_eq!(verify(&public, &file, b"content").as_deref(), Some("timestamp:1 file:x"));
        assert_eq!(verify(&public, &file, b"contents"), None);
        assert_eq!(verify(&public, &file.replace("file:x", "file:y"), b"content"), None);
        let other = SigningKey::of(*b"12345678", [8; 32]).unwrap().public_key();
        assert_eq!(verify(&other, &file, b"content"), None);
        assert_eq!(verify("", &file, b""), None);
    }

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        let read = SigningKey::read(&key().secret_file()).unwrap();
        assert_eq!((read.public_key(), read.id()), (key().public_key(), key().id()));
        let text = key().secret_file();
        assert_eq!(SigningKey::read("").unwrap_err(), SigningError::Malformed);
        assert_eq!(SigningKey::read("x\ny\n").unwrap_err(), SigningError::Malformed);
        let line = text.lines().nth(1).unwrap();
        let mut octets = BASE64.decode(line.as_bytes()).unwrap();
        let with = |octets: &[u8]| SigningKey::read(&format!("c\n{}\n", BASE64.encode(octets)));
        octets[60] ^= 1;
        assert_eq!(with(&octets).unwrap_err(), SigningError::Damaged);
        octets[60] ^= 1;
        octets[2] = b'S';
        assert_eq!(with(&octets).unwrap_err(), SigningError::Encrypted);
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        assert_eq!(format!("{:?}", key()), "SigningKey(3837363534333231)");
    }
}
