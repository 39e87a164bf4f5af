//! Serial numbers (RFC 1982) and the start of authority.

use std::cmp::Ordering;
use std::fmt;

use crate::model::{Name, NameBuffer};

/// A zone's version.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Serial(pub u32);

impl Serial {
    /// The next serial: the time in seconds where that is ahead (so that a zone that lost its
    /// history still moves on), else one more.
    pub fn next(self, now: crate::model::Timestamp) -> Serial {
        let by_time = Serial(now.0);
        match by_time.partial_cmp(&self) {
            Some(Ordering::Greater) => by_time,
            _ => Serial(self.0.wrapping_add(1)),
        }
    }
}

/// RFC 1982 section 3.2: serials half the space apart have no order.
impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.0.wrapping_sub(other.0) {
            0 => Some(Ordering::Equal),
            0x8000_0000 => None,
            distance if distance < 0x8000_0000 => Some(Ordering::Greater),
            _ => Some(Ordering::Less),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A start of authority (RFC 1035 section 3.3.13); times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Soa {
    /// The primary's name.
    pub mname: Name,
    /// The mailbox of who is responsible.
    pub rname: Name,
    /// The version.
    pub serial: Serial,
    /// How often a secondary asks.
    pub refresh: u32,
    /// How soon it asks again after a failure.
    pub retry: u32,
    /// When it gives the zone up.
    pub expire: u32,
    /// How long a negative answer may be kept (RFC 2308).
    pub minimum: u32,
    /// TTL of the record itself.
    pub ttl: u32,
}

impl Soa {
    /// The start of authority of a zone of our own: `localhost.` and `nobody.invalid.`, refresh
    /// 1 h, retry 10 min, expire 30 days (a secondary that lost us should keep blocking), answers
    /// kept for 60 s (SCORING 2.9).
    pub fn ours(serial: Serial) -> Soa {
        let name = |text: &str| Name::from_presentation(text).expect("a constant name is sound");
        Soa {
            mname: name("localhost"),
            rname: name("nobody.invalid"),
            serial,
            refresh: 3600,
            retry: 600,
            expire: 30 * 86_400,
            minimum: 60,
            ttl: 60,
        }
    }

    /// Reads record data that stands alone, names uncompressed; none where it is malformed.
    pub fn from_wire(rdata: &[u8], ttl: u32) -> Option<Soa> {
        let mut name = NameBuffer::default();
        let at = name.read_wire(rdata, 0).ok()?;
        let mname = name.to_name();
        let at = name.read_wire(rdata, at).ok()?;
        let numbers: &[u8; 20] = rdata.get(at..)?.try_into().ok()?;
        let number = |index: usize| {
            let octets = &numbers[index * 4..][..4];
            u32::from_be_bytes(octets.try_into().expect("four octets"))
        };
        Some(Soa {
            mname,
            rname: name.to_name(),
            serial: Serial(number(0)),
            refresh: number(1),
            retry: number(2),
            expire: number(3),
            minimum: number(4),
            ttl,
        })
    }

    /// The record data in uncompressed wire form.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.mname.as_ref().write_wire(&mut out);
        self.rname.as_ref().write_wire(&mut out);
        for number in [self.serial.0, self.refresh, self.retry, self.expire, self.minimum] {
            out.extend(number.to_be_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn serials_compare_as_rfc_1982_says() {
        assert!(Serial(1) > Serial(0));
        assert!(Serial(0) > Serial(u32::MAX));
        assert!(Serial(0x7fff_ffff) > Serial(0));
        assert_eq!(Serial(0x8000_0000).partial_cmp(&Serial(0)), None);
    }

    #[test]
    fn a_start_of_authority_reads_back_from_the_wire() {
        let soa = Soa::ours(Serial(7));
        let wire = soa.to_wire();
        assert_eq!(Soa::from_wire(&wire, soa.ttl), Some(soa));
        assert!((0..wire.len()).all(|end| Soa::from_wire(&wire[..end], 0).is_none()));
    }

    #[test]
    fn the_next_serial_is_always_ahead() {
        for (serial, now, next) in
            [(5, 1000, 1000), (1000, 1000, 1001), (2000, 1000, 2001), (u32::MAX, 0, 0)]
        {
            let (serial, next) = (Serial(serial), Serial(next));
            assert_eq!(serial.next(Timestamp(now)), next);
            assert!(next > serial);
        }
    }
}
