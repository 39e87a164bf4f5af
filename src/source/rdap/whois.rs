//! WHOIS (RFC 3912): text that every registry words in its own way.

use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Whois;
use super::answer::{Facts, kept};
use crate::model::{Name, Timestamp};
use crate::ports::ledger::LookupOutcome;

/// Who knows which server is responsible.
pub const IANA: &str = "whois.iana.org";
/// RFC 3912 section 2.
const PORT: u16 = 43;
/// The longest answers, with their legal notices, have some ten kilobytes.
const ANSWER_OCTETS_MAX: u64 = 64 << 10;
/// A server that is slower is asked another time.
const TIME_MAX: Duration = Duration::from_secs(15);

/// Words before the time of the registration, in lower case, by how many registries use them.
const REGISTERED: [&str; 11] = [
    "creation date",
    "created",
    "created on",
    "registered on",
    "registered",
    "registration date",
    "registration time",
    "domain registration date",
    "created date",
    "record created",
    "domain_dateregistered",
];
/// Words in answers about what is not registered, in lower case.
const MISSING: [&str; 9] = [
    "no match",
    "not found",
    "no data found",
    "no entries found",
    "no object found",
    "is free",
    "status: available",
    "status: free",
    "nothing found",
];

/// Asks over TCP.
pub struct TcpWhois;

#[async_trait]
impl Whois for TcpWhois {
    async fn ask(&self, server: &str, line: &str) -> std::io::Result<String> {
        let asking = async {
            let mut stream = TcpStream::connect((server, PORT)).await?;
            stream.write_all(format!("{line}\r\n").as_bytes()).await?;
            let mut octets = Vec::new();
            stream.take(ANSWER_OCTETS_MAX).read_to_end(&mut octets).await?;
            Ok(String::from_utf8_lossy(&octets).into_owned())
        };
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        timeout(TIME_MAX, asking).await.map_err(late)?
    }
}

/// The server that IANA names for a top-level domain.
pub fn referral(text: &str) -> Option<String> {
    let server = fields(text).find(|(key, _)| key == "whois").map(|(_, value)| value)?;
    // What is no host name is not connected to.
    Name::from_host(server).is_ok().then(|| server.to_ascii_lowercase())
}

/// What an answer says. One without a date that is understood says nothing of when.
pub fn read(text: &str) -> (LookupOutcome, Facts) {
    let registered = fields(text)
        .find_map(|(key, value)| REGISTERED.contains(&key.as_str()).then(|| date(value)).flatten());
    let registrar = fields(text).find(|(key, _)| key == "registrar" || key == "registrar iana id");
    let mut name_servers: Vec<Name> = fields(text)
        .filter(|(key, _)| ["name server", "nserver", "nameserver"].contains(&key.as_str()))
        .filter_map(|(_, value)| Name::from_host(value.split_whitespace().next()?).ok())
        .take(32)
        .collect();
    name_servers.sort();
    name_servers.dedup();
    let facts = Facts {
        registered_at: registered,
        registrar: registrar.map(|(_, value)| kept(value)).filter(|text| !text.is_empty()),
        name_servers,
        ..Facts::default()
    };
    let lower = text.to_lowercase();
    let outcome = match registered {
        Some(_) => LookupOutcome::Found,
        None if MISSING.iter().any(|word| lower.contains(word)) => LookupOutcome::NotFound,
        None if facts.registrar.is_some() || !facts.name_servers.is_empty() => LookupOutcome::Found,
        None => LookupOutcome::Failed,
    };
    (outcome, facts)
}

/// Lines of a key and a value: `Creation Date: …`, `created....: …`, `[Created on]   …`.
fn fields(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let (key, value) = match line.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => line.split_once(':')?,
        };
        let key = key.trim().trim_end_matches(['.', ' ']).to_lowercase();
        let value = value.trim();
        (!key.is_empty() && !value.is_empty()).then_some((key, value))
    })
}

