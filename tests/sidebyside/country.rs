//! A small Internet whose every answer follows from the name, so that the facts that policy looks
//! at can be told without asking: zones `z1.test`, `z2.test` … with twenty hosts each, served by
//! forty providers `p0.test` … `p39.test`, one address each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::thread;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{Name as WireName, RData, Record, RecordType};
use sekisho::model::{AnswerFacts, AnswerStep, Name, Nameserver};

/// The root's server.
pub const ROOT: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const TOP: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
/// Who serves zones.
pub const PROVIDERS: usize = 40;
/// Hosts that a zone may have; some of them do not exist.
pub const HOSTS: usize = 20;
const TTL: u32 = 3600;

/// How many zones there are, from `z1` on.
#[derive(Debug, Clone, Copy)]
pub struct Country {
    pub zones: usize,
}

/// What is at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum There {
    Nothing,
    Alias(String),
    Data { v4: Vec<Ipv4Addr>, v6: Vec<Ipv6Addr>, text: bool },
}

/// The address of a provider's server.
pub fn provider_address(provider: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 2, u8::try_from(provider + 1).expect("few providers"))
}

/// A host's name.
pub fn host(zone: usize, host: usize) -> String {
    format!("h{host}.z{zone}.test")
}

impl Country {
    /// What is at a name, without the final dot.
    fn at(&self, name: &str) -> There {
        let labels: Vec<&str> = name.split('.').collect();
        let only = |v4: Ipv4Addr| There::Data { v4: vec![v4], v6: Vec::new(), text: false };
        match labels[..] {
            [.., "garden", "test"] => only(Ipv4Addr::new(203, 0, 113, 80)),
            ["ns", provider, "test"] => match number(provider, 'p') {
                Some(p) if p < PROVIDERS => only(provider_address(p)),
                _ => There::Nothing,
            },
            [host, zone, "test"] => match (number(host, 'h'), number(zone, 'z')) {
                (Some(host), Some(zone)) if self.has(zone) => self.host(zone, host),
                _ => There::Nothing,
            },
            [zone, "test"]
                if number(zone, 'z').is_some_and(|z| self.has(z)) || is_provider(zone) =>
            {
                There::Data { v4: Vec::new(), v6: Vec::new(), text: false }
            }
            _ => There::Nothing,
        }
    }

    fn has(&self, zone: usize) -> bool {
        (1..=self.zones).contains(&zone)
    }

