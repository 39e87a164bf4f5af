//! What clients of plain DNS are told about encrypted transports (RFC 9462): the records of
//! `_dns.resolver.arpa`, made of what really listens.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::model::{NameRef, RrSet};
use crate::resolver::encrypted::PATH;

/// SVCB, and the keys of its parameters (RFC 9460 section 14.3.2, RFC 9461 section 5).
const SVCB: u16 = 64;
const ALPN: u16 = 1;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;
const DOH_PATH: u16 = 7;
/// Seconds that the records may be kept: as long as a certificate is a good guess.
const TTL_SECONDS: u32 = 300;

/// Where encrypted transports listen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// DNS over TLS.
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS, on HTTP/2 and HTTP/1.1.
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub quic: Vec<SocketAddr>,
    /// DNS over HTTPS on HTTP/3.
    pub http3: Vec<SocketAddr>,
}

/// The records that say so under the name that the certificate has; none where nothing listens.
pub fn records(name: NameRef<'_>, listening: &Listening) -> Option<RrSet> {
    let stream = group(&[(&listening.tls, "dot"), (&listening.quic, "doq")]);
    let http = group(&[(&listening.https, "h2"), (&listening.http3, "h3")]);
    let mut rdata: Vec<Box<[u8]>> = Vec::new();
    let services = stream.iter().map(|s| (s, false)).chain(http.iter().map(|s| (s, true)));
    for (priority, (service, is_http)) in (1_u16..).zip(services) {
        rdata.push(service_record(priority, name, service, is_http));
    }
    rdata.sort();
    (!rdata.is_empty()).then_some(RrSet { rtype: SVCB, ttl: TTL_SECONDS, rdata })
}

/// A port with the protocols spoken there and the addresses it has.
type Service = (u16, (Vec<&'static str>, Vec<IpAddr>));

fn group(listeners: &[(&Vec<SocketAddr>, &'static str)]) -> Vec<Service> {
    let mut services: BTreeMap<u16, (Vec<&'static str>, Vec<IpAddr>)> = BTreeMap::new();
    for (addresses, protocol) in listeners {
        for address in *addresses {
            let (protocols, hints) = services.entry(address.port()).or_default();
            if !protocols.contains(protocol) {
                protocols.push(protocol);
            }
            // Of a socket for all addresses nobody here can say which of them clients reach.
            if !address.ip().is_unspecified() && !hints.contains(&address.ip()) {
                hints.push(address.ip());
            }
        }
    }
    services.into_iter().collect()
}

fn service_record(priority: u16, name: NameRef<'_>, service: &Service, is_http: bool) -> Box<[u8]> {
    let (port, (protocols, hints)) = service;
    let mut octets = priority.to_be_bytes().to_vec();
    name.write_wire(&mut octets);
    let mut alpn = Vec::new();
    for protocol in protocols {
        alpn.push(u8::try_from(protocol.len()).expect("names of protocols are short"));
        alpn.extend_from_slice(protocol.as_bytes());
    }
    put(&mut octets, ALPN, &alpn);
    put(&mut octets, PORT, &port.to_be_bytes());
    let v4 = |address: &IpAddr| match address {
        IpAddr::V4(v4) => Some(v4.octets()),
        IpAddr::V6(_) => None,
    };
    let v6 = |address: &IpAddr| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(v6.octets()),
    };
    put_unless_empty(
        &mut octets,
        IPV4_HINT,
        &hints.iter().filter_map(v4).collect::<Vec<_>>().concat(),
    );
    put_unless_empty(
        &mut octets,
        IPV6_HINT,
        &hints.iter().filter_map(v6).collect::<Vec<_>>().concat(),
    );
    if is_http {
        put(&mut octets, DOH_PATH, format!("{PATH}{{?dns}}").as_bytes());
    }
    octets.into()
}

fn put_unless_empty(octets: &mut Vec<u8>, key: u16, value: &[u8]) {
    if !value.is_empty() {
        put(octets, key, value);
    }
}

fn put(octets: &mut Vec<u8>, key: u16, value: &[u8]) {
    octets.extend_from_slice(&key.to_be_bytes());
    let length = u16::try_from(value.len()).expect("64 addresses at most are configured");
    octets.extend_from_slice(&length.to_be_bytes());
    octets.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{RData, RecordType};

    use super::*;
    use crate::model::Name;

    #[test]
    fn what_listens_is_said_with_its_protocols_ports_and_addresses() {
        let at = |text: &str| vec![text.parse().unwrap()];
        let listening = Listening {
            tls: at("192.0.2.1:853"),
            quic: at("[2001:db8::1]:853"),
            https: at("0.0.0.0:443"),
            http3: at("0.0.0.0:443"),
        };
        let name = Name::from_presentation("dns.example").unwrap();
        let set = records(name.as_ref(), &listening).unwrap();
        let shown: Vec<String> = set
            .rdata
            .iter()
            .map(|rdata| {
                let length = u16::try_from(rdata.len()).unwrap();
                let mut decoder = hickory_proto::serialize::binary::BinDecoder::new(rdata);
                let length = hickory_proto::serialize::binary::Restrict::new(length);
                RData::read(&mut decoder, RecordType::SVCB, length).unwrap().to_string()
            })
            .collect();
        assert_eq!(
            shown,
            [
                "1 dns.example. alpn=dot,doq, port=853 ipv4hint=192.0.2.1, ipv6hint=2001:db8::1,",
                "2 dns.example. alpn=h2,h3, port=443 unknown7=\"/dns-query{?dns}\",",
            ]
        );
        assert_eq!(records(name.as_ref(), &Listening::default()), None);
    }
}
