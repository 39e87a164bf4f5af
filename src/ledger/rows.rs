//! Records to rows and back.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Name, NameRef, Timestamp};
use crate::ports::LedgerError;
use crate::ports::ledger::{
    Audit, Draw, FACTS_OCTETS_MAX, LedgerCounts, Lookup, LookupOutcome, Mute, Registration, Report,
    Sign, Spend, TEXT_OCTETS_MAX,
};

/// Answers are kept for calibration, which looks back a year (SCORING 4.5), and a month more.
const LOOKUP_SECONDS_MAX: u32 = 400 * 86_400;
/// What a few thousand look-ups a day come to in that time, and some.
const LOOKUPS_MAX: u32 = 2_000_000;
/// Domains that clients of a large network ask for in a year, some 300 octets each.
const REGISTRATIONS_MAX: u32 = 2_000_000;
/// A domain that nobody asked about for so long is asked for anew.
const REGISTRATION_SECONDS_MAX: u32 = 400 * 86_400;
/// Budgets look back to the beginning of the month.
const SPEND_SECONDS_MAX: u32 = 62 * 86_400;
/// Signs older than this are history.
const SIGN_SECONDS_MAX: u32 = 90 * 86_400;
/// More than anybody looks through.
const SIGNS_MAX: u32 = 10_000;
/// Mutes that have ended are kept for a while, to say why something was not shown.
const MUTE_SECONDS_MAX: u32 = 90 * 86_400;
/// Draws that wait: nobody reviews more at once.
const DRAWS_MAX: u32 = 10_000;
/// Audits and reports are the work of people.
const LABELS_MAX: u32 = 1_000_000;

/// An octet string of a text that is not too long.
pub fn check_text(what: &'static str, text: &str) -> std::result::Result<(), LedgerError> {
    match text.len() > TEXT_OCTETS_MAX {
        true => Err(LedgerError::TooLong { what, octets_max: TEXT_OCTETS_MAX }),
        false => Ok(()),
    }
}

/// The facts of an answer as text.
pub fn checked_facts(lookup: &Lookup) -> std::result::Result<String, LedgerError> {
    let facts = json(&lookup.facts);
    match facts.len() > FACTS_OCTETS_MAX {
        true => {
            let octets_max = FACTS_OCTETS_MAX;
            Err(LedgerError::TooLong { what: "what was read from an answer", octets_max })
        }
        false => Ok(facts),
    }
}

pub fn keep_lookup(c: &mut Connection, lookup: &Lookup, facts: &str) -> Result<()> {
    let sql = "INSERT INTO lookup \
               (provider, indicator, asked_at, outcome, body_sha256, facts, keep_until) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    c.prepare_cached(sql)?.execute(params![
        lookup.provider,
        lookup.indicator,
        lookup.asked_at.0,
        word(&lookup.outcome),
        lookup.body_sha256,
        facts,
        lookup.keep_until.0
    ])?;
    Ok(())
}

pub fn lookups(c: &mut Connection, indicator: &str) -> Result<Vec<Lookup>> {
    let sql =
        format!("SELECT {LOOKUP} FROM lookup WHERE indicator = ?1 ORDER BY asked_at DESC, id DESC");
    c.prepare_cached(&sql)?.query_map([indicator], read_lookup)?.collect()
}

pub fn lookups_since(c: &mut Connection, since: Timestamp) -> Result<Vec<Lookup>> {
    let sql = format!("SELECT {LOOKUP} FROM lookup WHERE asked_at >= ?1 ORDER BY asked_at, id");
    c.prepare_cached(&sql)?.query_map([since.0], read_lookup)?.collect()
}

const LOOKUP: &str = "provider, indicator, asked_at, outcome, body_sha256, facts, keep_until";

fn read_lookup(row: &Row<'_>) -> Result<Lookup> {
    Ok(Lookup {
        provider: row.get(0)?,
        indicator: row.get(1)?,
        asked_at: Timestamp(row.get(2)?),
        outcome: worded(row, 3)?,
        body_sha256: row.get(4)?,
        facts: structured(row, 5)?,
        keep_until: Timestamp(row.get(6)?),
    })
}

