//! Response policy zones as lists: what their rules claim.
//!
//! Most publishers write two rules for a domain, `name` and `*.name`; together they are one entry.
//! A rule that answers NXDOMAIN, NODATA, nothing, or an address that leads nowhere claims its
//! trigger; PASSTHRU is the list's own exception. A rule that answers something else redirects (a
//! block page, or safe search forced on) and claims nothing, and triggers about clients and name
//! servers are about neither names nor answers: both are rejected.
//!
//! How a zone is written is for the reader behind [`PolicyRecords`] to know.

mod zone;

use std::io;
use std::net::IpAddr;

pub(super) use zone::ZoneRecords;

use super::report::Tally;
use super::{Entry, Limits, ParseError, Reason, Report, hosts, neutralised};
use crate::model::{Action, Data, Indicator, NamePattern, Trigger};

/// Record type numbers of addresses (RFC 1035 section 3.2.2, RFC 3596 section 2.1).
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// A zone read rule by rule, without its SOA and NS records.
pub trait PolicyRecords {
    /// The next rule or what is no rule; none at the end. An error ends the reading.
    fn next_record(&mut self) -> io::Result<Option<Result<PolicyRecord, BadRecord>>>;
}

/// One record, or all records of one owner, as a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    /// The line it begins at, from 1.
    pub line: u64,
    /// What makes it apply.
    pub trigger: Trigger,
    /// What it does.
    pub action: Action,
}

/// A record that is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// The line it begins at, from 1.
    pub line: u64,
    /// Its text, as far as it is known.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads the entries of a zone. The report counts records, not lines.
pub fn parse(
    records: &mut dyn PolicyRecords,
    limits: &Limits,
    sink: &mut dyn FnMut(Entry),
) -> Result<Report, ParseError> {
    let mut tally = Tally::new(limits, sink);
    let mut last = None;
    while let Some(next) = records.next_record()? {
        if tally.report.lines == limits.lines_max {
            return Err(ParseError::TooManyLines(limits.lines_max));
        }
        match next {
            Ok(record) => {
                tally.begin(record.line);
                take(&record, &mut last, &mut tally);
            }
            Err(bad) => {
                tally.begin(bad.line);
                tally.reject(&bad.text, Reason::Record(neutralised(&bad.reason).into()));
            }
        }
        if tally.is_full() {
            return Err(ParseError::TooManyEntries(limits.entries_max));
        }
        tally.end();
    }
    Ok(tally.report)
}

/// Counts one rule. `last` is the subject of the rule before and whether it was an exception.
fn take(record: &PolicyRecord, last: &mut Option<(Indicator, bool)>, tally: &mut Tally<'_>) {
    let claim = subject(&record.trigger, tally.limits)
        .and_then(|subject| exception(&record.action).map(|exception| (subject, exception)));
    match claim {
        Err(reason) => tally.reject(&shown(&record.trigger), reason),
        Ok((subject, exception)) if is_repeat(last, &subject, exception) => tally.repeat(),
        Ok((subject, exception)) => {
            *last = Some((subject.clone(), exception));
            tally.entry(Entry { exception, ..Entry::of(subject) });
        }
    }
}

/// Whether the rule before said the same of the same subject.
fn is_repeat(last: &Option<(Indicator, bool)>, subject: &Indicator, exception: bool) -> bool {
    last.as_ref().is_some_and(|(held, excepts)| held == subject && *excepts == exception)
}

fn subject(trigger: &Trigger, limits: &Limits) -> Result<Indicator, Reason> {
    match trigger {
        Trigger::QueryName(NamePattern { name, .. }) => match name.as_ref().label_count() {
            0 => Err(Reason::CoversEverything),
            labels if labels < limits.labels_min => Err(Reason::SingleLabel),
            _ => Ok(Indicator::Domain(name.clone())),
        },
        Trigger::AnswerAddress(network) => Ok(Indicator::Network(*network)),
        Trigger::ClientAddress(_) => Err(Reason::Trigger("clients")),
        Trigger::NameserverName(_) | Trigger::NameserverAddress(_) => {
            Err(Reason::Trigger("name servers"))
        }
    }
}

/// Whether the action takes its trigger out of the list, or the reason why it claims nothing.
fn exception(action: &Action) -> Result<bool, Reason> {
    match action {
        Action::NxDomain | Action::NoData | Action::Drop => Ok(false),
        Action::Passthru => Ok(true),
        Action::Data(data) if leads_nowhere(data) => Ok(false),
        Action::Redirect(_) | Action::RedirectBelow(_) | Action::Data(_) => {
            Err(Reason::OtherAnswer)
        }
        Action::TcpOnly => Err(Reason::TcpOnly),
    }
}

