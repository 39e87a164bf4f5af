//! Domain names in lookup form.
//!
//! A [`Name`] keeps its labels reversed and in lower case, each followed by a zero octet:
//! `www.Example.com` is `com␀example␀www␀` and the root is empty. Two properties carry the whole
//! program: comparing the octets gives the canonical order of RFC 4034 section 6.1, and a name is
//! at or below another exactly when the other is its prefix. The octets 0 and 1 may occur inside
//! labels (RFC 2181 section 11 allows any octet); they are written as `1 1` and `1 2`, which keeps
//! both properties.

use std::borrow::Borrow;
use std::fmt;

use super::NameBuffer;

/// The longest name on the wire, root label included (RFC 1035 section 2.3.4).
pub const WIRE_OCTETS_MAX: usize = 255;
/// The longest label (RFC 1035 section 2.3.4).
pub const LABEL_OCTETS_MAX: usize = 63;
/// The longest lookup form: each of 255 octets escaped.
pub const KEY_OCTETS_MAX: usize = 2 * WIRE_OCTETS_MAX;

pub(super) const END: u8 = 0;
pub(super) const ESCAPE: u8 = 1;

/// Why a text or a wire form is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between two dots, or no text at all.
    #[error("empty label")]
    EmptyLabel,
    /// More than 63 octets between two dots.
    #[error("a label is longer than 63 octets")]
    LabelTooLong,
    /// More than 255 octets on the wire.
    #[error("the name is longer than 255 octets")]
    NameTooLong,
    /// A backslash that is followed by neither three digits up to 255 nor a character.
    #[error("a backslash escape is not complete")]
    BadEscape,
    /// A character that no host name has.
    #[error("the character {0:?} cannot stand in a host name")]
    BadCharacter(char),
    /// A label that starts or ends with a hyphen.
    #[error("a label starts or ends with a hyphen")]
    Hyphen,
    /// The last label is a number, so this is an address or a part of one.
    #[error("the last label is a number")]
    NumericTopLabel,
    /// International text that IDNA (UTS 46) refuses.
    #[error("not a valid internationalised name")]
    Idna,
    /// A wire form that ends early or has a compression pointer.
    #[error("the wire form is malformed")]
    BadWire,
}

/// An owned domain name in lookup form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(Box<[u8]>);

/// A borrowed domain name in lookup form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameRef<'a>(&'a [u8]);

impl Name {
    /// The root of all names.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads presentation form (RFC 1035 section 5.1): any octet, `\.` and `\DDD`, one final dot
    /// allowed. `.` alone is the root.
    pub fn from_presentation(text: &str) -> Result<Self, NameError> {
        let mut labels = NameBuffer::default();
        labels.read_presentation(text.as_bytes(), NameRef::ROOT)?;
        Ok(labels.to_name())
    }

    /// Reads a host name as people and feeds write it: international text becomes A-labels
    /// (UTS 46, as browsers do), and what cannot be a host name on the Internet is refused with
    /// the reason. An underscore is allowed, since real names have it; one final dot is dropped.
    pub fn from_host(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if !text.is_ascii() {
            let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::Idna)?;
            return Self::from_host_ascii(&ascii);
        }
        Self::from_host_ascii(text)
    }

    fn from_host_ascii(text: &str) -> Result<Self, NameError> {
        let mut labels = NameBuffer::default();
        let mut last = "";
        for label in text.split('.') {
            if let Some(bad) =
                label.bytes().find(|b| !(b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_'))
            {
                return Err(NameError::BadCharacter(char::from(bad)));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(NameError::Hyphen);
            }
            labels.push_label(label.as_bytes())?;
            last = label;
        }
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NameError::NumericTopLabel);
        }
        Ok(labels.to_name())
    }

    /// Reads an uncompressed wire form that ends with the root label.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let mut labels = NameBuffer::default();
        let mut rest = wire;
        loop {
            let (&length, tail) = rest.split_first().ok_or(NameError::BadWire)?;
            let length = usize::from(length);
            match length {
                0 if tail.is_empty() => return Ok(labels.to_name()),
                1..=LABEL_OCTETS_MAX if tail.len() >= length => {}
                _ => return Err(NameError::BadWire),
            }
            labels.push_label(&tail[..length])?;
            rest = &tail[length..];
        }
    }

    /// Takes octets that are known to be a lookup form, such as those read back from a file that
    /// this program wrote and whose checksum held.
    pub fn from_key(key: &[u8]) -> Self {
        Self(key.into())
    }

    /// The name as a borrow.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// The same name with one more label in front, or the reason it would be too long.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        let mut labels = NameBuffer::default();
        labels.push_label(label)?;
        labels.push_name(self.as_ref())?;
        Ok(labels.to_name())
    }
}

