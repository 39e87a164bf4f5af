//! dnsmasq's options about names (dnsmasq(8), `--address`, `--local`, `--server`).
//!
//! `address=/a/b/0.0.0.0` and `local=/a/` keep names from being resolved; all of them include what
//! lies below. `server=/a/#` hands a name back to the usual servers, which is the list's own
//! exception. `server=/a/192.0.2.1` and an `address=` with a real address send a name elsewhere and
//! claim nothing.

use super::hosts::{address, leads_nowhere};
use super::report::{Tally, host_name};
use super::{Entry, Reason};
use crate::model::Indicator;

pub(super) fn line(text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if let Some(comment) = text.strip_prefix('#') {
        return tally.comment(comment);
    }
    match option(text) {
        Err(reason) => tally.reject(text, reason),
        Ok(NameOption { names, exception }) => {
            for name in names.split('/') {
                match claim(name, tally) {
                    Ok(entry) => tally.entry(Entry { exception, ..entry }),
                    Err(reason) => tally.reject(name, reason),
                }
            }
        }
    }
}

struct NameOption<'a> {
    /// Names with slashes between them.
    names: &'a str,
    exception: bool,
}

fn option(text: &str) -> Result<NameOption<'_>, Reason> {
    let (key, value) = text.split_once('=').ok_or(Reason::DnsmasqOption)?;
    let value = super::domains::without_comment(value.trim());
    let list = value.strip_prefix('/').ok_or(Reason::DnsmasqOption)?;
    let (names, target) = list.rsplit_once('/').ok_or(Reason::DnsmasqOption)?;
    let exception = match (key.trim(), target) {
        ("address", "" | "#") | ("local" | "server", "") => false,
        ("local" | "server", "#") => true,
        ("local" | "server", _) => return Err(Reason::Forwarding),
        ("address", target) => match address(target) {
            Some(address) if leads_nowhere(address) => false,
            Some(_) => return Err(Reason::Redirection),
            None => return Err(Reason::DnsmasqOption),
        },
        _ => return Err(Reason::DnsmasqOption),
    };
    Ok(NameOption { names, exception })
}

fn claim(name: &str, tally: &Tally<'_>) -> Result<Entry, Reason> {
    match name {
        // `/#/` matches every name; `*x` since dnsmasq 2.86 every name that ends with x.
        "#" | "*" => Err(Reason::CoversEverything),
        _ if name.strip_prefix("*.").unwrap_or(name).contains('*') => Err(Reason::Wildcard),
        _ => host_name(name, tally.limits).map(|name| Entry::of(Indicator::Domain(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{claims, rejects};

    #[test]
    fn the_three_options_about_names_are_read() {
        let text = "# Title: mine\naddress=/a.example/b.example/0.0.0.0\naddress=/c.example/\n\
                    address=/d.example/::\naddress=/e.example/#\nlocal=/f.example/\nserver=/g.example/ # x\n\
                    server=/*.h.example/#\n";
        assert_eq!(
            claims(&Format::Dnsmasq, text),
            "a.example b.example c.example d.example e.example f.example g.example !h.example"
        );
    }

    #[test]
    fn what_sends_names_elsewhere_claims_nothing() {
        let text = "address=/#/0.0.0.0\naddress=/a.example/192.0.2.1\nserver=/b.example/192.0.2.1#53\n\
                    server=192.0.2.1\nno-resolv\nipset=/c.example/set\nlocal=/*d.example/\nserver=//\n";
        assert_eq!(claims(&Format::Dnsmasq, text), "");
        assert_eq!(
            rejects(&Format::Dnsmasq, text),
            [
                "1: this would cover everything",
                "2: sends the name to a real address; only unspecified and loopback addresses block",
                "3: forwards the names to another server",
                "4: not an address=, local= or server= option for names",
                "5: not an address=, local= or server= option for names",
                "6: not an address=, local= or server= option for names",
                "7: a wildcard inside a name is not a name",
                "8: empty label",
            ]
        );
    }
}
