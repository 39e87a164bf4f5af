//! Owner names below the zone's own: which trigger they stand for, and back (draft section 4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{KIND_LABELS, Unusable, Unwritable};
use crate::model::name::WIRE_OCTETS_MAX;
use crate::model::{NameRef, Network, TriggerKind};
use crate::zone::TriggerRef;

/// Why labels are no address trigger (draft section 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `length.d.c.b.a` nor `length.w8.….w1`.
    #[error("not an address with a prefix length")]
    Malformed,
    /// A prefix length of 0 or beyond the address.
    #[error("a prefix length that is out of range")]
    PrefixLength,
    /// Bits are set beyond the prefix length.
    #[error("bits are set beyond the prefix length")]
    HostBits,
    /// Readable, but not written in the one way the draft allows: no leading zeros, and `zz` for
    /// the longest run of two or more zero words, the last of equal ones.
    #[error("not canonical, which would be `{}`", address_text(*.0))]
    NotCanonical(Network),
}

/// What an owner name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The zone itself.
    Apex,
    /// A rule's trigger.
    Trigger(TriggerRef<'a>),
}

/// What an owner in the zone `origin` stands for.
pub fn read_owner<'a>(owner: NameRef<'a>, origin: NameRef<'_>) -> Result<Owner<'a>, Unusable> {
    let relative = owner.below(origin).ok_or(Unusable::OutOfZone)?;
    if relative.is_root() {
        return Ok(Owner::Apex);
    }
    let key = relative.key();
    let filed = key.starts_with(super::RESERVED_PREFIX).then(|| {
        KIND_LABELS.iter().find_map(|(kind, label)| Some((*kind, key.strip_prefix(*label)?)))
    });
    let trigger = match filed.flatten() {
        None => name_trigger(TriggerKind::QueryName, key),
        Some((_, [])) => return Err(Unusable::EmptyTrigger),
        Some((TriggerKind::NameserverName, rest)) => {
            name_trigger(TriggerKind::NameserverName, rest)
        }
        Some((kind, rest)) => {
            TriggerRef::Network { kind, network: read_address(NameRef::from_key(rest))? }
        }
    };
    Ok(Owner::Trigger(trigger))
}

fn name_trigger(kind: TriggerKind, key: &[u8]) -> TriggerRef<'_> {
    let (key, wildcard) = match strip_wildcard(key) {
        Some(parent) => (parent, true),
        None => (key, false),
    };
    TriggerRef::Name { kind, name: NameRef::from_key(key), wildcard }
}

/// The lookup form without a first label `*`.
pub(super) fn strip_wildcard(key: &[u8]) -> Option<&[u8]> {
    let parent = key.strip_suffix(b"*\0")?;
    matches!(parent.last(), None | Some(0)).then_some(parent)
}

/// Reads the labels of an address trigger.
fn read_address(labels: NameRef<'_>) -> Result<Network, AddressError> {
    let mut texts = [""; 9];
    let mut count = 0;
    for label in labels.labels() {
        let text = texts.get_mut(count).ok_or(AddressError::Malformed)?;
        *text = std::str::from_utf8(label).map_err(|_| AddressError::Malformed)?;
        count += 1;
    }
    let [words @ .., length] = &texts[..count] else { return Err(AddressError::Malformed) };
    let address = match words.len() == 4 && !words.contains(&"zz") {
        true => IpAddr::from(read_ipv4(words)?),
        false => IpAddr::from(read_ipv6(words)?),
    };
    let length: u8 = match length.bytes().all(|b| b.is_ascii_digit()) {
        true => length.parse().map_err(|_| AddressError::PrefixLength)?,
        false => return Err(AddressError::Malformed),
    };
    let network = Network::new(address, length).ok_or(AddressError::PrefixLength)?;
    if length == 0 {
        return Err(AddressError::PrefixLength);
    }
    if network.address() != address {
        return Err(AddressError::HostBits);
    }
    let mut canonical = Vec::with_capacity(64);
    write_address(network, &mut canonical);
    match labels.key() == canonical {
        true => Ok(network),
        false => Err(AddressError::NotCanonical(network)),
    }
}

