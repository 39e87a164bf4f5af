//! Passive DNS on disk: a file of its own, since it is large, written often, and may lose its last
//! minute to a loss of power.
//!
//! ```text
//! STATE/pdns.sqlite    names and records as [`crate::pdns::Table`] has them
//! ```
//!
//! The table in memory is what counts; the file gets what has changed and is read at a start.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Result, Row, params};

use super::schema::{self, Refusal, Schema};
use crate::model::{Name, NameRef, Timestamp};
use crate::pdns::{Changes, Limits, NameKind, Seen, Span, Table, Value};

/// The file of passive DNS.
const PDNS: Schema = Schema {
    application: 0x736b_7031,
    steps: &[include_str!("schema/pdns-1.sql")],
    durable: false,
};

/// CNAME and NS (RFC 1035 section 3.2.2); addresses tell their family by their length.
const ADDRESS: u16 = 0;
const ALIAS: u16 = 5;
const SERVER: u16 = 2;

/// The open file.
pub struct PdnsFile {
    connection: Connection,
}

impl PdnsFile {
    /// The file below a state directory.
    pub fn path(state: &Path) -> PathBuf {
        state.join("pdns.sqlite")
    }

    /// Opens the file, making it where it is not there.
    pub fn open(path: &Path) -> std::result::Result<Self, Refusal> {
        Ok(Self { connection: schema::open(path, &PDNS)? })
    }

    /// Everything that it holds. `holder_of` says who holds a name.
    pub fn load(
        &mut self,
        limits: Limits,
        now: Timestamp,
        holder_of: impl Fn(NameRef<'_>) -> Option<Name>,
    ) -> Result<Table> {
        let since = self.connection.query_row("SELECT min(since) FROM watch", [], |row| row.get(0));
        let since: Option<u32> = since?;
        let mut table = Table::new(limits, since.map_or(now, Timestamp));
        // Those who hold names come first, so that hosts find them.
        let sql = "SELECT kind, name, first_at, last_at, days, clients, today, yesterday \
                   FROM name ORDER BY kind DESC";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let kind = match row.get::<_, u8>(0)? {
                1 => NameKind::Holder,
                2 => NameKind::Kept,
                _ => NameKind::Host,
            };
            let name = name(row, 1)?;
            let seen = Seen::restored(
                Timestamp(row.get(2)?),
                Timestamp(row.get(3)?),
                row.get::<_, i64>(4)? as u64,
                row.get(5)?,
                [row.get(6)?, row.get(7)?],
            );
            let holder = holder_of(name.as_ref());
            table.restore_name(kind, name, seen, holder.as_ref());
        }
        let sql = "SELECT owner, rtype, value, first_at, last_at, count FROM record";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // What a damaged file has instead of a value is left out.
            let Some(value) = value(row)? else { continue };
            let span = Span {
                first_at: Timestamp(row.get(3)?),
                last_at: Timestamp(row.get(4)?),
                count: row.get(5)?,
            };
            table.restore_record(name(row, 0)?, value, span);
        }
        Ok(table)
    }

    /// Writes what has changed, all of it or nothing.
    pub fn save(&mut self, since: Timestamp, changes: &Changes) -> Result<()> {
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached("INSERT INTO watch SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM watch)")?
            .execute([since.0])?;
        for (kind, name, seen) in &changes.names {
            let kind = match kind {
                NameKind::Host => 0u8,
                NameKind::Holder => 1,
                NameKind::Kept => 2,
            };
            let key = name.as_ref().key();
            match seen {
                None => transaction
                    .prepare_cached("DELETE FROM name WHERE kind = ?1 AND name = ?2")?
                    .execute(params![kind, key])?,
                Some(seen) => transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO name (kind, name, first_at, last_at, days, \
                         clients, today, yesterday) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    )?
                    .execute(params![
                        kind,
                        key,
                        seen.first_at.0,
                        seen.last_at.0,
                        seen.days as i64,
                        seen.clients,
                        seen.queries[0],
                        seen.queries[1]
                    ])?,
            };
        }
        for (owner, value, span) in &changes.records {
            let owner = owner.as_ref().key();
            let (rtype, octets) = stored(value);
            match span {
                None => transaction
                    .prepare_cached(
                        "DELETE FROM record WHERE owner = ?1 AND rtype = ?2 AND value = ?3",
                    )?
                    .execute(params![owner, rtype, octets])?,
                Some(span) => transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO record (owner, rtype, value, first_at, last_at, \
                         count) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![
                        owner,
                        rtype,
                        octets,
                        span.first_at.0,
                        span.last_at.0,
                        span.count
                    ])?,
            };
        }
        transaction.commit()
    }
}

