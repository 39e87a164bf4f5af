//! What people and machines are told of a table.

use serde::{Deserialize, Serialize};

use super::{Seen, Span, Table, Value};
use crate::model::{Indicator, Name, NameRef, Timestamp};

/// Records in one answer; the rest is asked for with where the last answer ended.
pub const RECORDS_MAX: usize = 10_000;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// A name, an address, or `.` for everything.
    pub what: String,
    /// All names below the name as well.
    #[serde(default)]
    pub below: bool,
    /// Where the last answer ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Why a question is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Neither a name nor an address.
    #[error("`{0}` is neither a name nor an address")]
    Subject(String),
    /// Not where an answer ended.
    #[error("`{0}` is not where an answer ended")]
    After(String),
}

/// A record in the members of the Passive DNS Common Output Format
/// (draft-dulaunoy-dnsop-passive-dns-cof, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The owner, without a final dot.
    pub rrname: String,
    /// The type's name.
    pub rrtype: String,
    /// The data as in a master file.
    pub rdata: String,
    /// First seen, in seconds since 1970.
    pub time_first: u32,
    /// Last seen, in seconds since 1970.
    pub time_last: u32,
    /// How often an upstream said so.
    pub count: u32,
}

/// How a name is used here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The name.
    pub name: String,
    /// First seen, in seconds since 1970.
    pub first_at: u32,
    /// Last seen, in seconds since 1970.
    pub last_at: u32,
    /// On how many of the last 60 days.
    pub days: u32,
    /// The most clients of one day; the bound means "so many or more".
    pub clients: u8,
    /// About how many queries in the last 24 hours.
    pub queries: u32,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was asked about.
    pub what: String,
    /// Since when anybody watches, in seconds since 1970.
    pub since: u32,
    /// How the domain of a name is used, and the name itself where it is another.
    pub usage: Vec<Usage>,
    /// What was seen, in order of owner and data.
    pub records: Vec<Record>,
    /// Where to go on.
    pub next: Option<String>,
}