/// Octets from the first to the last; leading zeros are found later, by comparison.
fn read_ipv4(words: &[&str]) -> Result<Ipv4Addr, AddressError> {
    let mut octets = [0u8; 4];
    for (octet, word) in octets.iter_mut().zip(words) {
        if !word.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressError::Malformed);
        }
        *octet = word.parse().map_err(|_| AddressError::Malformed)?;
    }
    Ok(octets.into())
}

/// Words from the first to the last, one `zz` for as many zeros as are missing.
fn read_ipv6(words: &[&str]) -> Result<Ipv6Addr, AddressError> {
    let (front, back) = match words.iter().position(|word| *word == "zz") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None if words.len() == 8 => (words, &words[..0]),
        None => return Err(AddressError::Malformed),
    };
    if front.len() + back.len() > 8 || back.contains(&"zz") {
        return Err(AddressError::Malformed);
    }
    let mut values = [0u16; 8];
    let gap = 8 - back.len();
    for (at, word) in (0..).zip(front).chain((gap..).zip(back)) {
        if word.is_empty() || word.len() > 4 || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(AddressError::Malformed);
        }
        values[at] = u16::from_str_radix(word, 16).map_err(|_| AddressError::Malformed)?;
    }
    Ok(values.into())
}

/// Appends the labels of an address trigger in lookup form, which is the order of the address
/// itself: `a.b.c.d.length` with a zero octet after each.
fn write_address(network: Network, out: &mut Vec<u8>) {
    let mut push = |label: std::fmt::Arguments<'_>| {
        use std::io::Write as _;
        write!(out, "{label}\0").expect("writing to memory does not fail");
    };
    match network.address() {
        IpAddr::V4(v4) => v4.octets().iter().for_each(|octet| push(format_args!("{octet}"))),
        IpAddr::V6(v6) => {
            let words = v6.segments();
            let zeros = longest_zeros(&words);
            for (at, word) in words.iter().enumerate() {
                match zeros.contains(&at) {
                    true if at == zeros.start => push(format_args!("zz")),
                    true => {}
                    false => push(format_args!("{word:x}")),
                }
            }
        }
    }
    push(format_args!("{}", network.length()));
}

/// The longest run of two or more zero words, the first of equal ones in the order of the
/// address, which is the last in the reversed order of the owner name.
fn longest_zeros(words: &[u16; 8]) -> std::ops::Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for end in 1..=words.len() {
        if words[end - 1] != 0 {
            start = end;
        } else if end - start >= 2 && end - start > longest.len() {
            longest = start..end;
        }
    }
    longest
}

fn address_text(network: Network) -> String {
    let mut key = Vec::new();
    write_address(network, &mut key);
    NameRef::from_key(&key).to_string()
}

