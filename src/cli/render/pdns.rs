//! `sekisho pdns`.

use super::{Columns, FAINT, STRONG, ago, cell, counted, grouped, harmless, plain, styled};
use crate::model::Timestamp;
use crate::pdns::CLIENTS_MAX;
use crate::pdns::question::Answer;

/// What was seen of a name or address.
pub fn answer(answer: &Answer, now: Timestamp) -> String {
    let mut out = String::new();
    for usage in &answer.usage {
        let clients = match usize::from(usage.clients) {
            0 => "no client counted".to_owned(),
            many if many >= CLIENTS_MAX => format!("{CLIENTS_MAX} clients or more on a day"),
            few => format!("at most {} on a day", counted(few, "client")),
        };
        out.push_str(&format!(
            "{}  first seen {}, last {}, on {} of 60, {clients}, about {} in 24 h\n",
            styled(STRONG, harmless(&usage.name)),
            ago(usage.first_at, now.0),
            ago(usage.last_at, now.0),
            counted(usage.days as usize, "day"),
            counted(usage.queries as usize, "query").replace("querys", "queries"),
        ));
    }
    if answer.records.is_empty() {
        out.push_str(&format!(
            "no record of {} has been seen since {}\n",
            harmless(&answer.what),
            ago(answer.since, now.0)
        ));
        return out;
    }
    let mut columns = Columns::right(&[5]);
    columns.row(["name", "type", "data", "first", "last", "times"].map(|head| cell(FAINT, head)));
    for record in &answer.records {
        columns.row([
            cell(STRONG, harmless(&record.rrname)),
            plain(&record.rrtype),
            plain(harmless(&record.rdata)),
            plain(ago(record.time_first, now.0)),
            plain(ago(record.time_last, now.0)),
            plain(grouped(record.count as usize)),
        ]);
    }
    out.push_str(&columns.lines(0));
    if answer.next.is_some() {
        out.push_str("there is more: `--cof` gives everything\n");
    }
    out
}
