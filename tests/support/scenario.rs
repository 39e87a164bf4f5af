//! Scenarios in the form of the replay tool's case files: policy zones, questions and what must come
//! of them, over a small world. Beyond that form a case may have `steps`, each with the zones from
//! then on and its questions, so that a policy changes over answers that are known.
//!
//! A question reads `NAME TYPE [tcp] [@client] [do] [rd=0] -> OUTCOME [|| OUTCOME] [checks]`, an
//! outcome `NXDOMAIN`, `NODATA`, `TC`, `REFUSED`, `SERVFAIL`, `ANY` or `= RR ; RR`, where `@` is the
//! name asked for, and checks are `soa=ZONE nosoa ttl<=N ede=N noede`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::thread;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use sekisho::zone::file::{Limits, RecordReader};
use serde_json::Value;

use super::PATIENCE;

/// Data of a world, by zone, name and type.
#[derive(Default)]
pub struct World(BTreeMap<Name, ZoneData>);

type ZoneData = BTreeMap<Name, Vec<Record>>;

impl World {
    /// Reads a world of the tool: zones with an apex and their data.
    pub fn read(text: &str) -> Self {
        let world: Value = serde_json::from_str(text).expect("a world is JSON");
        let mut zones = BTreeMap::new();
        for zone in world["zones"].as_array().expect("a world has zones") {
            let apex = zone["apex"].as_str().expect("a zone has an apex");
            let data = zone["data"].as_str().expect("a zone has data");
            zones.insert(name(apex), records(apex, data));
        }
        Self(zones)
    }

    /// Answers as a resolver that knows all of it; gives its address.
    pub fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a port");
        let address = socket.local_addr().expect("a bound socket has an address");
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let query = Message::from_vec(&buffer[..length]).ok();
                let reply = query.and_then(|query| self.answer(&query)?.to_vec().ok());
                reply.map(|reply| socket.send_to(&reply, client));
            }
        });
        address
    }

    fn answer(&self, query: &Message) -> Option<Message> {
        let question = query.queries.first()?.clone();
        let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.recursion_desired = query.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        let (mut at, rtype) = (question.name().to_lowercase(), question.query_type());
        reply.add_query(question);
        // No chain of these worlds is longer.
        for _ in 0..8 {
            let (apex, zone) = self
                .0
                .iter()
                .filter(|(a, _)| a.zone_of(&at))
                .max_by_key(|(a, _)| a.num_labels())?;
            let here = zone.get(&at).map_or(&[][..], Vec::as_slice);
            let of = |rtype| here.iter().filter(move |record| record.record_type() == rtype);
            let found: Vec<&Record> = of(rtype).collect();
            let alias = of(RecordType::CNAME).next().filter(|_| rtype != RecordType::CNAME);
            reply.add_answers(found.iter().map(|record| (*record).clone()));
            match alias {
                _ if !found.is_empty() => {}
                Some(alias) => {
                    reply.add_answer(alias.clone());
                    let RData::CNAME(target) = &alias.data else { return None };
                    at = target.0.to_lowercase();
                    continue;
                }
                None => {
                    let exists = zone.keys().any(|name| at.zone_of(name));
                    if !exists {
                        reply.metadata.response_code = ResponseCode::NXDomain;
                    }
                    let soa = zone.get(apex)?.iter();
                    let soa = soa.filter(|record| record.record_type() == RecordType::SOA);
                    reply.add_authorities(soa.cloned());
                }
            }
            return Some(reply);
        }
        None
    }
}

fn name(text: &str) -> Name {
    Name::from_str(text).expect("a sound name").to_lowercase()
}

