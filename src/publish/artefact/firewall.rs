//! Sets of addresses for firewalls.

use std::io::{self, Write};
use std::net::IpAddr;

use super::{Format, Tally};
use crate::model::Network;

/// How many entries ipset and nftables are told to make room for at least.
const SET_ENTRIES_MIN: usize = 65_536;

/// Writes prefixes that lie in none of the others.
pub fn write(format: Format, networks: &[Network], out: &mut impl Write) -> io::Result<Tally> {
    let is_v4 = |network: &&Network| matches!(network.address(), IpAddr::V4(_));
    let v4: Vec<&Network> = networks.iter().filter(is_v4).collect();
    let v6: Vec<&Network> = networks.iter().filter(|network| !is_v4(network)).collect();
    match format {
        Format::Nftables => nftables(&v4, &v6, out)?,
        Format::Ipset => ipset(&v4, &v6, out)?,
        _ => {
            for network in networks {
                writeln!(out, "{network}")?;
            }
        }
    }
    Ok(Tally { entries: networks.len(), left_out: 0 })
}

/// For `nft -f`: a table of its own with two sets, replaced as one transaction. Rules of other
/// chains in the same table use them as `ip daddr @blocked4`.
fn nftables(v4: &[&Network], v6: &[&Network], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "table inet sekisho {{")?;
    for (name, kind) in [("blocked4", "ipv4_addr"), ("blocked6", "ipv6_addr")] {
        writeln!(out, "    set {name} {{ type {kind}; flags interval; }}")?;
    }
    writeln!(out, "}}\nflush set inet sekisho blocked4\nflush set inet sekisho blocked6")?;
    for (name, networks) in [("blocked4", v4), ("blocked6", v6)] {
        // A command has a bounded length.
        for part in networks.chunks(1000) {
            let part: Vec<String> = part.iter().map(ToString::to_string).collect();
            writeln!(out, "add element inet sekisho {name} {{ {} }}", part.join(", "))?;
        }
    }
    Ok(())
}

/// For `ipset restore`: filled beside the sets in use and then put in their place.
fn ipset(v4: &[&Network], v6: &[&Network], out: &mut impl Write) -> io::Result<()> {
    for (name, family, networks) in [("sekisho4", "inet", v4), ("sekisho6", "inet6", v6)] {
        let most = networks.len().max(SET_ENTRIES_MIN);
        let kind = format!("hash:net family {family} maxelem {most}");
        writeln!(out, "create {name} {kind} -exist\ncreate {name}-new {kind} -exist")?;
        writeln!(out, "flush {name}-new")?;
        for network in networks {
            writeln!(out, "add {name}-new {network}")?;
        }
        writeln!(out, "swap {name}-new {name}\ndestroy {name}-new")?;
    }
    Ok(())
}
