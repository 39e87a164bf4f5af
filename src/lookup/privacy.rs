//! What nobody outside is told, whoever asks: names of one's own network, and names that carry
//! something about a person or a machine.

use std::net::IpAddr;

use crate::model::lookup::Target;
use crate::model::{Name, NameRef};

/// Suffixes of networks of one's own: RFC 6761, 6762, 7686, 8375 and 9476, that which ICANN keeps
/// for private use (2024), and those that routers and companies use without asking.
const INTERNAL: [&str; 14] = [
    "local",
    "localhost",
    "internal",
    "home.arpa",
    "lan",
    "home",
    "corp",
    "private",
    "intranet",
    "localdomain",
    "domain",
    "alt",
    "onion",
    "fritz.box",
];
/// A label this long with as many digits in it is made by a machine.
const LABEL_OCTETS: usize = 16;
/// Distinct characters in proportion to length, in hundredths, and digits, in hundredths, from
/// which on it is random.
const DIGITS_HUNDREDTHS: usize = 25;
/// Digits in a row: a telephone, an account, a point in time.
const DIGITS_IN_A_ROW: usize = 8;
/// Names with more labels than this carry data.
const LABELS_MAX: usize = 8;

/// Why something is never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Never {
    /// Not below any domain.
    #[error("a single label is a name of one's own network")]
    SingleLabel,
    /// An address in the form of a name.
    #[error("a reverse zone is about an address")]
    Reverse,
    /// A name of one's own network.
    #[error("it is a name of one's own network")]
    Internal,
    /// An address that is not of the Internet.
    #[error("the address is none of the Internet")]
    PrivateAddress,
    /// A label that stands for a person, a machine or a session.
    #[error("a label looks like the identifier of a person or machine: ask about the domain")]
    Identifier,
}

/// Why a target is never sent to a service. `registrable` is its registrable domain and `internal`
/// are suffixes that the operator has declared as his own.
pub fn never(
    target: &Target,
    registrable: Option<NameRef<'_>>,
    internal: &[Name],
) -> Option<Never> {
    match target {
        Target::Domain(name) => never_name(name.as_ref(), registrable, internal),
        Target::Address(address) => never_address(*address),
        Target::Prefix(network) => never_address(network.address()),
        Target::As(_) => None,
        Target::Url(url) => never(url.host(), registrable, internal),
    }
}

fn never_name(
    name: NameRef<'_>,
    registrable: Option<NameRef<'_>>,
    internal: &[Name],
) -> Option<Never> {
    let of = |text: &str| Name::from_presentation(text).expect("a constant name is sound");
    if name.is_at_or_below(of("in-addr.arpa").as_ref())
        || name.is_at_or_below(of("ip6.arpa").as_ref())
    {
        return Some(Never::Reverse);
    }
    if name.label_count() < 2 {
        return Some(Never::SingleLabel);
    }
    let known = INTERNAL.iter().map(|text| of(text));
    let mut all = known.chain(internal.iter().cloned());
    if all.any(|suffix| !suffix.as_ref().is_root() && name.is_at_or_below(suffix.as_ref())) {
        return Some(Never::Internal);
    }
    // What somebody registered is public; what stands in front of it need not be.
    let public = registrable.map_or(2, NameRef::label_count);
    let in_front = name.label_count().saturating_sub(public);
    let labels: Vec<&[u8]> = name.labels().collect();
    let front = match labels.len() >= public {
        true => front_labels(name, in_front),
        false => Vec::new(),
    };
    let identifies =
        name.label_count() > LABELS_MAX || front.iter().any(|label| is_identifier(label));
    identifies.then_some(Never::Identifier)
}

/// The labels in front of the public part, as text.
fn front_labels(name: NameRef<'_>, count: usize) -> Vec<String> {
    let text = name.to_string();
    text.split('.').take(count).map(str::to_ascii_lowercase).collect()
}

/// Whether a label looks like an identifier: a UUID, a long run of digits, an address, or a long
/// mix of letters and digits.
fn is_identifier(label: &str) -> bool {
    let digits = label.bytes().filter(u8::is_ascii_digit).count();
    let longest = label.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let hexadecimal = label.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let quad: Vec<&str> = label.split('-').collect();
    let address = quad.windows(4).any(|four| four.iter().all(|part| part.parse::<u8>().is_ok()));
    let mixed = label.len() >= LABEL_OCTETS && digits * 100 >= label.len() * DIGITS_HUNDREDTHS;
    longest >= DIGITS_IN_A_ROW
        || address
        || mixed
        || label.len() >= LABEL_OCTETS && hexadecimal && digits > 0
        || label.contains(['@', '=', '+'])
}

fn never_address(address: IpAddr) -> Option<Never> {
    let public = match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    };
    (!public).then_some(Never::PrivateAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Never> {
        let target = Target::parse(text).unwrap();
        let internal = [Name::from_host("corp.example.com").unwrap()];
        let registrable = Name::from_host("bad.net").unwrap();
        let below =
            target.domain().is_some_and(|name| name.as_ref().is_at_or_below(registrable.as_ref()));
        never(&target, below.then(|| registrable.as_ref()), &internal)
    }

    #[test]
    fn names_of_ones_own_network_and_of_persons_are_never_sent() {
        for (text, expected) in [
            ("printer", Some(Never::SingleLabel)),
            ("nas.fritz.box", Some(Never::Internal)),
            ("db.corp.example.com", Some(Never::Internal)),
            ("host.home.arpa", Some(Never::Internal)),
            ("1.2.0.192.in-addr.arpa", Some(Never::Reverse)),
            ("10.1.2.3", Some(Never::PrivateAddress)),
            ("http://192.168.1.1/admin", Some(Never::PrivateAddress)),
            ("fe80::1", Some(Never::PrivateAddress)),
            ("100.64.0.1", Some(Never::PrivateAddress)),
            ("4f2b1c9e-3b57-4b0a-8a65-1c9f3a7e2b10.bad.net", Some(Never::Identifier)),
            ("u00493017822.track.bad.net", Some(Never::Identifier)),
            ("host-192-0-2-17.bad.net", Some(Never::Identifier)),
            ("a1b2c3d4e5f6a7b8c9.bad.net", Some(Never::Identifier)),
            ("bad.net", None),
            ("www.bad.net", None),
            ("secure-login-update.bad.net", None),
            ("cdn2.eu-west-1.bad.net", None),
            ("9.9.9.9", None),
            ("AS64496", None),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_somebody_registered_is_public_however_random_it_is() {
        let target = Target::parse("x7k29qm4v81z55t3.com").unwrap();
        assert_eq!(never(&target, target.domain().map(Name::as_ref), &[]), None);
    }
}