/// A date as registries write it: RFC 3339, `2026-08-18`, `2026/08/18`, `2026.08.18`, `20260818`,
/// `18-Aug-2026`, `18.8.2026`, each perhaps with a time behind it.
fn date(text: &str) -> Option<Timestamp> {
    // Eight digits are a day, not seconds since 1970.
    let text = text.split(" (").next().unwrap_or(text).trim();
    let words: Vec<&str> = text.split_whitespace().collect();
    let first = words.first()?;
    let parts: Vec<&str> = first.split(['-', '/', '.']).collect();
    let number = |text: &str| text.parse::<u32>().ok();
    let (year, month, day) = match parts.as_slice() {
        [all] if all.len() == 8 && all.bytes().all(|b| b.is_ascii_digit()) => {
            (number(&all[..4])?, number(&all[4..6])?, number(&all[6..])?)
        }
        [year, month, day] if year.len() == 4 && day.len() <= 2 => {
            (number(year)?, number(month)?, number(day)?)
        }
        [day, month, year] if year.len() == 4 => {
            (number(year)?, number(month).or_else(|| named_month(month))?, number(day)?)
        }
        [single] if words.len() >= 3 && single.len() <= 2 => {
            (number(words[2])?, named_month(words[1])?, number(single)?)
        }
        _ => return Timestamp::parse(first),
    };
    Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}"))
}

fn named_month(text: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = text.to_lowercase();
    let at = MONTHS.iter().position(|month| text.starts_with(month))?;
    Some(at as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_registries_write_them() {
        for text in [
            "2026-08-18T09:12:44Z",
            "2026-08-18",
            "2026-08-18 09:12:44",
            "2026/08/18",
            "2026.08.18 11:00:00",
            "20260818",
            "18-Aug-2026",
            "18.8.2026 09:00:00",
            "18 August 2026",
            "2026-08-18 (YYYY-MM-DD)",
        ] {
            let read = date(text).map(|at| at.0 / 86_400 * 86_400);
            assert_eq!(read, Some(1_787_011_200), "{text}");
        }
        assert_eq!((date("before 1996"), date("31.12.19"), date("")), (None, None, None));
    }

    #[test]
    fn answers_of_different_wording_say_the_same() {
        for text in [
            "Domain Name: A.EXAMPLE\r\n   Creation Date: 2026-08-18T09:12:44Z\r\nRegistrar: X\r\n",
            "domain:  a.example\ncreated:  2026.08.18\nnserver:  ns1.a.example. 192.0.2.1\n",
            "[Domain Name]  A.EXAMPLE\n[Created on]   2026/08/18\n",
            "created............: 18.8.2026\n",
        ] {
            let (outcome, facts) = read(text);
            assert_eq!(outcome, LookupOutcome::Found, "{text}");
            assert_eq!(facts.registered_at.unwrap().0 / 86_400, 20_683, "{text}");
        }
    }

    #[test]
    fn what_is_free_and_what_is_not_understood_are_told_apart() {
        assert_eq!(read("No match for \"A.EXAMPLE\".\n").0, LookupOutcome::NotFound);
        assert_eq!(read("Domain: a.example\nStatus: free\n").0, LookupOutcome::NotFound);
        assert_eq!(read("Please try again later.\n").0, LookupOutcome::Failed);
        let (outcome, facts) = read("Nserver: ns1.example.net\nChanged: 2026-01-01\n");
        assert_eq!((outcome, facts.registered_at), (LookupOutcome::Found, None));
    }

    #[test]
    fn a_referral_leads_to_a_host_and_nowhere_else() {
        assert_eq!(
            referral("refer: x\nwhois:        whois.NIC.example\n").as_deref(),
            Some("whois.nic.example")
        );
        assert_eq!(referral("whois: not a host\n"), None);
        assert_eq!(referral("% nothing\n"), None);
    }
}