fn stored(value: &Value) -> (u16, Vec<u8>) {
    match value {
        Value::Address(IpAddr::V4(address)) => (ADDRESS, address.octets().to_vec()),
        Value::Address(IpAddr::V6(address)) => (ADDRESS, address.octets().to_vec()),
        Value::Alias(name) => (ALIAS, name.as_ref().key().to_vec()),
        Value::Server(name) => (SERVER, name.as_ref().key().to_vec()),
    }
}

fn value(row: &Row<'_>) -> Result<Option<Value>> {
    let octets: Vec<u8> = row.get(2)?;
    let address = || {
        let v4 = <[u8; 4]>::try_from(octets.as_slice()).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(octets.as_slice()).map(IpAddr::from)).ok()
    };
    Ok(match row.get(1)? {
        ADDRESS => address().map(Value::Address),
        ALIAS => Some(Value::Alias(NameRef::from_key(&octets).to_owned())),
        SERVER => Some(Value::Server(NameRef::from_key(&octets).to_owned())),
        _ => None,
    })
}

/// A name; whatever else stands in a damaged file has no more octets than one.
fn name(row: &Row<'_>, at: usize) -> Result<Name> {
    let key: Vec<u8> = row.get(at)?;
    Ok(NameRef::from_key(&key).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdns::ClientMark;

    const LIMITS: Limits = Limits { size_octets_max: 1 << 20, age_seconds_max: 1000 };

    fn named(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn two_labels(name: NameRef<'_>) -> Option<Name> {
        Some(name.top(2).to_owned())
    }

    #[test]
    fn what_was_seen_survives_a_restart_and_what_was_forgotten_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = PdnsFile::path(folder.path());
        let mut file = PdnsFile::open(&path).unwrap();
        let mut table = file.load(LIMITS, Timestamp(5), two_labels).unwrap();
        assert_eq!((table.since, table.counts()), (Timestamp(5), (0, 0)));
        let host = named("www.a.com");
        for (at, value) in [
            (10, Value::Address("192.0.2.1".parse().unwrap())),
            (20, Value::Address("2001:db8::1".parse().unwrap())),
            (30, Value::Alias(named("x.b.net"))),
            (40, Value::Server(named("ns.b.net"))),
        ] {
            table.see_name(host.as_ref(), host.as_ref().top(2), Timestamp(at));
            table.see_record(&host, value, Timestamp(at));
        }
        table.see_query(host.as_ref(), host.as_ref().top(2), Timestamp(41), ClientMark(1));
        file.save(table.since, &table.take_changes()).unwrap();
        drop(file);

        let mut file = PdnsFile::open(&path).unwrap();
        let mut back = file.load(LIMITS, Timestamp(99), two_labels).unwrap();
        assert_eq!(back.since, Timestamp(5));
        assert!(back.records().eq(table.records()));
        assert_eq!(back.size_octets(), table.size_octets());
        assert_eq!(back.host(host.as_ref()).unwrap().queries, [1, 0]);

        back.tidy(Timestamp(1035), two_labels);
        file.save(back.since, &back.take_changes()).unwrap();
        let again = file.load(LIMITS, Timestamp(99), two_labels).unwrap();
        assert_eq!(again.counts(), (1, 1));
    }
}
