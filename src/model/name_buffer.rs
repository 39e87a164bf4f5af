//! Reading a name label by label, without allocating.

use super::name::{END, ESCAPE, KEY_OCTETS_MAX, LABEL_OCTETS_MAX, NameError, WIRE_OCTETS_MAX};
use super::{Name, NameRef};

/// Takes labels in reading order and holds the lookup form of the name they make. It is filled
/// from its end, since the first label read is the last of the lookup form.
#[derive(Clone)]
pub struct NameBuffer {
    octets: [u8; KEY_OCTETS_MAX],
    start: usize,
    /// Length on the wire so far, without the root label.
    wire_octets: usize,
}

impl Default for NameBuffer {
    fn default() -> Self {
        Self { octets: [0; KEY_OCTETS_MAX], start: KEY_OCTETS_MAX, wire_octets: 0 }
    }
}

impl NameBuffer {
    /// Forgets all labels: the name is the root again.
    pub fn clear(&mut self) {
        self.start = KEY_OCTETS_MAX;
        self.wire_octets = 0;
    }

    /// The name that the labels make.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef::from_key(&self.octets[self.start..])
    }

    /// Takes the next label, its octets as they are on the wire.
    pub fn push_label(&mut self, label: &[u8]) -> Result<(), NameError> {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            1..=LABEL_OCTETS_MAX => {}
            _ => return Err(NameError::LabelTooLong),
        }
        self.grow(label.len() + 1)?;
        let escapes = label.iter().filter(|b| **b <= ESCAPE).count();
        let end = self.start;
        self.start -= label.len() + escapes + 1;
        let place = &mut self.octets[self.start..end];
        if let ([place @ .., last], 0) = (&mut *place, escapes) {
            place.copy_from_slice(label);
            place.make_ascii_lowercase();
            *last = END;
            return Ok(());
        }
        let escaped = label.iter().flat_map(|&octet| match octet {
            END | ESCAPE => [Some(ESCAPE), Some(octet + 1)],
            other => [Some(other.to_ascii_lowercase()), None],
        });
        place.iter_mut().zip(escaped.flatten().chain([END])).for_each(|(to, octet)| *to = octet);
        Ok(())
    }

    /// Takes all labels of `ancestor`, so that the labels before stand below it.
    pub fn push_name(&mut self, ancestor: NameRef<'_>) -> Result<(), NameError> {
        self.grow(ancestor.wire_octets() - 1)?;
        let end = self.start;
        self.start -= ancestor.key().len();
        self.octets[self.start..end].copy_from_slice(ancestor.key());
        Ok(())
    }

    fn grow(&mut self, wire_octets: usize) -> Result<(), NameError> {
        let grown = self.wire_octets + wire_octets;
        match grown < WIRE_OCTETS_MAX {
            true => self.wire_octets = grown,
            false => return Err(NameError::NameTooLong),
        }
        Ok(())
    }

    /// Reads presentation form (RFC 1035 section 5.1) in place of what was held: any octet, `\.`
    /// and `\DDD`. Without a final dot the name is below `origin`.
    pub fn read_presentation(&mut self, text: &[u8], origin: NameRef<'_>) -> Result<(), NameError> {
        self.clear();
        if text == b"." {
            return Ok(());
        }
        let mut rest = text;
        loop {
            let mut end = rest.iter().position(|b| matches!(b, b'.' | b'\\')).unwrap_or(rest.len());
            if rest.get(end) == Some(&b'\\') {
                end = self.push_escaped(rest)?;
            } else {
                self.push_label(&rest[..end])?;
            }
            match rest.get(end + 1..) {
                None => return self.push_name(origin),
                Some([]) => return Ok(()),
                Some(tail) => rest = tail,
            }
        }
    }

    /// Takes a label that has escapes; gives the length of its text.
    fn push_escaped(&mut self, text: &[u8]) -> Result<usize, NameError> {
        let mut label = [0; LABEL_OCTETS_MAX];
        let mut length = 0;
        let mut at = 0;
        while let Some(&octet) = text.get(at).filter(|b| **b != b'.') {
            let (octet, width) = match octet {
                b'\\' => unescape(&text[at..])?,
                other => (other, 1),
            };
            *label.get_mut(length).ok_or(NameError::LabelTooLong)? = octet;
            length += 1;
            at += width;
        }
        self.push_label(&label[..length])?;
        Ok(at)
    }

    /// Reads the name that starts at `start` of a message, in place of what was held, and gives
    /// the position after it. A compression pointer must lead backwards (RFC 1035 section 4.1.4).
    pub fn read_wire(&mut self, message: &[u8], start: usize) -> Result<usize, NameError> {
        self.clear();
        let (mut at, mut before, mut after) = (start, start, None);
        loop {
            let length = usize::from(*message.get(at).ok_or(NameError::BadWire)?);
            match length >> 6 {
                0 if length == 0 => return Ok(after.unwrap_or(at + 1)),
                0 => {
                    let label = message.get(at + 1..at + 1 + length).ok_or(NameError::BadWire)?;
                    self.push_label(label)?;
                    at += 1 + length;
                }
                3 => {
                    let low = usize::from(*message.get(at + 1).ok_or(NameError::BadWire)?);
                    after.get_or_insert(at + 2);
                    at = (length & 0x3f) << 8 | low;
                    if at >= before {
                        return Err(NameError::BadWire);
                    }
                    before = at;
                }
                _ => return Err(NameError::BadWire),
            }
        }
    }

    /// An owned copy of the name.
    pub fn to_name(&self) -> Name {
        self.as_ref().to_owned()
    }
}