pub fn keep_spend(c: &mut Connection, spend: &Spend) -> Result<()> {
    let minute = spend.at.0 - spend.at.0 % 60;
    let sql = "INSERT INTO spend (provider, key_tag, minute, units) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO UPDATE SET units = units + excluded.units";
    c.prepare_cached(sql)?.execute(params![spend.provider, spend.key_tag, minute, spend.units])?;
    Ok(())
}

pub fn spends(
    c: &mut Connection,
    provider: &str,
    key_tag: &str,
    since: Timestamp,
) -> Result<Vec<Spend>> {
    let sql = "SELECT minute, units FROM spend \
               WHERE provider = ?1 AND key_tag = ?2 AND minute >= ?3 ORDER BY minute";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map(params![provider, key_tag, since.0], |row| {
        Ok(Spend {
            provider: provider.to_owned(),
            key_tag: key_tag.to_owned(),
            at: Timestamp(row.get(0)?),
            units: row.get(1)?,
        })
    })?;
    rows.collect()
}

pub fn keep_registration(c: &mut Connection, r: &Registration) -> Result<()> {
    let found = matches!(r.outcome, LookupOutcome::Found | LookupOutcome::NotFound);
    let domain = r.domain.as_ref().key();
    if !found {
        let sql = "UPDATE registration SET keep_until = ?2 WHERE domain = ?1 AND outcome = ?3";
        let kept = c.prepare_cached(sql)?.execute(params![
            domain,
            r.keep_until.0,
            word(&LookupOutcome::Found)
        ])?;
        if kept > 0 {
            return Ok(());
        }
    }
    let sql = "INSERT OR REPLACE INTO registration \
               (domain, outcome, protocol, server, asked_at, keep_until, registered_at, \
               changed_at, expires_at, registrar, statuses, name_servers, body_sha256) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    c.prepare_cached(sql)?.execute(params![
        domain,
        word(&r.outcome),
        word(&r.protocol),
        r.server,
        r.asked_at.0,
        r.keep_until.0,
        r.registered_at.map(|at| at.0),
        r.changed_at.map(|at| at.0),
        r.expires_at.map(|at| at.0),
        r.registrar,
        json(&r.statuses),
        json(&r.name_servers),
        r.body_sha256
    ])?;
    Ok(())
}

const REGISTRATION: &str = "SELECT domain, outcome, protocol, server, asked_at, keep_until, \
                            registered_at, changed_at, expires_at, registrar, statuses, \
                            name_servers, body_sha256 FROM registration";

fn read_registration(row: &Row<'_>) -> Result<Registration> {
    let time = |at| row.get::<_, Option<u32>>(at).map(|seconds| seconds.map(Timestamp));
    Ok(Registration {
        domain: name(row, 0)?,
        outcome: worded(row, 1)?,
        protocol: worded(row, 2)?,
        server: row.get(3)?,
        asked_at: Timestamp(row.get(4)?),
        keep_until: Timestamp(row.get(5)?),
        registered_at: time(6)?,
        changed_at: time(7)?,
        expires_at: time(8)?,
        registrar: row.get(9)?,
        statuses: structured(row, 10)?,
        name_servers: structured(row, 11)?,
        body_sha256: row.get(12)?,
    })
}

pub fn registration(c: &mut Connection, domain: &Name) -> Result<Option<Registration>> {
    let sql = format!("{REGISTRATION} WHERE domain = ?1");
    let mut statement = c.prepare_cached(&sql)?;
    statement.query_row([domain.as_ref().key()], read_registration).optional()
}

pub fn registrations(c: &mut Connection) -> Result<Vec<Registration>> {
    let sql = format!("{REGISTRATION} ORDER BY domain");
    let mut statement = c.prepare_cached(&sql)?;
    statement.query_map([], read_registration)?.collect()
}

pub fn keep_draw(c: &mut Connection, draw: &Draw) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO draw (indicator, source, drawn_from, drawn_at) \
               VALUES (?1, ?2, ?3, ?4)";
    c.prepare_cached(sql)?.execute(params![
        draw.indicator,
        draw.source,
        signed(draw.drawn_from),
        draw.drawn_at.0
    ])?;
    Ok(())
}

