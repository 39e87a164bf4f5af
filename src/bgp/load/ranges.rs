//! Comma-separated ranges: ip-location-db's `first,last,AS,"name"`, where addresses may be written as
//! numbers, and tables whose first line names their columns, such as IPinfo's with a `network`.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::report::{Reason, Tally, as_number};
use crate::model::Network;

/// Which column is what.
pub(super) struct Columns {
    is_first_line: bool,
    first: usize,
    /// None where the first column holds prefixes.
    last: Option<usize>,
    origin: usize,
    name: Option<usize>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { is_first_line: true, first: 0, last: Some(1), origin: 2, name: Some(3) }
    }
}

impl Columns {
    pub fn line(&mut self, text: &str, tally: &mut Tally<'_>) -> Result<(), Reason> {
        let is_first_line = std::mem::take(&mut self.is_first_line);
        if text.trim().is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let fields = fields(text).ok_or(Reason::Columns)?;
        if is_first_line && let Some(named) = Self::named(&fields) {
            *self = named;
            return Ok(());
        }
        let field = |at: usize| fields.get(at).map(|field| field.trim()).ok_or(Reason::Columns);
        // IPinfo leaves the AS of unrouted space empty.
        let origin = match field(self.origin)? {
            "" => 0,
            text => as_number(text)?,
        };
        match self.last {
            Some(last) => {
                tally.range(address(field(self.first)?)?, address(field(last)?)?, origin)?
            }
            None => {
                let network = Network::parse_lenient(field(self.first)?);
                tally.route(network.map_err(|_| Reason::Network)?, &[origin]);
            }
        }
        if let Some(name) = self.name.and_then(|at| fields.get(at)) {
            tally.name(origin, name);
        }
        Ok(())
    }

    /// The columns by their names, if this is a line of names.
    fn named(fields: &[Cow<'_, str>]) -> Option<Self> {
        let find = |names: &[&str]| {
            fields.iter().position(|field| names.iter().any(|name| field.trim() == *name))
        };
        let last = find(&["end_ip", "range_end", "last", "end"]);
        let first = match last {
            Some(_) => find(&["start_ip", "range_start", "first", "start"])?,
            None => find(&["network", "prefix"])?,
        };
        Some(Self {
            is_first_line: false,
            first,
            last,
            origin: find(&["asn", "as_number", "autonomous_system_number"])?,
            name: find(&["as_name", "organization", "autonomous_system_organization", "name"]),
        })
    }
}

/// An address, or its number: one of more than 32 bits is IPv6.
fn address(text: &str) -> Result<IpAddr, Reason> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let number: u128 = text.parse().map_err(|_| Reason::Network)?;
    Ok(match u32::try_from(number) {
        Ok(number) => Ipv4Addr::from_bits(number).into(),
        Err(_) => Ipv6Addr::from_bits(number).into(),
    })
}

/// The fields of one line (RFC 4180, but a field cannot go on in the next line); none where a
/// quotation does not end.
fn fields(text: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quotation(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..end]), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return after.trim().is_empty().then_some(fields),
        }
    }
}

/// The text up to the closing quote, doubled quotes made single, and what follows.
fn quotation(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut whole = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        whole += part;
        match after.strip_prefix('"') {
            Some(more) => {
                whole += "\"";
                rest = more;
            }
            None => return Some((whole, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_are_quoted() {
        for (text, expected) in [
            ("a,b,1,c", vec!["a", "b", "1", "c"]),
            ("a,\"b, c\",\"d \"\"e\"\"\",", vec!["a", "b, c", "d \"e\"", ""]),
            ("\"\"", vec![""]),
        ] {
            assert_eq!(fields(text).unwrap(), expected, "{text}");
        }
        for text in ["\"a", "\"a\"\"", "\"a\"b,c"] {
            assert_eq!(fields(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_of_more_than_32_bits_are_ipv6() {
        assert_eq!(address("3221225985"), Ok("192.0.2.1".parse().unwrap()));
        assert_eq!(
            address("42540766411282592856903984951653826560"),
            Ok("2001:db8::".parse().unwrap())
        );
        assert_eq!(address("1.2.3"), Err(Reason::Network));
    }
}
