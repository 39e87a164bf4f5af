//! `/etc/hosts` lines: an address, then names, then perhaps a comment.
//!
//! As a blocklist such a file sends names nowhere: to an unspecified or loopback address. A line
//! with a real address is a redirection (a block page, or safe search forced on), which claims
//! nothing about the name and is rejected.

use std::net::IpAddr;

use super::Reason;
use super::report::Tally;

/// Names of the machine itself that every hosts file has.
const LOCAL_NAMES: [&str; 6] =
    ["localhost", "localhost.localdomain", "local", "broadcasthost", "localhost4", "localhost6"];

pub(super) fn line(text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if let Some(comment) = text.strip_prefix(['#', '!']) {
        return tally.comment(comment);
    }
    let body = text.split('#').next().unwrap_or(text);
    let mut words = body.split_whitespace();
    let address = words.next().and_then(address);
    match (address, words.clone().next()) {
        (Some(address), Some(_)) => names(address, words, tally),
        _ => tally.reject(text, Reason::HostsLine),
    }
}

fn names<'a>(address: IpAddr, names: impl Iterator<Item = &'a str>, tally: &mut Tally<'_>) {
    for name in names {
        if is_local(name) {
            continue;
        }
        match leads_nowhere(address) {
            true => tally.host(name),
            false => tally.reject(name, Reason::Redirection),
        }
    }
}

/// The address that a hosts line starts with: `0` is an old spelling of `0.0.0.0`, and a zone
/// (`fe80::1%lo0`) may follow.
pub(super) fn address(word: &str) -> Option<IpAddr> {
    match word {
        "0" => Some(IpAddr::from([0, 0, 0, 0])),
        _ => word.split('%').next()?.parse().ok(),
    }
}

/// Whether a name with this address cannot be reached.
pub(super) fn leads_nowhere(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_unspecified() || address.is_loopback()
}

fn is_local(name: &str) -> bool {
    LOCAL_NAMES.iter().any(|local| name.eq_ignore_ascii_case(local))
        || name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ip6-"))
        || name == "0.0.0.0"
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{claims, read, rejects};

    #[test]
    fn every_name_of_a_line_is_read() {
        let text = "# Title: mine\n127.0.0.1\tA.example b.example # c.example\n0 c.example\n::1 d.example#x\n\
                    :: e.example\n::ffff:0.0.0.0 f.example\n";
        assert_eq!(
            claims(&Format::Hosts, text),
            "a.example b.example c.example d.example e.example f.example"
        );
    }

    #[test]
    fn names_of_the_machine_itself_are_no_entries_and_no_rejects() {
        let text = "127.0.0.1 localhost\n127.0.0.1 localhost.localdomain local\n\
                    255.255.255.255 broadcasthost\nfe80::1%lo0 localhost\nff02::1 ip6-allnodes\n\
                    0.0.0.0 0.0.0.0\n";
        let (entries, report) = read(&Format::Hosts, text.as_bytes());
        assert!(entries.is_empty());
        assert_eq!((report.lines_ignored, report.rejects_total), (6, 0));
    }

    #[test]
    fn a_real_address_redirects_and_claims_nothing() {
        let text = "216.239.38.120 www.search.example\nbad.example\n0.0.0.0\n0.0.0.0 -x.example ok.example\n";
        assert_eq!(claims(&Format::Hosts, text), "ok.example");
        assert_eq!(
            rejects(&Format::Hosts, text),
            [
                "1: sends the name to a real address; only unspecified and loopback addresses block",
                "2: not an address followed by names",
                "3: not an address followed by names",
                "4: a label starts or ends with a hyphen",
            ]
        );
    }
}