fn records(apex: &str, text: &str) -> ZoneData {
    let origin = apex.trim_end_matches('.');
    let origin =
        sekisho::model::Name::from_presentation(if origin.is_empty() { "." } else { origin });
    let origin = origin.expect("a sound apex");
    let mut reader = RecordReader::new(text.as_bytes(), origin, &Limits::default());
    let mut found = ZoneData::new();
    while let Some(entry) = reader.next().expect("memory can be read") {
        let entry = entry
            .unwrap_or_else(|reject| panic!("{apex} line {}: {}", reject.line, reject.problem));
        let record = entry.record;
        let owner = match record.owner.to_string() {
            owner if owner.ends_with('.') => name(&owner),
            owner => name(&format!("{owner}.")),
        };
        let data = known(record.rtype, record.rdata);
        found.entry(owner.clone()).or_default().push(Record::from_rdata(owner, record.ttl, data));
    }
    found
}

/// The data of a type as hickory knows it; others go as octets.
fn known(rtype: u16, octets: &[u8]) -> RData {
    use hickory_proto::serialize::binary::{BinDecoder, Restrict};
    let length = u16::try_from(octets.len()).expect("record data is short");
    let mut decoder = BinDecoder::new(octets);
    let read = RData::read(&mut decoder, RecordType::from(rtype), Restrict::new(length));
    let unknown =
        || RData::Unknown { code: RecordType::from(rtype), rdata: NULL::with(octets.to_vec()) };
    read.unwrap_or_else(|_| unknown())
}

/// A question with what must come of it.
#[derive(Debug)]
pub struct Question {
    text: String,
    name: Name,
    rtype: RecordType,
    tcp: bool,
    client: Option<IpAddr>,
    dnssec: bool,
    recursion: bool,
    outcomes: Vec<String>,
    checks: Vec<String>,
}

impl Question {
    /// Reads a line.
    pub fn read(text: &str) -> Self {
        let (left, right) = text.split_once("->").expect("a question has an outcome");
        let mut words = left.split_whitespace();
        let (asked, rtype) = (words.next().expect("a name"), words.next().expect("a type"));
        let mut question = Self {
            text: text.to_owned(),
            name: name(&format!("{}.", asked.trim_end_matches('.'))),
            rtype: RecordType::from_str(rtype).expect("a known type"),
            tcp: false,
            client: None,
            dnssec: false,
            recursion: true,
            outcomes: Vec::new(),
            checks: Vec::new(),
        };
        for word in words {
            match word {
                "tcp" => question.tcp = true,
                "do" => question.dnssec = true,
                "rd=0" => question.recursion = false,
                client if client.starts_with('@') => {
                    question.client = Some(client[1..].parse().expect("a client's address"));
                }
                other => panic!("what is `{other}` in `{text}`?"),
            }
        }
        let right = right.trim();
        let (outcomes, checks) = match right.strip_suffix(']').and_then(|r| r.rsplit_once('[')) {
            Some((outcomes, checks)) => (outcomes, checks),
            None => (right, ""),
        };
        question.outcomes = outcomes.split("||").map(|o| o.trim().to_owned()).collect();
        question.checks = checks.split_whitespace().map(str::to_owned).collect();
        question
    }

    /// Asks, and gives what is wrong with the answer.
    pub fn ask(&self, port: u16) -> Option<String> {
        let client = self.client.unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
        query.metadata.recursion_desired = self.recursion;
        query.add_query(Query::query(self.name.clone(), self.rtype));
        let mut edns = Edns::new();
        edns.set_dnssec_ok(self.dnssec);
        query.edns = Some(edns);
        let query = query.to_vec().expect("a query can be encoded");
        let reply = if self.tcp { over_tcp(&query, port) } else { over_udp(&query, client, port) };
        let reply = Message::from_vec(&reply).expect("the reply is a message");
        let wrong = |outcome: &String| self.differs(outcome, &reply);
        let fits = self.outcomes.iter().any(|outcome| wrong(outcome).is_none());
        let outcome = (!fits).then(|| self.outcomes.iter().find_map(wrong).unwrap_or_default());
        let checks = self.checks.iter().filter_map(|check| unmet(check, &reply));
        let all: Vec<String> = outcome.into_iter().chain(checks).collect();
        (!all.is_empty()).then(|| format!("{}: {}", self.text, all.join("; ")))
    }