/// Writes the owner that stands for a trigger in the zone `origin`, in lookup form, in place of
/// what `out` held.
pub fn write_owner(
    trigger: TriggerRef<'_>,
    origin: NameRef<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Unwritable> {
    out.clear();
    out.extend_from_slice(origin.key());
    let label = KIND_LABELS.iter().find(|(kind, _)| *kind == trigger.kind());
    out.extend_from_slice(label.map_or(&[][..], |(_, label)| label));
    match trigger {
        TriggerRef::Network { network, .. } if network.length() == 0 => {
            return Err(Unwritable::WholeFamily);
        }
        TriggerRef::Network { network, .. } => write_address(network, out),
        TriggerRef::Name { name, wildcard, .. } => {
            let key = name.key();
            if !wildcard && name.is_root() {
                return Err(Unwritable::RootName);
            }
            let filed = |(_, label): &(_, &[u8])| key.starts_with(label);
            if (!wildcard && strip_wildcard(key).is_some())
                || (trigger.kind() == TriggerKind::QueryName && KIND_LABELS.iter().any(filed))
            {
                return Err(Unwritable::AnotherTrigger);
            }
            out.extend_from_slice(key);
            out.extend_from_slice(if wildcard { b"*\0" } else { b"" });
        }
    }
    match NameRef::from_key(out).wire_octets() {
        octets @ ..=WIRE_OCTETS_MAX => {
            debug_assert!(octets > 1, "an owner below the zone's name");
            Ok(())
        }
        octets => Err(Unwritable::OwnerTooLong { octets }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn read(owner: &str) -> Result<String, Unusable> {
        let origin = name("rpz.test");
        let owner = name(&format!("{owner}.rpz.test"));
        read_owner(owner.as_ref(), origin.as_ref()).map(|owner| match owner {
            Owner::Apex => "apex".into(),
            Owner::Trigger(TriggerRef::Name { kind, name, wildcard }) => {
                format!("{} {}{name}", kind.as_str(), if wildcard { "below " } else { "" })
            }
            Owner::Trigger(TriggerRef::Network { kind, network }) => {
                format!("{} {network}", kind.as_str())
            }
        })
    }

    #[test]
    fn owners_stand_for_the_triggers_of_section_4() {
        for (owner, trigger) in [
            ("bad.test", "qname bad.test"),
            ("*.Bad.test", "qname below bad.test"),
            ("*", "qname below ."),
            ("x*.test", "qname x*.test"),
            ("ip.rpz-other", "qname ip.rpz-other"),
            ("24.0.2.0.192.rpz-ip", "ip 192.0.2.0/24"),
            ("32.1.2.0.192.RPZ-IP", "ip 192.0.2.1"),
            ("8.0.0.0.10.rpz-client-ip", "client-ip 10.0.0.0/8"),
            ("48.zz.1.db8.2001.rpz-nsip", "nsip 2001:db8:1::/48"),
            ("128.3.ZZ.2.BAD.DB8.2001.rpz-ip", "ip 2001:db8:bad:2::3"),
            ("128.1.1.1.1.1.0.db8.2001.rpz-ip", "ip 2001:db8:0:1:1:1:1:1"),
            ("ns1.bad.test.rpz-nsdname", "nsdname ns1.bad.test"),
            ("*.bad.test.rpz-nsdname", "nsdname below bad.test"),
            ("*.rpz-nsdname", "nsdname below ."),
        ] {
            assert_eq!(read(owner).as_deref(), Ok(trigger), "{owner}");
        }
        let origin = name("rpz.test");
        assert_eq!(read_owner(origin.as_ref(), origin.as_ref()), Ok(Owner::Apex));
    }

    /// The canonical forms are those that BIND 9.18 takes; it was asked.
    #[test]
    fn addresses_that_are_not_canonical_are_refused_with_the_form_that_is() {
        let other = |text: &str| AddressError::NotCanonical(Network::parse_strict(text).unwrap());
        for (owner, error) in [
            ("24.00.2.0.192.rpz-ip", other("192.0.2.0/24")),
            ("024.0.2.0.192.rpz-ip", other("192.0.2.0/24")),
            ("128.1.zz.1.0.0.db8.2001.rpz-ip", other("2001:db8:0:0:1:0:0:1")),
            ("128.5.1.1.1.zz.1.db8.2001.rpz-ip", other("2001:db8:1:0:1:1:1:5")),
            ("128.1.0.0.0.0.1.db8.2001.rpz-ip", other("2001:db8:1::1")),
            ("128.1.zz.0db8.2001.rpz-ip", other("2001:db8::1")),
            ("24.10.2.0.192.rpz-ip", AddressError::HostBits),
            ("32.1.zz.db8.2001.rpz-ip", AddressError::HostBits),
            ("33.1.2.0.192.rpz-ip", AddressError::PrefixLength),
            ("0.0.0.0.0.rpz-ip", AddressError::PrefixLength),
            ("129.1.zz.rpz-ip", AddressError::PrefixLength),
            ("999.1.zz.rpz-ip", AddressError::PrefixLength),
            ("+8.0.0.0.10.rpz-ip", AddressError::Malformed),
            ("32.1.2.192.rpz-ip", AddressError::Malformed),
            ("32.256.2.0.192.rpz-ip", AddressError::Malformed),
            ("128.zz.1.zz.rpz-ip", AddressError::Malformed),
            ("128.1.2.3.4.5.6.7.8.9.rpz-ip", AddressError::Malformed),
            ("128.zz.1.2.3.4.5.6.7.8.rpz-ip", AddressError::Malformed),
            ("*.rpz-ip", AddressError::Malformed),
            ("zz.rpz-ip", AddressError::Malformed),
        ] {
            assert_eq!(read(owner), Err(Unusable::Address(error)), "{owner}");
        }
        assert_eq!(
            other("2001:db8:0:0:1:0:0:1").to_string(),
            "not canonical, which would be `128.1.0.0.1.zz.db8.2001`"
        );
        assert_eq!(read("rpz-ip"), Err(Unusable::EmptyTrigger));
        assert_eq!(read("rpz-nsdname"), Err(Unusable::EmptyTrigger));
    }

    #[test]
    fn an_owner_is_measured_with_the_zone_and_the_wildcard() {
        let origin = name("rpz.test");
        let long = name(&format!("{}aaa", "a.".repeat(121)));
        assert_eq!(long.as_ref().wire_octets(), 247);
        let write = |wildcard, origin: &Name| {
            let name = long.as_ref();
            let trigger = TriggerRef::Name { kind: TriggerKind::QueryName, name, wildcard };
            write_owner(trigger, origin.as_ref(), &mut Vec::new())
        };
        let tight = name("rpz-abc");
        assert_eq!(write(false, &tight), Ok(()));
        assert_eq!(write(true, &tight), Err(Unwritable::OwnerTooLong { octets: 257 }));
        assert_eq!(write(false, &origin), Err(Unwritable::OwnerTooLong { octets: 256 }));
    }

    #[test]
    fn a_trigger_whose_owner_would_read_as_another_is_not_written() {
        for (text, wildcard, error) in [
            (".", false, Unwritable::RootName),
            ("*.bad.test", false, Unwritable::AnotherTrigger),
            ("24.0.2.0.192.rpz-ip", false, Unwritable::AnotherTrigger),
            ("rpz-nsdname", true, Unwritable::AnotherTrigger),
        ] {
            let name = name(text);
            let trigger =
                TriggerRef::Name { kind: TriggerKind::QueryName, name: name.as_ref(), wildcard };
            assert_eq!(write_owner(trigger, NameRef::ROOT, &mut Vec::new()), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            labels in proptest::collection::vec("[a-z*-]{1,3}|rpz-ip|rpz-nsdname|zz|24", 0..5),
            words in proptest::array::uniform8(prop_oneof![3 => Just(0u16), 1 => any::<u16>()]),
            length in 0u8..=128,
            kind in 0usize..5,
            wildcard: bool,
        ) {
            let kind = TriggerKind::ALL[kind];
            let name = if labels.is_empty() { Name::root() } else { name(&labels.join(".")) };
            let v6 = Ipv6Addr::from(words);
            let network = match length {
                ..=32 => Network::new(Ipv4Addr::from_bits(v6.to_bits() as u32).into(), length),
                _ => Network::new(v6.into(), length),
            };
            let trigger = match kind {
                TriggerKind::QueryName | TriggerKind::NameserverName => {
                    TriggerRef::Name { kind, name: name.as_ref(), wildcard }
                }
                _ => TriggerRef::Network { kind, network: network.unwrap() },
            };
            let origin = Name::from_presentation("rpz.test").unwrap();
            let mut owner = Vec::new();
            if write_owner(trigger, origin.as_ref(), &mut owner).is_ok() {
                let back = read_owner(NameRef::from_key(&owner), origin.as_ref());
                prop_assert_eq!(back, Ok(Owner::Trigger(trigger)));
            }
        }
    }
}