impl Table {
    /// Answers a question.
    pub fn answer(
        &self,
        question: &Question,
        holder_of: impl Fn(NameRef<'_>) -> Option<Name>,
        now: Timestamp,
    ) -> Result<Answer, QuestionError> {
        let what = question.what.trim();
        let after = question.after.as_deref().map(position).transpose()?;
        let empty = Answer {
            what: what.to_owned(),
            since: self.since.0,
            usage: Vec::new(),
            records: Vec::new(),
            next: None,
        };
        if what == "." {
            return Ok(self.of_name(empty, NameRef::ROOT, true, after));
        }
        match Indicator::parse(what) {
            Ok(Indicator::Domain(name)) => {
                let holder = holder_of(name.as_ref());
                let mut answer = self.of_name(empty, name.as_ref(), question.below, after);
                let holder = holder.as_ref().filter(|holder| **holder != name);
                let of_holder = holder.and_then(|h| Some((h, self.holder(h.as_ref())?)));
                let itself = self.host(name.as_ref()).or_else(|| self.holder(name.as_ref()));
                let usages = of_holder.into_iter().chain(itself.map(|seen| (&name, seen)));
                answer.usage = usages.map(|(name, seen)| usage(name, seen, now)).collect();
                Ok(answer)
            }
            Ok(Indicator::Network(network)) if network.is_host() => {
                let value = Value::Address(network.address());
                let owners = self.owners_of(&value).take(RECORDS_MAX);
                let records = owners.map(|(owner, span)| record(owner, &value, span)).collect();
                Ok(Answer { records, ..empty })
            }
            _ => Err(QuestionError::Subject(what.to_owned())),
        }
    }

    fn of_name(
        &self,
        empty: Answer,
        name: NameRef<'_>,
        below: bool,
        after: Option<(Name, Value)>,
    ) -> Answer {
        let found =
            self.below(name, after).take_while(|(owner, ..)| below || owner.as_ref() == name);
        let mut found = found.peekable();
        let mut records = Vec::new();
        let mut last = None;
        while let Some((owner, value, span)) = found.next_if(|_| records.len() < RECORDS_MAX) {
            records.push(record(owner, value, span));
            last = Some((owner, value));
        }
        let next = last.filter(|_| found.peek().is_some());
        let next = next.map(|(owner, value)| format!("{owner} {} {value}", value.rtype()));
        Answer { records, next, ..empty }
    }
}

/// Reads where an answer ended: owner, type and data.
fn position(text: &str) -> Result<(Name, Value), QuestionError> {
    let read = || {
        let mut words = text.split(' ');
        let owner = Name::from_presentation(words.next()?).ok()?;
        let (rtype, data) = (words.next()?, words.next()?);
        let name = || Name::from_presentation(data).ok();
        let value = match rtype {
            "A" | "AAAA" => Value::Address(data.parse().ok()?),
            "CNAME" => Value::Alias(name()?),
            "NS" => Value::Server(name()?),
            _ => return None,
        };
        Some((owner, value))
    };
    read().ok_or_else(|| QuestionError::After(text.to_owned()))
}

fn record(owner: &Name, value: &Value, span: &Span) -> Record {
    Record {
        rrname: owner.to_string(),
        rrtype: value.rtype().to_owned(),
        rdata: value.to_string(),
        time_first: span.first_at.0,
        time_last: span.last_at.0,
        count: span.count,
    }
}

fn usage(name: &Name, seen: &Seen, now: Timestamp) -> Usage {
    Usage {
        name: name.to_string(),
        first_at: seen.first_at.0,
        last_at: seen.last_at.0,
        days: seen.days_within(60, now),
        clients: seen.clients,
        queries: seen.queries_of_a_day(now),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn two_labels(name: NameRef<'_>) -> Option<Name> {
        Some(name.top(2).to_owned())
    }

    fn table() -> Table {
        let limits = Limits { size_octets_max: 64 << 20, age_seconds_max: 1000 };
        let mut table = Table::new(limits, Timestamp(1));
        for (host, value) in [
            ("www.a.com", Value::Address("10.0.0.1".parse().unwrap())),
            ("www.a.com", Value::Address("2001:db8::1".parse().unwrap())),
            ("a.com", Value::Server(name("ns.b.net"))),
            ("x.a.com", Value::Alias(name("www.a.com"))),
        ] {
            let host = name(host);
            table.see_name(host.as_ref(), host.as_ref().top(2), Timestamp(10));
            table.see_record(&host, value, Timestamp(10));
        }
        table
    }

    fn ask(what: &str, below: bool, after: Option<String>) -> Result<Answer, QuestionError> {
        let question = Question { what: what.to_owned(), below, after };
        table().answer(&question, two_labels, Timestamp(20))
    }

    fn shown(answer: &Answer) -> Vec<String> {
        let records = answer.records.iter();
        records.map(|r| format!("{} {} {}", r.rrname, r.rrtype, r.rdata)).collect()
    }

    #[test]
    fn a_name_answers_alone_or_with_all_below_it() {
        let alone = ask("WWW.a.com", false, None).unwrap();
        assert_eq!(shown(&alone), ["www.a.com A 10.0.0.1", "www.a.com AAAA 2001:db8::1"]);
        let names: Vec<&str> = alone.usage.iter().map(|usage| usage.name.as_str()).collect();
        assert_eq!(names, ["a.com", "www.a.com"]);
        let below = ask("a.com", true, None).unwrap();
        assert_eq!(below.records.len(), 4);
        assert_eq!(ask(".", false, None).unwrap().records, below.records);
        let rest = ask(".", true, Some("www.a.com A 10.0.0.1".to_owned())).unwrap();
        assert_eq!(shown(&rest)[0], "www.a.com AAAA 2001:db8::1");
    }

    #[test]
    fn an_address_answers_with_the_names_on_it() {
        assert_eq!(shown(&ask("10.0.0.1", false, None).unwrap()), ["www.a.com A 10.0.0.1"]);
        assert!(ask("10.0.0.9", false, None).unwrap().records.is_empty());
        assert!(ask("10.0.0.0/8", false, None).is_err());
        assert!(ask("AS1", false, None).is_err());
        assert!(ask("a.com", false, Some("nonsense".to_owned())).is_err());
    }

    /// The draft's members, an object a line.
    #[test]
    fn a_record_has_the_members_of_the_common_output_format() {
        let answer = ask("10.0.0.1", false, None).unwrap();
        let line = serde_json::to_string(&answer.records[0]).unwrap();
        assert_eq!(
            line,
            "{\"rrname\":\"www.a.com\",\"rrtype\":\"A\",\"rdata\":\"10.0.0.1\",\
             \"time_first\":10,\"time_last\":10,\"count\":1}"
        );
    }
}
