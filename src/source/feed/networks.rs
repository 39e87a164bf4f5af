//! Addresses, prefixes and ranges, in the spellings that address lists use.
//!
//! One of these begins a line: an address (its octets perhaps padded with zeros, as DShield writes
//! them, and decimal all the same), an address with a port, a prefix, a range `first-last`, or the
//! columns `first last prefix-length` of DShield's block list. Other columns, such as IPsum's count
//! of lists, are not read here; the csv format reads them by name. `AS64500` names an AS.

use std::net::IpAddr;

use ipnet::{Ipv4Subnets, Ipv6Subnets};

use super::report::Tally;
use super::{Entry, Reason};
use crate::model::{Indicator, Network};

pub(super) fn line(text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if let Some(comment) = text.strip_prefix(['#', ';', '!']).or_else(|| text.strip_prefix("//")) {
        return tally.comment(comment);
    }
    match subjects(text) {
        Ok(subjects) => {
            for subject in subjects {
                tally.entry(Entry::of(subject));
            }
        }
        Err(reason) => tally.reject(text, reason),
    }
}

fn subjects(text: &str) -> Result<Vec<Indicator>, Reason> {
    let body = text.split(['#', ';']).next().unwrap_or(text);
    let mut words = body.split([' ', '\t', ',']).filter(|word| !word.is_empty() && *word != "-");
    let first = words.next().ok_or(Reason::Network)?;
    if let Some(number) = as_number(first) {
        return Ok(vec![Indicator::As(number?)]);
    }
    if let Some((from, to)) = first.split_once('-') {
        return range(one_address(from)?, one_address(to)?);
    }
    // A second address ends a range; DShield writes the length of the same prefix after it.
    if let Some(last) = words.next().and_then(|word| one_address(word).ok()) {
        return range(one_address(first)?, last);
    }
    network(first).map(|network| vec![Indicator::Network(network)])
}

/// A prefix or an address, perhaps with a port after it.
pub(super) fn network(text: &str) -> Result<Network, Reason> {
    let network = Network::parse_lenient(without_port(text)).map_err(|_| Reason::Network)?;
    match network.length() {
        0 => Err(Reason::CoversEverything),
        _ => Ok(network),
    }
}

/// `192.0.2.1:443` and `[2001:db8::1]:443` without the port.
fn without_port(text: &str) -> &str {
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port_number);
        return if is_port { address } else { text };
    }
    match text.split_once(':') {
        // More colons make an IPv6 address.
        Some((address, port)) if is_port_number(port) && address.contains('.') => address,
        _ => text,
    }
}

fn is_port_number(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// `AS64500`; none if the text does not begin like one.
pub(super) fn as_number(text: &str) -> Option<Result<u32, Reason>> {
    let start = text.get(..2)?;
    let digits = start.eq_ignore_ascii_case("as").then(|| &text[2..])?;
    Some(digits.parse().map_err(|_| Reason::AsNumber))
}

fn one_address(text: &str) -> Result<IpAddr, Reason> {
    match Network::parse_lenient(text) {
        Ok(network) if network.is_host() => Ok(network.address()),
        _ => Err(Reason::Network),
    }
}

/// The fewest prefixes that hold exactly the range: at most 62 for IPv4 and 254 for IPv6.
fn range(first: IpAddr, last: IpAddr) -> Result<Vec<Indicator>, Reason> {
    let networks: Vec<Network> = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            Ipv4Subnets::new(first, last, 0).map(Network::from).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            Ipv6Subnets::new(first, last, 0).map(Network::from).collect()
        }
        _ => return Err(Reason::Range),
    };
    match networks.iter().any(|network| network.length() == 0) {
        true => Err(Reason::CoversEverything),
        false => Ok(networks.into_iter().map(Indicator::Network).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{claims, rejects};

    #[test]
    fn every_spelling_of_address_lists_is_read() {
        let text = "# list\n; SBL\n192.0.2.1\n198.051.100.009\n203.0.113.7/24\n2001:DB8::/32\n\
                    192.0.2.9:8080\n[2001:db8::1]:443\n192.0.2.4-192.0.2.7\n10.0.0.0/8 ; SBL1\n\
                    77.90.185.20\t10\n192.0.2.3 # Malicious Host ZZ,,0.0\nAS64500\n192.0.2.16 - 192.0.2.18\n";
        assert_eq!(
            claims(&Format::Networks, text),
            "192.0.2.1 198.51.100.9 203.0.113.0/24 2001:db8::/32 192.0.2.9 2001:db8::1 192.0.2.4/30 \
             10.0.0.0/8 77.90.185.20 192.0.2.3 AS64500 192.0.2.16/31 192.0.2.18"
        );
    }

    #[test]
    fn dshields_columns_are_a_range_and_its_length() {
        let text = "# primary URL: x\n198.051.100.000\t198.051.100.255\t24\t3500\tEXAMPLE\tZZ\ta@b.example\n";
        assert_eq!(claims(&Format::Networks, text), "198.51.100.0/24");
    }

    #[test]
    fn what_is_no_address_is_rejected() {
        let text = "bad.example\n192.0.2.256\n192.0.2.7-192.0.2.4\n192.0.2.1-2001:db8::1\n0.0.0.0/0\n\
                    0.0.0.0-255.255.255.255\n192.0.2.1:99999\nASx\n#\n::/0\n";
        assert_eq!(claims(&Format::Networks, text), "");
        assert_eq!(
            rejects(&Format::Networks, text),
            [
                "1: not an address, prefix or range",
                "2: not an address, prefix or range",
                "3: the range does not run upwards",
                "4: the range does not run upwards",
                "5: this would cover everything",
                "6: this would cover everything",
                "7: not an address, prefix or range",
                "8: not an AS number",
                "10: this would cover everything",
            ]
        );
    }

    #[test]
    fn the_widest_odd_range_splits_into_a_bounded_number_of_prefixes() {
        let count = |text: &str| claims(&Format::Networks, text).split(' ').count();
        assert_eq!(count("0.0.0.1-255.255.255.254"), 62);
        assert_eq!(count("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), 254);
    }
}