impl<'a> NameRef<'a> {
    /// The root of all names.
    pub const ROOT: NameRef<'static> = NameRef(&[]);

    /// Takes octets that are known to be a lookup form.
    pub const fn from_key(key: &'a [u8]) -> Self {
        Self(key)
    }

    /// The lookup form: reversed labels, each ended by a zero octet.
    pub const fn key(self) -> &'a [u8] {
        self.0
    }

    /// An owned copy.
    pub fn to_owned(self) -> Name {
        Name(self.0.into())
    }

    /// Whether this is the root.
    pub const fn is_root(self) -> bool {
        self.0.is_empty()
    }

    /// Labels from the top down, still escaped: `com`, `example`, `www`.
    pub fn labels(self) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
        let body = self.0.strip_suffix(&[END]);
        body.into_iter().flat_map(|body| body.split(|&b| b == END))
    }

    /// How many labels the name has; the root has none.
    pub fn label_count(self) -> usize {
        self.0.iter().filter(|&&b| b == END).count()
    }

    /// Whether this name is `ancestor` or lies below it.
    pub fn is_at_or_below(self, ancestor: NameRef<'_>) -> bool {
        self.0.starts_with(ancestor.0)
    }

    /// The name without its first label; none for the root.
    pub fn parent(self) -> Option<NameRef<'a>> {
        let body = self.0.strip_suffix(&[END])?;
        let cut = body.iter().rposition(|&b| b == END).map_or(0, |at| at + 1);
        Some(NameRef(&self.0[..cut]))
    }

    /// This name, its parent and so on up to the root, which comes last.
    pub fn ancestors(self) -> impl Iterator<Item = NameRef<'a>> + Clone {
        std::iter::successors(Some(self), |name| name.parent())
    }

    /// The top `count` labels, or the whole name where it has fewer.
    pub fn top(self, count: usize) -> NameRef<'a> {
        let ends = self.0.iter().enumerate().filter(|(_, b)| **b == END);
        match count.checked_sub(1).map(|n| ends.clone().nth(n)) {
            None => NameRef(&self.0[..0]),
            Some(Some((at, _))) => NameRef(&self.0[..=at]),
            Some(None) => self,
        }
    }

    /// `front` written before this name: `b.c` with the prefix `a` is `a.b.c`.
    pub fn with_prefix(self, front: NameRef<'_>) -> Result<Name, NameError> {
        if self.wire_octets() + front.wire_octets() - 1 > WIRE_OCTETS_MAX {
            return Err(NameError::NameTooLong);
        }
        Ok(Name([self.0, front.0].concat().into()))
    }

    /// What stands before `ancestor`, where this name is at or below it.
    pub fn below(self, ancestor: NameRef<'_>) -> Option<NameRef<'a>> {
        self.0.strip_prefix(ancestor.0).map(NameRef)
    }

    /// Length on the wire in octets, the root label included.
    pub fn wire_octets(self) -> usize {
        let escapes = self.0.iter().filter(|&&b| b == ESCAPE).count();
        // Each escape is a pair, and the second of a pair may itself be the octet 1.
        match escapes {
            0 => self.0.len() + 1,
            _ => self.labels().map(|l| unescaped(l).count() + 1).sum::<usize>() + 1,
        }
    }

    /// Appends the uncompressed wire form.
    pub fn write_wire(self, out: &mut Vec<u8>) {
        for label in self.labels().rev() {
            let at = out.len();
            out.push(0);
            out.extend(unescaped(label));
            out[at] = u8::try_from(out.len() - at - 1).expect("labels have at most 63 octets");
        }
        out.push(0);
    }

    /// The uncompressed wire form.
    pub fn to_wire(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 2);
        self.write_wire(&mut out);
        out
    }

    /// Presentation form with a final dot.
    pub fn fqdn(self) -> String {
        match self.is_root() {
            true => ".".to_owned(),
            false => format!("{self}."),
        }
    }
}

