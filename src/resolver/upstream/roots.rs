//! The root servers, as IANA publishes them (`named.root`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::model::{Name, Nameserver};

/// Letter, IPv4 and IPv6 address of each root server. The last change in named.root was that of
/// b.root-servers.net in November 2023.
const ROOTS: [(char, [u8; 4], [u16; 8]); 13] = [
    ('a', [198, 41, 0, 4], [0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30]),
    ('b', [170, 247, 170, 2], [0x2801, 0x1b8, 0x10, 0, 0, 0, 0, 0xb]),
    ('c', [192, 33, 4, 12], [0x2001, 0x500, 2, 0, 0, 0, 0, 0xc]),
    ('d', [199, 7, 91, 13], [0x2001, 0x500, 0x2d, 0, 0, 0, 0, 0xd]),
    ('e', [192, 203, 230, 10], [0x2001, 0x500, 0xa8, 0, 0, 0, 0, 0xe]),
    ('f', [192, 5, 5, 241], [0x2001, 0x500, 0x2f, 0, 0, 0, 0, 0xf]),
    ('g', [192, 112, 36, 4], [0x2001, 0x500, 0x12, 0, 0, 0, 0, 0xd0d]),
    ('h', [198, 97, 190, 53], [0x2001, 0x500, 1, 0, 0, 0, 0, 0x53]),
    ('i', [192, 36, 148, 17], [0x2001, 0x7fe, 0, 0, 0, 0, 0, 0x53]),
    ('j', [192, 58, 128, 30], [0x2001, 0x503, 0xc27, 0, 0, 0, 2, 0x30]),
    ('k', [193, 0, 14, 129], [0x2001, 0x7fd, 0, 0, 0, 0, 0, 1]),
    ('l', [199, 7, 83, 42], [0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42]),
    ('m', [202, 12, 27, 33], [0x2001, 0xdc3, 0, 0, 0, 0, 0, 0x35]),
];

/// The addresses of the thirteen root servers.
pub(super) fn addresses() -> Vec<IpAddr> {
    ROOTS
        .iter()
        .flat_map(|&(_, v4, v6)| [Ipv4Addr::from(v4).into(), Ipv6Addr::from(v6).into()])
        .collect()
}

/// The servers of the root zone: the thirteen, or a nameless one at the addresses given.
pub(super) fn servers(given: Option<&[IpAddr]>) -> Arc<[Nameserver]> {
    match given {
        Some(addresses) => [nameserver(Name::root(), addresses.to_vec())].into(),
        None => ROOTS
            .iter()
            .map(|&(letter, v4, v6)| {
                let name = Name::from_presentation(&format!("{letter}.root-servers.net"))
                    .expect("the names of the root servers are names");
                nameserver(name, vec![Ipv4Addr::from(v4).into(), Ipv6Addr::from(v6).into()])
            })
            .collect(),
    }
}

fn nameserver(name: Name, mut addresses: Vec<IpAddr>) -> Nameserver {
    addresses.sort_unstable();
    Nameserver { zone: Name::root(), name, addresses }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirteen_servers_with_two_addresses_each_and_no_repeats() {
        let mut all = addresses();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 26);
        let servers = servers(None);
        assert_eq!(servers.len(), 13);
        assert!(servers.is_sorted_by_key(|s| s.name.clone()));
    }
}
