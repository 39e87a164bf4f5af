//! One URL a line, and the reading of URLs that other formats share.
//!
//! A URL with a path or query is a claim about one place on a host, which may be shared by many
//! ([`Scope::Url`]); a bare `http://host/` is a claim about the host. Lists also write URLs without
//! a scheme and "defanged", so that nobody opens them by accident: `hxxp://bad[.]example`.

use std::borrow::Cow;

use super::report::{Tally, host_name};
use super::{Entry, Limits, Reason};
use crate::model::{Indicator, Network, Scope};

pub(super) fn line(text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if let Some(comment) = text.strip_prefix(['#', ';', '!']) {
        return tally.comment(comment);
    }
    match entry(super::domains::without_comment(text), tally.limits) {
        Ok(entry) => tally.entry(entry),
        Err(reason) => tally.reject(text, reason),
    }
}

/// What a URL claims.
pub(super) fn entry(text: &str, limits: &Limits) -> Result<Entry, Reason> {
    let text = refanged(text);
    let (authority, rest) = split(&text)?;
    let host = host(authority)?;
    let subject = match Network::parse_lenient(host) {
        // The host is one address, whatever a slash after it might suggest.
        Ok(network) => Indicator::Network(network),
        Err(_) => Indicator::Domain(host_name(host, limits)?),
    };
    let scope = match rest {
        "" | "/" => Scope::Name,
        _ => Scope::Url,
    };
    Ok(Entry { scope, ..Entry::of(subject) })
}

/// Undoes defanging.
fn refanged(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for (from, to) in [("[.]", "."), ("(.)", "."), ("[:]", ":"), ("[://]", "://"), ("[dot]", ".")] {
        if text.contains(from) {
            text = Cow::Owned(text.replace(from, to));
        }
    }
    text
}

/// Splits into authority and what follows it. The scheme is dropped, whatever it is: `hxxp` is
/// `http`, and a host that serves malware over `ftp` is the same host.
fn split(text: &str) -> Result<(&str, &str), Reason> {
    let after_scheme = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        // The `://` stands in a path or query: there was no scheme.
        Some((before, _)) if before.contains(['/', '?']) => text,
        Some(_) => return Err(Reason::Url),
        None => text.strip_prefix("//").unwrap_or(text),
    };
    let end = after_scheme.find(['/', '?', '#', '\\']).unwrap_or(after_scheme.len());
    Ok(after_scheme.split_at(end))
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// The host of an authority: without user information and port, an IPv6 address without brackets
/// (RFC 3986 section 3.2).
fn host(authority: &str) -> Result<&str, Reason> {
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(Reason::Url)?,
        None => match host_and_port.find(':') {
            Some(at) => host_and_port.split_at(at),
            None => (host_and_port, ""),
        },
    };
    let port_is_valid = match port.strip_prefix(':') {
        Some(digits) => digits.is_empty() || digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    match port_is_valid && !host.is_empty() {
        true => Ok(host),
        false => Err(Reason::Url),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{claims, rejects};

    #[test]
    fn a_bare_host_is_claimed_and_a_path_only_through_its_url() {
        let text = "# list\nhttp://a.example\nhttps://b.example/\nhttp://c.example/x?y=1\n\
                    http://d.example?q\nftp://e.example:2121/f # ftp\nhttp://f.example:8080\n\
                    http://g.example/#top\n";
        assert_eq!(
            claims(&Format::Urls, text),
            "a.example b.example c.example/ d.example/ e.example/ f.example g.example/"
        );
    }

    #[test]
    fn hosts_are_found_in_whatever_a_url_may_hold() {
        let text = "http://user:p@ss@a.example/\nhxxp://b[.]example/x\nhxxps[://]c(.)example[:]443/\n\
                    d.example/path\n//e.example/\nhttp://[2001:db8::1]:80/x\nhttp://192.0.2.1/bin\n\
                    http://bücher.example/é\nf.example/go?to=http://g.example/\nh.example:80\n\
                    http://i.example\\@good.example/\n";
        assert_eq!(
            claims(&Format::Urls, text),
            "a.example b.example/ c.example d.example/ e.example 2001:db8::1/ 192.0.2.1/ \
             xn--bcher-kva.example/ f.example/ h.example i.example/"
        );
    }

    #[test]
    fn what_has_no_host_is_rejected() {
        let text = "http://\nhttp:///x\nhttp://a.example:99999/\nhttp://[::1/\n1x://a.example\n\
                    http://localhost/x\nhttp://192.0.2.300/\nhttp://a b.example/\n";
        assert_eq!(claims(&Format::Urls, text), "");
        assert_eq!(
            rejects(&Format::Urls, text),
            [
                "1: not a URL with a host",
                "2: not a URL with a host",
                "3: not a URL with a host",
                "4: not a URL with a host",
                "5: not a URL with a host",
                "6: one label alone is a top-level domain or a local name",
                "7: the last label is a number",
                "8: the character ' ' cannot stand in a host name",
            ]
        );
    }
}
