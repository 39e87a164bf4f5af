//! `sekisho signs`.

use super::{Columns, FAINT, STRONG, WARN, ago, cell, counted, harmless, plain};
use crate::api::signs::SignSays;

/// Signs, the latest first.
pub fn signs(signs: &[SignSays], muted: usize, now: u32) -> String {
    let mut out = String::new();
    if signs.is_empty() {
        out.push_str("no signs of tunnels, made-up names or calls home\n");
    } else {
        let mut columns = Columns::right(&[5]);
        let heads = ["kind", "domain", "group", "since", "last", "times", "evidence"];
        columns.row(heads.map(|head| cell(FAINT, head)));
        for says in signs {
            let sign = &says.sign;
            let muted = says.muted_until.map_or(String::new(), |_| " (muted)".to_owned());
            columns.row([
                cell(WARN, &sign.kind),
                cell(STRONG, harmless(&sign.subject.to_string())),
                plain(harmless(&sign.group)),
                plain(ago(sign.first_at.0, now)),
                plain(ago(sign.last_at.0, now)),
                plain(sign.count),
                plain(format!("{}{muted}", harmless(&evidence(&sign.evidence)))),
            ]);
        }
        out.push_str(&columns.lines(0));
    }
    if muted > 0 {
        out.push_str(&format!("{} muted: `--all` shows them\n", counted(muted, "more sign")));
    }
    out
}

/// `names 120, mean_octets 41`.
fn evidence(evidence: &serde_json::Value) -> String {
    let Some(members) = evidence.as_object() else { return evidence.to_string() };
    let word = |(key, value): (&String, &serde_json::Value)| match value.as_array() {
        Some(items) => {
            let items: Vec<&str> = items.iter().filter_map(|item| item.as_str()).collect();
            format!("{key} {}", items.join(" "))
        }
        None => format!("{} {value}", key.replace('_', " ")),
    };
    members.iter().map(word).collect::<Vec<_>>().join(", ")
}
