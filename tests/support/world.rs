//! A small Internet on loopback that answers every name: a root server that refers every top-level
//! domain to one server, which refers every domain below it to another, which has an address for
//! whatever it is asked.
//!
//! | address | serves |
//! |---|---|
//! | `127.0.1.1` | the root |
//! | `127.0.1.2` | every top-level domain |
//! | `127.0.1.3` | every domain below one |
//!
//! The servers listen on port 53, so a test that uses them runs in a network namespace of its own
//! ([`in_own_network`]).

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::str::FromStr;
use std::thread;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// The root's server.
pub const ROOT: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const TOP: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
const LEAF: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 3);
/// What every name that is not a server has for an address.
pub const ANSWER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const TTL: u32 = 3600;

/// Says that this process is the one inside the namespace.
const INSIDE: &str = "SEKISHO_TEST_INSIDE";

/// Runs the calling test again in a network namespace of its own, with loopback up, and returns
/// true in the process that is inside. Skips loudly where namespaces are not allowed.
pub fn in_own_network(test: &str) -> bool {
    if super::variable(INSIDE).as_deref() == Some(test) {
        return true;
    }
    let program = std::env::current_exe().expect("a test knows its program");
    let inside = format!(
        "ip link set lo up && exec {} --exact {test} --nocapture --include-ignored",
        program.display()
    );
    let status =
        Command::new("unshare").args(["--net", "sh", "-c", &inside]).env(INSIDE, test).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) if status.code() == Some(1) && !may_unshare() => {
            super::skip("network namespaces are not allowed here");
        }
        Ok(status) => panic!("inside its own network the test failed: {status}"),
        Err(error) => super::skip(&format!("unshare: {error}")),
    }
    false
}

fn may_unshare() -> bool {
    let status = Command::new("unshare").args(["--net", "true"]).status();
    status.is_ok_and(|status| status.success())
}

/// Starts the three servers; they end with the process.
pub fn start() {
    for (address, role) in [(ROOT, Role::Root), (TOP, Role::Top), (LEAF, Role::Leaf)] {
        let socket = UdpSocket::bind((address, 53)).expect("port 53 is free in a namespace");
        for _ in 0..2 {
            let socket = socket.try_clone().expect("a socket can be shared");
            thread::spawn(move || serve(&socket, role));
        }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Root,
    Top,
    Leaf,
}

fn serve(socket: &UdpSocket, role: Role) {
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        let reply =
            Message::from_vec(&buffer[..length]).ok().and_then(|query| answer(&query, role));
        if let Some(reply) = reply.and_then(|reply| reply.to_vec().ok()) {
            let _ = socket.send_to(&reply, client);
        }
    }
}

fn answer(query: &Message, role: Role) -> Option<Message> {
    let question = query.queries.first()?.clone();
    let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    let name = Name::from_ascii(question.name().to_ascii().to_ascii_lowercase()).ok()?;
    let rtype = question.query_type();
    reply.add_query(question);
    match (role, name.num_labels()) {
        (Role::Root, 0) => apex(&mut reply, &Name::root(), "a.root.world.", rtype),
        (Role::Root, _) => refer(&mut reply, &name.trim_to(1), "ns.top.world.", TOP),
        (Role::Top, 0) => reply.metadata.response_code = ResponseCode::Refused,
        (Role::Top, 1) => apex(&mut reply, &name, "ns.top.world.", rtype),
        (Role::Top, _) => refer(&mut reply, &name.trim_to(2), "ns.leaf.world.", LEAF),
        (Role::Leaf, 0 | 1) => reply.metadata.response_code = ResponseCode::Refused,
        (Role::Leaf, labels) => leaf(&mut reply, &name, rtype, labels == 2),
    }
    Some(reply)
}

/// What is asked of the top of a zone.
fn apex(reply: &mut Message, zone: &Name, server: &str, rtype: RecordType) {
    reply.metadata.authoritative = true;
    match rtype {
        RecordType::NS => {
            reply.add_answer(Record::from_rdata(zone.clone(), TTL, RData::NS(NS(host(server)))));
        }
        _ => {
            reply.add_authority(soa(zone));
        }
    }
}

fn refer(reply: &mut Message, zone: &Name, server: &str, address: Ipv4Addr) {
    // The server's own name lies in the zone, so that its address may be believed.
    let server =
        host(server.split('.').next().unwrap_or("ns")).append_name(zone).expect("short names");
    reply.add_authority(Record::from_rdata(zone.clone(), TTL, RData::NS(NS(server.clone()))));
    reply.add_additional(Record::from_rdata(server, TTL, RData::A(A(address))));
}

fn leaf(reply: &mut Message, name: &Name, rtype: RecordType, is_apex: bool) {
    reply.metadata.authoritative = true;
    let zone = name.trim_to(2);
    let server = host("ns").append_name(&zone).expect("short names");
    match rtype {
        RecordType::A if *name == server => {
            reply.add_answer(Record::from_rdata(name.clone(), TTL, RData::A(A(LEAF))));
        }
        RecordType::A => {
            reply.add_answer(Record::from_rdata(name.clone(), TTL, RData::A(A(ANSWER))));
        }
        RecordType::NS if is_apex => {
            reply.add_answer(Record::from_rdata(name.clone(), TTL, RData::NS(NS(server))));
        }
        _ => {
            reply.add_authority(soa(&zone));
        }
    }
}

fn soa(zone: &Name) -> Record {
    let soa = SOA::new(host("ns.world."), host("nobody.world."), 1, 3600, 600, 86_400, 60);
    Record::from_rdata(zone.clone(), 60, RData::SOA(soa))
}

fn host(text: &str) -> Name {
    Name::from_str(text).expect("a constant name is sound")
}