    fn host(&self, zone: usize, number: usize) -> There {
        let other = zone * 7 % self.zones + 1;
        let (high, low) =
            (u8::try_from(zone % 256).unwrap_or(0), u8::try_from(number).unwrap_or(0));
        let v4 = Ipv4Addr::new(198, 51, high, low);
        let word = |n: usize| u16::try_from(n).unwrap_or(0);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, word(zone), 0, 0, 0, 0, word(number));
        match number {
            1..=9 => There::Data { v4: vec![v4], v6: vec![v6], text: number == 9 },
            10..=12 => There::Alias(host(other, number - 9)),
            13 => There::Alias(host(other, 10)),
            14 => There::Data { v4: Vec::new(), v6: Vec::new(), text: true },
            15 => There::Data {
                v4: vec![v4, Ipv4Addr::new(198, 51, 100, high)],
                v6: vec![v6],
                text: false,
            },
            16 => There::Alias(host(other, 0)),
            _ => There::Nothing,
        }
    }

    /// The facts of the answer to a question about a name.
    pub fn facts(&self, name: &str, rtype: RecordType) -> AnswerFacts {
        let mut steps = Vec::new();
        let mut current = name.to_owned();
        loop {
            let there = self.at(&current);
            let addresses: Vec<IpAddr> = match (&there, rtype) {
                (There::Data { v4, .. }, RecordType::A) => v4.iter().map(|a| (*a).into()).collect(),
                (There::Data { v6, .. }, RecordType::AAAA) => {
                    v6.iter().map(|a| (*a).into()).collect()
                }
                _ => Vec::new(),
            };
            steps.push(AnswerStep {
                name: Name::from_host(&current).expect("a host name"),
                addresses,
                nameservers: self.servers(&current),
            });
            match there {
                There::Alias(target) if rtype != RecordType::CNAME => current = target,
                _ => return AnswerFacts { steps, signed: false },
            }
        }
    }

    fn servers(&self, name: &str) -> Vec<Arc<[Nameserver]>> {
        let server = |zone: &str, name: &str, address: Ipv4Addr| -> Arc<[Nameserver]> {
            let parsed = |text: &str| Name::from_host(text).expect("a host name");
            let (zone, name) = (parsed(zone), parsed(name));
            [Nameserver { zone, name, addresses: vec![address.into()] }].into()
        };
        let mut path = vec![server("test", "ns.test", TOP)];
        if let Some((zone, provider)) = provider_of(name) {
            path.push(server(&zone, &format!("ns.p{provider}.test"), provider_address(provider)));
        }
        path
    }

    /// Starts the servers; they end with the process.
    pub fn start(self) {
        let mut servers = vec![(ROOT, Role::Root), (TOP, Role::Top)];
        servers.extend((0..PROVIDERS).map(|p| (provider_address(p), Role::Provider)));
        for (address, role) in servers {
            let socket = UdpSocket::bind((address, 53)).expect("port 53 is free in a namespace");
            thread::spawn(move || self.serve(&socket, role));
        }
    }

    fn serve(self, socket: &UdpSocket, role: Role) {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let query = Message::from_vec(&buffer[..length]).ok();
            let reply = query.and_then(|query| self.answer(&query, role)?.to_vec().ok());
            if let Some(reply) = reply {
                let _ = socket.send_to(&reply, client);
            }
        }
    }

    fn answer(self, query: &Message, role: Role) -> Option<Message> {
        let question = query.queries.first()?.clone();
        let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        let (asked, rtype) = (question.name().clone(), question.query_type());
        let text = asked.to_ascii().to_ascii_lowercase();
        let name = text.trim_end_matches('.');
        reply.add_query(question);
        match role {
            Role::Root if name.is_empty() => {
                apex(&mut reply, &asked, ".", "a.root.test", ROOT, rtype)
            }
            Role::Root => match name == "test" || name.ends_with(".test") {
                true => refer(&mut reply, "test", "ns.test", TOP),
                false => missing(&mut reply, "."),
            },
            Role::Top if name == "test" => apex(&mut reply, &asked, "test", "ns.test", TOP, rtype),
            Role::Top if name == "ns.test" && rtype == RecordType::A => {
                reply.metadata.authoritative = true;
                reply.add_answer(Record::from_rdata(asked, TTL, RData::A(A(TOP))));
            }
            Role::Top => match provider_of(name) {
                Some((zone, provider)) if name != "garden.test" || provider == 0 => {
                    let server = format!("ns.p{provider}.test");
                    refer(&mut reply, &zone, &server, provider_address(provider));
                }
                _ => missing(&mut reply, "test"),
            },
            Role::Provider => self.host_answer(&mut reply, &asked, name, rtype),
        }
        Some(reply)
    }

    fn host_answer(self, reply: &mut Message, asked: &WireName, name: &str, rtype: RecordType) {
        let Some((zone, provider)) = provider_of(name) else {
            reply.metadata.response_code = ResponseCode::Refused;
            return;
        };
        let (server, address) = (format!("ns.p{provider}.test"), provider_address(provider));
        if name == zone && matches!(rtype, RecordType::NS | RecordType::SOA) {
            return apex(reply, asked, &zone, &server, address, rtype);
        }
        reply.metadata.authoritative = true;
        let before = reply.answers.len();
        let mut add = |data: RData| {
            reply.add_answer(Record::from_rdata(asked.clone(), TTL, data));
        };
        let there = self.at(name);
        match (&there, rtype) {
            (There::Alias(target), _) => add(RData::CNAME(CNAME(wire(target)))),
            (There::Data { v4, .. }, RecordType::A) => {
                v4.iter().for_each(|address| add(RData::A(A(*address))));
            }
            (There::Data { v6, .. }, RecordType::AAAA) => {
                v6.iter().for_each(|address| add(RData::AAAA(AAAA(*address))));
            }
            (There::Data { text: true, .. }, RecordType::TXT) => {
                add(RData::TXT(TXT::new(vec![name.to_owned()])));
            }
            _ => {}
        }
        if reply.answers.len() == before {
            reply.add_authority(soa(&zone));
        }
        if there == There::Nothing && name != zone {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Root,
    Top,
    Provider,
}

fn number(label: &str, letter: char) -> Option<usize> {
    label.strip_prefix(letter)?.parse().ok()
}

fn is_provider(label: &str) -> bool {
    number(label, 'p').is_some_and(|p| p < PROVIDERS)
}

/// The zone below `test` that a name lies in, and who serves it.
fn provider_of(name: &str) -> Option<(String, usize)> {
    let mut labels = name.rsplit('.');
    if labels.next() != Some("test") {
        return None;
    }
    let zone = labels.next()?;
    let provider = match (number(zone, 'z'), number(zone, 'p')) {
        (Some(z), _) => z % PROVIDERS,
        (_, Some(p)) if p < PROVIDERS => p,
        _ if zone == "garden" => 0,
        _ => return None,
    };
    Some((format!("{zone}.test"), provider))
}

fn wire(name: &str) -> WireName {
    WireName::from_str(&format!("{}.", name.trim_end_matches('.'))).expect("a sound name")
}

fn apex(
    reply: &mut Message,
    asked: &WireName,
    zone: &str,
    server: &str,
    address: Ipv4Addr,
    rtype: RecordType,
) {
    reply.metadata.authoritative = true;
    match rtype {
        RecordType::NS => {
            reply.add_answer(Record::from_rdata(asked.clone(), TTL, RData::NS(NS(wire(server)))));
            reply.add_additional(Record::from_rdata(wire(server), TTL, RData::A(A(address))));
        }
        RecordType::SOA => {
            reply.add_answer(soa(zone));
        }
        _ => {
            reply.add_authority(soa(zone));
        }
    }
}

fn refer(reply: &mut Message, zone: &str, server: &str, address: Ipv4Addr) {
    reply.add_authority(Record::from_rdata(wire(zone), TTL, RData::NS(NS(wire(server)))));
    reply.add_additional(Record::from_rdata(wire(server), TTL, RData::A(A(address))));
}

fn missing(reply: &mut Message, zone: &str) {
    reply.metadata.authoritative = true;
    reply.metadata.response_code = ResponseCode::NXDomain;
    reply.add_authority(soa(zone));
}

fn soa(zone: &str) -> Record {
    let host = |text: &str| wire(text);
    let soa = SOA::new(host("ns.test"), host("nobody.test"), 1, 3600, 600, 86_400, 60);
    Record::from_rdata(wire(zone), 60, RData::SOA(soa))
}