pub fn draws(c: &mut Connection) -> Result<Vec<Draw>> {
    let sql = "SELECT indicator, source, drawn_from, drawn_at FROM draw \
               ORDER BY drawn_at, indicator";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Draw {
            indicator: row.get(0)?,
            source: row.get(1)?,
            drawn_from: unsigned(row, 2)?,
            drawn_at: Timestamp(row.get(3)?),
        })
    })?;
    rows.collect()
}

pub fn keep_audit(c: &mut Connection, audit: Audit) -> Result<Audit> {
    let transaction = c.transaction()?;
    let drawn = transaction
        .query_row(
            "DELETE FROM draw WHERE indicator = ?1 RETURNING source, drawn_from",
            [&audit.indicator],
            |row| Ok((row.get(0)?, unsigned(row, 1)?)),
        )
        .optional()?;
    let audit = Audit { drawn, ..audit };
    transaction.execute(
        "INSERT INTO audit (indicator, answer, by, at, sources, drawn_source, drawn_from) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            audit.indicator,
            word(&audit.answer),
            audit.by,
            audit.at.0,
            json(&audit.sources),
            audit.drawn.as_ref().map(|(source, _)| source),
            audit.drawn.as_ref().map(|(_, from)| signed(*from))
        ],
    )?;
    transaction.commit()?;
    Ok(audit)
}

pub fn audits(c: &mut Connection) -> Result<Vec<Audit>> {
    let sql = "SELECT indicator, answer, by, at, sources, drawn_source, drawn_from FROM audit \
               ORDER BY id";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let source: Option<String> = row.get(5)?;
        Ok(Audit {
            indicator: row.get(0)?,
            answer: worded(row, 1)?,
            by: row.get(2)?,
            at: Timestamp(row.get(3)?),
            sources: structured(row, 4)?,
            drawn: match source {
                Some(source) => Some((source, unsigned(row, 6)?)),
                None => None,
            },
        })
    })?;
    rows.collect()
}

pub fn keep_report(c: &mut Connection, report: &Report) -> Result<()> {
    let sql = "INSERT INTO report (indicator, answer, by, at, note, sources, level) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    c.prepare_cached(sql)?.execute(params![
        report.indicator,
        word(&report.answer),
        report.by,
        report.at.0,
        report.note,
        json(&report.sources),
        report.level
    ])?;
    Ok(())
}

pub fn reports(c: &mut Connection) -> Result<Vec<Report>> {
    let sql = "SELECT indicator, answer, by, at, note, sources, level FROM report ORDER BY id";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Report {
            indicator: row.get(0)?,
            answer: worded(row, 1)?,
            by: row.get(2)?,
            at: Timestamp(row.get(3)?),
            note: row.get(4)?,
            sources: structured(row, 5)?,
            level: row.get(6)?,
        })
    })?;
    rows.collect()
}

pub fn keep_sign(c: &mut Connection, sign: &Sign) -> Result<()> {
    let sql = "INSERT INTO sign (kind, client_group, subject, first_at, last_at, count, evidence) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
               ON CONFLICT DO UPDATE SET first_at = min(first_at, excluded.first_at), \
               last_at = max(last_at, excluded.last_at), count = count + excluded.count, \
               evidence = excluded.evidence";
    c.prepare_cached(sql)?.execute(params![
        sign.kind,
        sign.group,
        sign.subject.as_ref().key(),
        sign.first_at.0,
        sign.last_at.0,
        sign.count,
        json(&sign.evidence)
    ])?;
    Ok(())
}

pub fn signs(c: &mut Connection) -> Result<Vec<Sign>> {
    let sql = "SELECT kind, client_group, subject, first_at, last_at, count, evidence FROM sign \
               ORDER BY last_at DESC, kind, client_group, subject";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Sign {
            kind: row.get(0)?,
            group: row.get(1)?,
            subject: name(row, 2)?,
            first_at: Timestamp(row.get(3)?),
            last_at: Timestamp(row.get(4)?),
            count: row.get(5)?,
            evidence: structured(row, 6)?,
        })
    })?;
    rows.collect()
}