/// Whether the local data is nothing but unspecified and loopback addresses.
fn leads_nowhere(data: &Data) -> bool {
    let mut addresses = data.iter().flat_map(|set| {
        set.rdata.iter().map(|octets| match set.rtype {
            TYPE_A => <[u8; 4]>::try_from(&octets[..]).ok().map(IpAddr::from),
            TYPE_AAAA => <[u8; 16]>::try_from(&octets[..]).ok().map(IpAddr::from),
            _ => None,
        })
    });
    addresses.all(|address| address.is_some_and(hosts::leads_nowhere))
}

fn shown(trigger: &Trigger) -> String {
    match trigger {
        Trigger::QueryName(pattern) | Trigger::NameserverName(pattern) => pattern.to_string(),
        Trigger::ClientAddress(network)
        | Trigger::AnswerAddress(network)
        | Trigger::NameserverAddress(network) => network.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, Network, RrSet};

    struct Scripted(std::vec::IntoIter<Result<PolicyRecord, BadRecord>>);

    impl PolicyRecords for Scripted {
        fn next_record(&mut self) -> io::Result<Option<Result<PolicyRecord, BadRecord>>> {
            Ok(self.0.next())
        }
    }

    fn query(text: &str, action: Action) -> (Trigger, Action) {
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let name = Name::from_presentation(name).unwrap();
        (Trigger::QueryName(NamePattern { name, wildcard }), action)
    }

    fn read(rules: Vec<(Trigger, Action)>) -> (String, Report) {
        let mut records: Vec<_> = (1..)
            .zip(rules)
            .map(|(line, (trigger, action))| Ok(PolicyRecord { line, trigger, action }))
            .collect();
        records.push(Err(BadRecord { line: 99, text: "x".into(), reason: "bad\x1b".into() }));
        let mut shown = Vec::new();
        let mut scripted = Scripted(records.into_iter());
        let report = parse(&mut scripted, &Limits::default(), &mut |entry| {
            let mark = if entry.exception { "!" } else { "" };
            shown.push(format!("{mark}{}", entry.subject));
        });
        (shown.join(" "), report.unwrap())
    }

    fn data(rtype: u16, rdata: &[u8]) -> Action {
        Action::Data([RrSet { rtype, ttl: 60, rdata: vec![rdata.into()] }].into())
    }

    #[test]
    fn a_name_and_all_below_it_are_one_entry() {
        let (shown, report) = read(vec![
            query("a.example", Action::NxDomain),
            query("*.a.example", Action::NxDomain),
            query("*.b.example", Action::NoData),
            query("c.example", Action::Passthru),
            query("*.c.example", Action::Passthru),
            query("c.example", Action::Drop),
            query("d.example", data(TYPE_A, &[0, 0, 0, 0])),
            (
                Trigger::AnswerAddress(Network::parse_strict("192.0.2.0/24").unwrap()),
                Action::NxDomain,
            ),
        ]);
        assert_eq!(shown, "a.example b.example !c.example c.example d.example 192.0.2.0/24");
        assert_eq!((report.entries, report.lines_accepted, report.lines), (6, 8, 9));
    }

    #[test]
    fn rules_that_claim_nothing_are_rejected_with_the_reason() {
        let name = Name::from_presentation("walled.example").unwrap();
        let network = Network::parse_strict("192.0.2.1").unwrap();
        let nameserver = NamePattern::exact(Name::from_presentation("ns.example").unwrap());
        let (shown, report) = read(vec![
            query("a.example", Action::Redirect(name.clone())),
            query("b.example", data(TYPE_A, &[192, 0, 2, 1])),
            query("c.example", data(16, b"\x01x")),
            query("d.example", Action::TcpOnly),
            query("*..", Action::NxDomain),
            query("zip", Action::NxDomain),
            (Trigger::ClientAddress(network), Action::Drop),
            (Trigger::NameserverName(nameserver), Action::NxDomain),
        ]);
        assert_eq!(shown, "");
        let reasons: Vec<String> =
            report.rejects.iter().map(|r| format!("{} {}: {}", r.line, r.text, r.reason)).collect();
        assert_eq!(
            reasons,
            [
                "1 a.example: answers something else, which redirects and claims nothing",
                "2 b.example: answers something else, which redirects and claims nothing",
                "3 c.example: answers something else, which redirects and claims nothing",
                "4 d.example: asks for TCP, which claims nothing",
                "5 *: this would cover everything",
                "6 zip: one label alone is a top-level domain or a local name",
                "7 192.0.2.1: a trigger about clients is no claim about a name or an answer",
                "8 ns.example: a trigger about name servers is no claim about a name or an answer",
                "99 x: bad\\u{1b}",
            ]
        );
    }
}