    fn differs(&self, outcome: &str, reply: &Message) -> Option<String> {
        let code = reply.metadata.response_code;
        let mut have: Vec<(Name, String)> = reply
            .answers
            .iter()
            .map(|r| (r.name.to_lowercase(), format!("{} {}", r.record_type(), r.data)))
            .collect();
        have.sort();
        let shown = format!("{code:?} tc={} {have:?}", reply.metadata.truncation);
        let good = match outcome {
            "ANY" => true,
            "TC" => reply.metadata.truncation && have.is_empty(),
            "NXDOMAIN" => code == ResponseCode::NXDomain,
            "SERVFAIL" => code == ResponseCode::ServFail,
            "REFUSED" => code == ResponseCode::Refused,
            "NODATA" => {
                code == ResponseCode::NoError && have.is_empty() && !reply.metadata.truncation
            }
            records => {
                let records =
                    records.strip_prefix('=').unwrap_or_else(|| panic!("what is `{outcome}`?"));
                let mut wanted: Vec<_> = records.split(" ; ").map(|r| self.record(r)).collect();
                wanted.sort();
                code == ResponseCode::NoError && have == wanted
            }
        };
        (!good).then(|| format!("want {outcome}, got {shown}"))
    }

    fn record(&self, text: &str) -> (Name, String) {
        let mut fields = text.trim().splitn(3, ' ');
        let mut field = || fields.next().expect("owner, type and data");
        let (owner, rtype, data) = (field(), field(), field());
        let owner = match owner {
            "@" => self.name.clone(),
            owner => name(&format!("{}.", owner.trim_end_matches('.'))),
        };
        let rtype = RecordType::from_str(rtype).expect("a known type");
        let data = RData::try_from_str(rtype, data).expect("sound data");
        (owner, format!("{rtype} {data}"))
    }
}

fn unmet(check: &str, reply: &Message) -> Option<String> {
    let soas = || {
        let others = reply.authorities.iter().chain(&reply.additionals);
        others
            .filter(|record| record.record_type() == RecordType::SOA)
            .map(|r| r.name.to_lowercase())
    };
    let error = reply.edns.as_ref().and_then(|edns| edns.option(EdnsCode::from(15)));
    let error = match error {
        Some(EdnsOption::Unknown(_, data)) => {
            data.first_chunk().map(|code| u16::from_be_bytes(*code))
        }
        _ => None,
    };
    let ttl = reply.answers.first().map_or(0, |record| record.ttl);
    let met = match check.split_once('=') {
        Some(("soa", zone)) => soas().any(|name_of| name_of == name(&format!("{zone}."))),
        Some(("ede", code)) => error == code.parse().ok(),
        Some(("ttl<", most)) => ttl <= most.parse().expect("a number"),
        None if check == "noede" => error.is_none(),
        None if check == "nosoa" => !soas().any(|name| name.to_string().starts_with("rpz")),
        _ => panic!("what is the check `{check}`?"),
    };
    (!met).then(|| format!("{check} is not met (error {error:?}, ttl {ttl})"))
}

fn over_udp(query: &[u8], client: IpAddr, port: u16) -> Vec<u8> {
    let socket = UdpSocket::bind((client, 0)).expect("loopback has a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket.send_to(query, ("127.0.0.1", port)).expect("a datagram can be sent");
    let mut reply = vec![0; 65_535];
    let length = socket.recv(&mut reply).expect("it answers");
    reply.truncate(length);
    reply
}

fn over_tcp(query: &[u8], port: u16) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let length = u16::try_from(query.len()).expect("a query is short").to_be_bytes();
    stream.write_all(&[&length, query].concat()).expect("it reads");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("it answers");
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).expect("it answers in full");
    reply
}
