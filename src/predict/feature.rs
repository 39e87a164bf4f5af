//! What is looked at in a name of its own registration.
//!
//! Every feature is there or not, and is one number of 64 bits that says exactly what it is: the
//! kind in the top octet, the value below. So a weight is found by one look into a table, two
//! features never share a number, and each reads as words.

use std::fmt;

use super::Site;
use crate::model::name::unescaped;

/// Characters of a piece of a label. Longer pieces recognise single campaigns and not the next
/// ones; shorter ones say little.
const PIECE_LENGTHS: [usize; 2] = [3, 4];
/// What stands for the beginning and the end of a label in its pieces.
const BEGIN: u8 = b'^';
const END: u8 = b'$';

/// One feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feature(pub u64);

/// What a feature is about; the discriminant is the top octet of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Piece = 1,
    Length = 2,
    Digits = 3,
    DigitShare = 4,
    Hyphens = 5,
    Turns = 6,
    Vowels = 7,
    Consonants = 8,
    Distinct = 9,
    Siblings = 10,
}

const KINDS: [(Kind, &str); 10] = [
    (Kind::Piece, "piece"),
    (Kind::Length, "length"),
    (Kind::Digits, "digits"),
    (Kind::DigitShare, "digit-fifths"),
    (Kind::Hyphens, "hyphens"),
    (Kind::Turns, "turns"),
    (Kind::Vowels, "vowel-tenths"),
    (Kind::Consonants, "consonants"),
    (Kind::Distinct, "distinct"),
    (Kind::Siblings, "siblings"),
];

impl Feature {
    const fn new(kind: Kind, value: u64) -> Self {
        Self((kind as u64) << 56 | value)
    }

    fn piece(octets: &[u8]) -> Self {
        Self::new(Kind::Piece, octets.iter().fold(0, |key, &b| key << 8 | u64::from(b)))
    }

    /// Reads what `Display` wrote; none where it did not.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, value) = text.split_once(' ')?;
        let kind = KINDS.iter().find(|(_, word)| *word == kind)?.0;
        let feature = match kind {
            Kind::Piece if PIECE_LENGTHS.contains(&value.len()) => Self::piece(value.as_bytes()),
            Kind::Piece => return None,
            _ => Self::new(kind, value.parse::<u32>().ok()?.into()),
        };
        (feature.to_string() == text).then_some(feature)
    }
}

/// `piece log`, `length 12`: a word and a value.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = KINDS.iter().find(|(kind, _)| *kind as u64 == self.0 >> 56);
        f.write_str(word.map_or("unknown", |(_, word)| word))?;
        f.write_str(" ")?;
        let value = self.0 & ((1 << 56) - 1);
        if self.0 >> 56 != Kind::Piece as u64 {
            return value.fmt(f);
        }
        let octets = value.to_be_bytes();
        let octets = octets.iter().skip_while(|b| **b == 0);
        octets.copied().try_for_each(|b| write!(f, "{}", char::from(b)))
    }
}

/// Hands every feature of a name to `each`; `siblings` is how many other names are listed at or
/// below what its holder holds. Allocates nothing.
pub fn each(site: &Site<'_>, siblings: usize, mut each: impl FnMut(Feature)) {
    let mut framed = [0; 1 + crate::model::name::LABEL_OCTETS_MAX + 1];
    framed[0] = BEGIN;
    let mut length = 0;
    for octet in unescaped(site.label()).take(crate::model::name::LABEL_OCTETS_MAX) {
        length += 1;
        framed[length] = octet;
    }
    framed[length + 1] = END;
    let label = &framed[1..=length];
    each(Feature::new(Kind::Siblings, up_to_ten(siblings)));
    shape(label, &mut each);
    for pieces in PIECE_LENGTHS {
        for piece in framed[..length + 2].windows(pieces) {
            // What a host name cannot have could not be read back from the model's text.
            if piece.iter().all(|b| b.is_ascii_graphic()) {
                each(Feature::piece(piece));
            }
        }
    }
}

/// 0, 1, 2 for 2 and 3, 4 for up to 9, 10 for all above.
const fn up_to_ten(count: usize) -> u64 {
    match count {
        0 => 0,
        1 => 1,
        2..=3 => 2,
        4..=9 => 4,
        _ => 10,
    }
}

fn shape(label: &[u8], each: &mut impl FnMut(Feature)) {
    let count = |is: fn(&u8) -> bool| label.iter().filter(|b| is(b)).count() as u64;
    let length = label.len() as u64;
    let digits = count(u8::is_ascii_digit);
    let hyphens = count(|b| *b == b'-');
    let letters = count(u8::is_ascii_alphabetic);
    let vowels = count(|b| b"aeiou".contains(b));
    let turns = label.windows(2).filter(|p| p[0].is_ascii_digit() != p[1].is_ascii_digit()).count();
    let runs = label.split(|b| !b.is_ascii_alphabetic() || b"aeiouy".contains(b));
    let consonants = runs.map(<[u8]>::len).max().unwrap_or(0);
    let mut seen = [false; 256];
    label.iter().for_each(|b| seen[usize::from(*b)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count() as u64;
    for (kind, value) in [
        (Kind::Length, if length < 12 { length } else { length.min(40) / 4 * 4 }),
        (Kind::Digits, digits.min(8)),
        (Kind::DigitShare, digits * 5 / length.max(1)),
        (Kind::Hyphens, hyphens.min(5)),
        (Kind::Turns, (turns as u64).min(5)),
        (Kind::Vowels, vowels * 10 / letters.max(1)),
        (Kind::Consonants, (consonants as u64).min(7)),
        (Kind::Distinct, distinct.min(16)),
    ] {
        each(Feature::new(kind, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{PublicSuffixes, SharedHosts};
    use crate::model::Name;

    fn of(host: &str, siblings: usize) -> Vec<String> {
        let name = Name::from_host(host).unwrap();
        let site =
            Site::of(name.as_ref(), &PublicSuffixes::default(), &SharedHosts::default()).unwrap();
        let mut found = Vec::new();
        each(&site, siblings, |feature| found.push(feature.to_string()));
        found
    }

    #[test]
    fn a_name_is_taken_apart_into_shape_and_pieces() {
        let found = of("www.a1-b.net", 3);
        for expected in [
            "siblings 2",
            "length 4",
            "digits 1",
            "digit-fifths 1",
            "hyphens 1",
            "turns 2",
            "vowel-tenths 5",
            "consonants 1",
            "distinct 4",
            "piece ^a1",
            "piece 1-b$",
        ] {
            assert!(found.contains(&expected.to_owned()), "{expected} in {found:?}");
        }
        assert_eq!(found.len(), 9 + 4 + 3);
    }

    #[test]
    fn every_feature_reads_back_as_it_is_written() {
        for text in of("a-long-label-with-1234567890.example.net", 99) {
            assert_eq!(Feature::parse(&text).unwrap().to_string(), text);
        }
        for text in ["", "piece", "piece ab", "piece abcde", "length x", "length 05", "size 5"] {
            assert_eq!(Feature::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_label_has_its_last_piece() {
        let label = "a".repeat(62) + "z";
        assert!(of(&format!("{label}.net"), 0).contains(&"piece aaz$".to_owned()));
    }
}