/// The octet that a backslash escape at the start of `text` stands for, and how long the escape
/// is (RFC 1035 section 5.1).
pub fn unescape(text: &[u8]) -> Result<(u8, usize), NameError> {
    let digit =
        |at: usize| text.get(at).filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    match (text.get(1), digit(1)) {
        (None, _) => Err(NameError::BadEscape),
        (Some(&octet), None) => Ok((octet, 2)),
        (Some(_), Some(hundreds)) => {
            let (Some(tens), Some(ones)) = (digit(2), digit(3)) else {
                return Err(NameError::BadEscape);
            };
            let value = hundreds * 100 + tens * 10 + ones;
            u8::try_from(value).map(|octet| (octet, 4)).map_err(|_| NameError::BadEscape)
        }
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
    fn a_text_without_a_final_dot_is_below_the_origin() {
        let origin = name("rpz.test");
        let mut buffer = NameBuffer::default();
        for (text, expected) in [
            ("a.b", "a.b.rpz.test"),
            ("a.b.", "a.b"),
            (r"a\.b", r"a\.b.rpz.test"),
            (r"\000x.", r"\000x"),
            (".", "."),
        ] {
            buffer.read_presentation(text.as_bytes(), origin.as_ref()).unwrap();
            assert_eq!(buffer.to_name(), name(expected), "{text}");
        }
        for text in ["", "..", "a..b", ".a", r"a\", r"\25", r"\256"] {
            assert!(buffer.read_presentation(text.as_bytes(), origin.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_origin_counts_towards_the_longest_name() {
        let mut buffer = NameBuffer::default();
        let text = "a.".repeat(126) + "a";
        let root = NameRef::ROOT;
        assert!(buffer.read_presentation(text.as_bytes(), root).is_ok());
        assert_eq!(buffer.as_ref().wire_octets(), WIRE_OCTETS_MAX);
        let refused = buffer.read_presentation(text.as_bytes(), name("x").as_ref());
        assert_eq!(refused, Err(NameError::NameTooLong));
    }

    #[test]
    fn compression_pointers_lead_backwards_or_the_name_is_refused() {
        let message = b"\x03com\0\x01a\xc0\x00\x01b\xc0\x05\xc0\x0d\xc0\x0f";
        let mut buffer = NameBuffer::default();
        assert_eq!(buffer.read_wire(message, 9), Ok(13));
        assert_eq!(buffer.to_name(), name("b.a.com"));
        for start in [13, 15, 17] {
            assert_eq!(buffer.read_wire(message, start), Err(NameError::BadWire), "{start}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_read_as_a_name_or_an_error(octets: Vec<u8>, start in 0usize..8) {
            let mut buffer = NameBuffer::default();
            if buffer.read_wire(&octets, start).is_ok() {
                let wire = buffer.as_ref().to_wire();
                prop_assert_eq!(Name::from_wire(&wire).unwrap(), buffer.to_name());
            }
            if buffer.read_presentation(&octets, NameRef::ROOT).is_ok() {
                prop_assert_eq!(name(&buffer.as_ref().fqdn()), buffer.to_name());
            }
        }
    }
}