pub fn keep_mute(c: &mut Connection, mute: &Mute) -> Result<()> {
    let sql = "INSERT INTO mute (subject, kind, client_group, until, by, at, reason) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    c.prepare_cached(sql)?.execute(params![
        mute.subject.as_ref().key(),
        mute.kind,
        mute.group,
        mute.until.0,
        mute.by,
        mute.at.0,
        mute.reason
    ])?;
    Ok(())
}

pub fn mutes(c: &mut Connection, now: Timestamp) -> Result<Vec<Mute>> {
    let sql = "SELECT subject, kind, client_group, until, by, at, reason FROM mute \
               WHERE until > ?1 ORDER BY until, id";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([now.0], |row| {
        Ok(Mute {
            subject: name(row, 0)?,
            kind: row.get(1)?,
            group: row.get(2)?,
            until: Timestamp(row.get(3)?),
            by: row.get(4)?,
            at: Timestamp(row.get(5)?),
            reason: row.get(6)?,
        })
    })?;
    rows.collect()
}

pub fn unmute(c: &mut Connection, subject: &Name, now: Timestamp) -> Result<usize> {
    let sql = "UPDATE mute SET until = ?2 WHERE subject = ?1 AND until > ?2";
    c.prepare_cached(sql)?.execute(params![subject.as_ref().key(), now.0])
}

pub fn tidy(c: &mut Connection, now: Timestamp) -> Result<()> {
    let before = |seconds: u32| now.0.saturating_sub(seconds);
    let transaction = c.transaction()?;
    for (table, time, seconds) in [
        ("lookup", "asked_at", LOOKUP_SECONDS_MAX),
        ("registration", "asked_at", REGISTRATION_SECONDS_MAX),
        ("spend", "minute", SPEND_SECONDS_MAX),
        ("sign", "last_at", SIGN_SECONDS_MAX),
        ("mute", "until", MUTE_SECONDS_MAX),
    ] {
        let sql = format!("DELETE FROM {table} WHERE {time} < ?1");
        transaction.execute(&sql, [before(seconds)])?;
    }
    for (table, key, order, rows_max) in [
        ("lookup", "id", "asked_at DESC, id DESC", LOOKUPS_MAX),
        ("registration", "domain", "asked_at DESC, domain", REGISTRATIONS_MAX),
        ("draw", "indicator", "drawn_at DESC, indicator", DRAWS_MAX),
        ("audit", "id", "id DESC", LABELS_MAX),
        ("report", "id", "id DESC", LABELS_MAX),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN \
             (SELECT {key} FROM {table} ORDER BY {order} LIMIT -1 OFFSET ?1)"
        );
        transaction.execute(&sql, [rows_max])?;
    }
    transaction.execute(
        "DELETE FROM sign WHERE (kind, client_group, subject) IN \
         (SELECT kind, client_group, subject FROM sign ORDER BY last_at DESC LIMIT -1 OFFSET ?1)",
        [SIGNS_MAX],
    )?;
    transaction.commit()
}

pub fn counts(c: &mut Connection) -> Result<LedgerCounts> {
    let count = |table: &str| {
        c.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| unsigned(row, 0))
    };
    Ok(LedgerCounts {
        lookups: count("lookup")?,
        registrations: count("registration")?,
        audits: count("audit")?,
        reports: count("report")?,
        signs: count("sign")?,
    })
}

/// A value of an enum as its word in JSON, without the quotes.
fn word<T: Serialize>(value: &T) -> String {
    json(value).trim_matches('"').to_owned()
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("values of records can be written")
}

fn worded<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Result<T> {
    let word: String = row.get(at)?;
    serde_json::from_value(serde_json::Value::String(word)).map_err(|e| unreadable(at, e))
}

fn structured<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Result<T> {
    let text: String = row.get(at)?;
    serde_json::from_str(&text).map_err(|e| unreadable(at, e))
}

fn unreadable(at: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}

/// A name; whatever else stands in a damaged file has no more octets than one.
fn name(row: &Row<'_>, at: usize) -> Result<Name> {
    let key: Vec<u8> = row.get(at)?;
    Ok(NameRef::from_key(&key).to_owned())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, at: usize) -> Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}
