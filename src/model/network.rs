//! Address prefixes, and how feeds and RPZ owner names order them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why a text is not a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address, or a prefix length that is out of range.
    #[error("not an address or prefix")]
    Malformed,
    /// Bits are set beyond the prefix length.
    #[error("bits are set beyond the prefix length")]
    HostBits,
}

/// An IPv4 or IPv6 prefix with no bits set beyond its length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The prefix of `length` bits that holds `address`; none where the length is out of range.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        IpNet::new(address, length).ok().map(|net| Self(net.trunc()))
    }

    /// A single address.
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }

    /// Reads an address or `address/length` as feeds write them: octets may be padded with zeros
    /// (`001.002.003.004` is decimal, as DShield writes it), host bits are cleared.
    pub fn parse_lenient(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address = parse_address(address).ok_or(NetworkError::Malformed)?;
        let length = match length {
            Some(text) => text.parse().map_err(|_| NetworkError::Malformed)?,
            None => return Ok(Self::host(address)),
        };
        Self::new(address, length).ok_or(NetworkError::Malformed)
    }

    /// A network that the program itself names.
    ///
    /// # Panics
    ///
    /// Where the text is no network, which the first use in a test shows.
    pub fn constant(text: &str) -> Self {
        Self::parse_strict(text).expect("a constant network is sound")
    }

    /// Reads an address or `address/length` and refuses host bits, as policy files are read.
    pub fn parse_strict(text: &str) -> Result<Self, NetworkError> {
        let net: IpNet = match text.contains('/') {
            true => text.parse().map_err(|_| NetworkError::Malformed)?,
            false => IpNet::from(text.parse::<IpAddr>().map_err(|_| NetworkError::Malformed)?),
        };
        match net.addr() == net.network() {
            true => Ok(Self(net)),
            false => Err(NetworkError::HostBits),
        }
    }

    /// The first address.
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }

    /// The prefix length in the family's own bits: up to 32 or 128.
    pub fn length(self) -> u8 {
        self.0.prefix_len()
    }

    /// The prefix length in 128 bits: IPv4 counts 96 more (RPZ draft section 5.6).
    pub fn rpz_length(self) -> u8 {
        match self.0 {
            IpNet::V4(net) => net.prefix_len() + 96,
            IpNet::V6(net) => net.prefix_len(),
        }
    }

    /// The first address as a 128-bit number, IPv4 extended with zeros, so that IPv4 comes before
    /// IPv6 (RPZ draft section 5.7).
    pub fn rpz_number(self) -> u128 {
        address_number(self.0.addr())
    }

    /// Whether the prefix holds `address`.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the prefix holds the whole of `other`.
    pub fn covers(self, other: Network) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether this is one address and not a range.
    pub fn is_host(self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// The same prefix as the `ipnet` crate's type.
    pub fn ipnet(self) -> IpNet {
        self.0
    }
}

/// An address as a 128-bit number, IPv4 extended with zeros (RPZ draft section 5.7).
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Reads an address; IPv4 octets may carry leading zeros and are decimal all the same.
fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// IPv4 before IPv6, then by first address, then the shorter prefix first.
impl Ord for Network {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |n: &Network| (matches!(n.0, IpNet::V6(_)), n.rpz_number(), n.length());
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Network {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Ipv4Net> for Network {
    fn from(net: Ipv4Net) -> Self {
        Self(IpNet::V4(net.trunc()))
    }
}

impl From<Ipv6Net> for Network {
    fn from(net: Ipv6Net) -> Self {
        Self(IpNet::V6(net.trunc()))
    }
}

/// A bare address for a single host, else `address/length`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_host() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_may_pad_octets_and_leave_host_bits() {
        let shown = |text| Network::parse_lenient(text).map(|n| n.to_string());
        assert_eq!(shown("001.002.003.004").unwrap(), "1.2.3.4");
        assert_eq!(shown("010.000.000.009/24").unwrap(), "10.0.0.0/24");
        assert_eq!(shown("2001:DB8::1/32").unwrap(), "2001:db8::/32");
        for bad in ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/", "bad.example"]
        {
            assert_eq!(shown(bad), Err(NetworkError::Malformed), "{bad}");
        }
    }

    #[test]
    fn policy_files_may_not_leave_host_bits() {
        assert_eq!(Network::parse_strict("192.0.2.1/24"), Err(NetworkError::HostBits));
        assert_eq!(Network::parse_strict("192.0.2.0/24").unwrap().to_string(), "192.0.2.0/24");
    }

    #[test]
    fn ipv4_sorts_before_ipv6_and_counts_96_more_bits() {
        let v4 = Network::parse_strict("255.0.0.0/8").unwrap();
        let v6 = Network::parse_strict("::/8").unwrap();
        assert!(v4 < v6);
        assert_eq!((v4.rpz_length(), v6.rpz_length()), (104, 8));
    }
}