/// The octets of one label of a lookup form, escapes resolved.
pub fn unescaped(label: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut bytes = label.iter();
    std::iter::from_fn(move || match *bytes.next()? {
        ESCAPE => bytes.next().map(|b| b - 1),
        other => Some(other),
    })
}

/// Presentation form without the final dot; the root is `.`.
impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if self.is_root() {
            return f.write_char('.');
        }
        for (index, label) in self.labels().rev().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            for byte in unescaped(label) {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(byte))?;
                    }
                    0x21..=0x7e => f.write_char(char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fqdn())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A map keyed by names can be asked with a borrowed lookup form.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Presentation form, as in [`Display`](fmt::Display).
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_presentation(&text).map_err(serde::de::Error::custom)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_presentation(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    #[test]
    fn presentation_round_trips_and_ignores_case_and_final_dot() {
        for (text, shown) in [
            (".", "."),
            ("Example.COM", "example.com"),
            ("www.example.com.", "www.example.com"),
            (r"a\.b.c", r"a\.b.c"),
            (r"\000\001\002.x", r"\000\001\002.x"),
            (r"\065.x", "a.x"),
            ("*.bad.test", "*.bad.test"),
        ] {
            assert_eq!(name(text).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn canonical_order_is_that_of_rfc_4034_section_6_1() {
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            r"\001.z.example",
            "*.z.example",
            r"\200.z.example",
        ];
        let names: Vec<Name> = sorted.iter().map(|t| name(t)).collect();
        assert!(names.is_sorted());
    }

    #[test]
    fn impossible_names_are_refused_with_the_reason() {
        let long = "a".repeat(64);
        let deep = "a.".repeat(128);
        for (text, error) in [
            ("a..b", NameError::EmptyLabel),
            ("", NameError::EmptyLabel),
            (".example.com", NameError::EmptyLabel),
            (long.as_str(), NameError::LabelTooLong),
            (deep.as_str(), NameError::NameTooLong),
            ("a b.example", NameError::BadCharacter(' ')),
            ("-a.example", NameError::Hyphen),
            ("192.0.2.1", NameError::NumericTopLabel),
            ("xn--\u{fffd}.example", NameError::Idna),
        ] {
            assert_eq!(Name::from_host(text), Err(error), "{text}");
        }
    }

    #[test]
    fn international_names_become_a_labels() {
        assert_eq!(Name::from_host("Bücher.example").unwrap().to_string(), "xn--bcher-kva.example");
    }

    #[test]
    fn ancestors_and_prefixes_walk_up_to_the_root() {
        let www = name("www.example.com");
        let up: Vec<String> = www.as_ref().ancestors().map(|n| n.to_string()).collect();
        assert_eq!(up, ["www.example.com", "example.com", "com", "."]);
        assert!(www.as_ref().is_at_or_below(name("example.com").as_ref()));
        assert!(!name("badexample.com").as_ref().is_at_or_below(name("example.com").as_ref()));
        assert_eq!(www.as_ref().top(2).to_string(), "example.com");
        assert_eq!(www.as_ref().below(name("com").as_ref()).unwrap().to_string(), "www.example");
        assert_eq!(name("com").child(b"x").unwrap(), name("x.com"));
    }

    proptest! {
        #[test]
        fn wire_form_round_trips_and_keeps_prefix_and_order(
            a in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..6), 0..5),
            b in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..6), 0..5),
        ) {
            let wire = |labels: &[Vec<u8>]| {
                let mut out = Vec::new();
                for l in labels { out.push(l.len() as u8); out.extend(l.iter().map(u8::to_ascii_lowercase)); }
                out.push(0);
                out
            };
            let (wa, wb) = (wire(&a), wire(&b));
            let (na, nb) = (Name::from_wire(&wa).unwrap(), Name::from_wire(&wb).unwrap());
            prop_assert_eq!(na.as_ref().to_wire(), wa.clone());
            prop_assert_eq!(na.as_ref().wire_octets(), wa.len());
            prop_assert_eq!(name(&na.as_ref().fqdn()), na.clone());
            let plain = |labels: &[Vec<u8>]| -> Vec<Vec<u8>> {
                labels.iter().rev().map(|l| l.to_ascii_lowercase()).collect()
            };
            let (pa, pb) = (plain(&a), plain(&b));
            prop_assert_eq!(na.cmp(&nb), pa.cmp(&pb));
            prop_assert_eq!(na.as_ref().is_at_or_below(nb.as_ref()), pa.starts_with(&pb));
        }
    }
}
