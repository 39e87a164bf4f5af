//! Generated policy zones with rules of all kinds, and questions that meet them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use hickory_proto::rr::RecordType;

use super::country::{self, Country, HOSTS, PROVIDERS};
use super::support::dice::Dice;

/// The zones, the first before the others.
pub const ZONES: [&str; 3] = ["one.rpz", "two.rpz", "three.rpz"];
/// Clients; rules are about some of them.
const CLIENTS: usize = 20;
/// Rules about clients, and about servers' names and addresses, in each zone: each takes a part of
/// all questions, so few are enough.
const OF_CLIENTS: usize = 2;
const OF_SERVERS: usize = 2;

/// A question of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub name: String,
    pub rtype: RecordType,
    pub client: Ipv4Addr,
}

fn client(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 9, u8::try_from(number + 1).expect("few clients"))
}

/// The text of each zone, with `rules` rules in all.
pub fn zones(dice: &mut Dice, country: Country, rules: usize) -> [String; 3] {
    let share = rules / ZONES.len();
    ZONES.map(|_| {
        let mut text =
            "$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 60\n@ NS localhost.\n"
                .to_owned();
        let mut owners = BTreeSet::new();
        let mut add = |owner: String, action: &[&str]| {
            if owners.insert(owner.clone()) {
                for record in action {
                    writeln!(text, "{owner} {record}").expect("writing to memory");
                }
            }
            owners.len()
        };
        for _ in 0..OF_CLIENTS {
            let [_, _, c, d] = client(dice.throw(CLIENTS)).octets();
            add(format!("32.{d}.{c}.0.127.rpz-client-ip"), action(dice, true));
        }
        for _ in 0..OF_SERVERS {
            let provider = dice.throw(PROVIDERS);
            let star = if dice.chance(50) { "ns" } else { "*" };
            // Unbound 1.17.1 ends where a rule about a server's name says TCP-only.
            add(format!("{star}.p{provider}.test.rpz-nsdname"), action(dice, false));
            let [a, b, c, d] = country::provider_address(dice.throw(PROVIDERS)).octets();
            add(format!("32.{d}.{c}.{b}.{a}.rpz-nsip"), action(dice, false));
        }
        loop {
            let zone = 1 + dice.throw(country.zones);
            let host = dice.throw(HOSTS);
            let owner = match dice.throw(100) {
                0..60 => country::host(zone, host),
                60..70 => format!("z{zone}.test"),
                70..80 => format!("*.z{zone}.test"),
                // Names below, which make empty non-terminals.
                80..84 => format!("deep.x.h{host}.z{zone}.test"),
                84..92 => format!("32.{host}.{}.51.198.rpz-ip", zone % 256),
                92..94 => format!("24.0.{}.51.198.rpz-ip", zone % 256),
                94..97 => format!("128.{:x}.zz.{zone:x}.db8.2001.rpz-ip", host.max(1)),
                _ => format!("48.zz.{zone:x}.db8.2001.rpz-ip"),
            };
            if add(owner, action(dice, true)) >= share {
                return text;
            }
        }
    })
}

fn action(dice: &mut Dice, tcp_only: bool) -> &'static [&'static str] {
    match dice.throw(20) {
        0..6 => &["CNAME ."],
        6..9 => &["CNAME *."],
        9..12 => &["CNAME rpz-passthru."],
        12 if dice.chance(50) => &["CNAME rpz-drop."],
        13 if tcp_only => &["CNAME rpz-tcp-only."],
        14 | 15 => &["CNAME www.garden.test."],
        16 => &["CNAME *.garden.test."],
        17 => &["TXT \"blocked\"", "MX 10 mail.garden.test."],
        _ => &["A 203.0.113.5", "A 203.0.113.6", "AAAA 2001:db8:ffff::5"],
    }
}

/// Questions, the same each time for the same dice.
pub fn questions(dice: &mut Dice, country: Country, count: usize) -> Vec<Asked> {
    let asked = |_| {
        let zone = 1 + dice.throw(country.zones);
        let host = country::host(zone, dice.throw(HOSTS));
        let name = match dice.throw(20) {
            0 => format!("z{zone}.test"),
            1 => format!("x.{host}"),
            2 => format!("other.z{zone}.test"),
            _ => host,
        };
        let rtype = match dice.throw(20) {
            0..13 => RecordType::A,
            13..17 => RecordType::AAAA,
            17 => RecordType::TXT,
            18 => RecordType::MX,
            _ => RecordType::CNAME,
        };
        let client = match dice.chance(10) {
            true => client(dice.throw(CLIENTS)),
            false => Ipv4Addr::LOCALHOST,
        };
        Asked { name, rtype, client }
    };
    (0..count).map(asked).collect()
}
