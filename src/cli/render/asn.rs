//! `sekisho asn`.

use super::{BAD, Columns, FAINT, GOOD, STRONG, ago, cell, grouped, harmless, plain, styled};
use crate::pipeline::report::{AsnDay, AsnFamily, AsnRanking, AsnSays, Mban};

/// The steps of a sparkline, from nothing to the most.
const STEPS: [char; 8] = ['.', ':', '-', '=', '+', '*', '#', '@'];

/// The worst AS, the worst first.
pub fn ranking(ranking: &AsnRanking) -> String {
    let mut out = format!(
        "worst of {} AS by {} on {}, {}\n\n",
        grouped(ranking.ranked),
        match ranking.family.as_str() {
            "v6" => "IPv6",
            _ => "IPv4",
        },
        ranking.day.as_deref().unwrap_or("no day yet"),
        match ranking.definition.as_str() {
            "circl" => "in the definition of CIRCL's BGP Ranking",
            _ => "points against the average",
        }
    );
    if ranking.systems.is_empty() {
        out = "no AS has a rank yet\n".to_owned();
        lines(&mut out, "not known", &ranking.missing);
        return out;
    }
    let mut columns = Columns::right(&[0, 2, 3, 4, 5, 6]);
    let heads = ["", "AS", "rank", "ratio", "7 d", "listed", "CIRCL", "days", "name"];
    columns.row(heads.map(|head| cell(FAINT, head)));
    for row in &ranking.systems {
        columns.row([
            cell(FAINT, row.place),
            cell(STRONG, format!("AS{}", row.system)),
            plain(row.rank),
            plain(row.ratio),
            trend(row.trend),
            plain(grouped(row.listed as usize)),
            plain(format!("{:.6}", row.circl)),
            plain(sparkline(&row.history)),
            plain(row.name.as_deref().map_or(String::new(), harmless)),
        ]);
    }
    out.push_str(&columns.lines(0));
    lines(&mut out, "not known", &ranking.missing);
    out
}

/// Everything known of one AS.
pub fn system(says: &AsnSays) -> String {
    let name = says.name.as_deref().map_or(String::new(), harmless);
    let mut out = format!("{}  {name}\n", styled(STRONG, format!("AS{}", says.system)));
    if says.families.is_empty() {
        out.push_str("\nit announces nothing that is known here, and has no rank\n");
    }
    says.families.iter().for_each(|family| out.push_str(&one_family(family)));
    if !says.sources.is_empty() {
        let mut columns = Columns::default();
        for source in &says.sources {
            columns.row([
                cell(STRONG, &source.source),
                plain(&source.category),
                plain(format!("first {}", ago(source.first_seen, says.at))),
                plain(format!("last {}", ago(source.last_seen, says.at))),
                cell(FAINT, source.note.as_deref().unwrap_or_default()),
            ]);
        }
        out.push_str(&format!("\n{}\n{}", styled(STRONG, "named by"), columns.lines(2)));
    }
    if let Some(score) = &says.score {
        out.push_str(&super::why::score_section(score));
    }
    lines(&mut out, "names seen there", &says.names_seen);
    lines(&mut out, "not known", &says.missing);
    out
}

fn one_family(family: &AsnFamily) -> String {
    let (title, unit) = match family.family.as_str() {
        "v6" => ("IPv6", "/48s"),
        _ => ("IPv4", "addresses"),
    };
    let mut columns = Columns::default();
    let mut line = |name: &str, text: String| columns.row([plain(name), plain(text)]);
    line("rank", format!("{} ({} before its bounds)", family.rank, family.ratio));
    line("week", family.trend.map_or("history is too short".to_owned(), |t| t.to_string()));
    if let Some(ppm) = family.percentile_ppm {
        line("worse than", format!("{}.{:02} % of all AS", ppm / 10_000, ppm % 10_000 / 100));
    }
    line(
        "announces",
        format!("{} prefixes, {} {unit}", family.prefixes, grouped(family.announced as usize)),
    );
    line("listed", grouped(family.listed as usize));
    line(
        "CIRCL",
        match family.circl_place {
            Some(place) => format!("{:.8}, place {place} of {}", family.circl, family.circl_ranked),
            None => "no rank".to_owned(),
        },
    );
    line("history", sparkline(&family.history));
    let mut out = format!("\n{}\n{}", styled(STRONG, title), columns.lines(2));
    let mut days = Columns::right(&[1, 2, 3]);
    for day in &family.history {
        days.row([
            plain(&day.day),
            plain(day.ratio.map_or("-".to_owned(), |ratio| ratio.to_string())),
            plain(grouped(day.listed as usize)),
            plain(format!("{:.8}", day.circl)),
        ]);
    }
    out.push_str(&days.lines(4));
    let mut columns = Columns::right(&[1]);
    for source in &family.sources {
        columns.row([plain(&source.source), plain(grouped(source.listed as usize))]);
    }
    out.push_str(&columns.lines(2));
    let mut columns = Columns::right(&[1, 2]);
    for (prefix, ratio, listed) in &family.worst_prefixes {
        columns.row([plain(prefix), plain(ratio), plain(grouped(*listed as usize))]);
    }
    out.push_str(&columns.lines(2));
    out
}

fn trend(trend: Option<Mban>) -> (anstyle::Style, String) {
    match trend {
        None => cell(FAINT, "-"),
        Some(mban) if mban.0 > 0 => cell(BAD, mban),
        Some(mban) => cell(GOOD, mban),
    }
}

/// One sign a day, between rank 0 and the most a rank can be; a space for a day without a record.
pub fn sparkline(history: &[AsnDay]) -> String {
    let (_, most) = crate::bgp::LOCAL_RANK_MBAN;
    let sign = |day: &AsnDay| {
        let ratio = day.ratio?.0.clamp(0, most.into());
        let step = usize::try_from(ratio * 7 / i64::from(most)).unwrap_or(0);
        STEPS.get(step)
    };
    history.iter().map(|day| sign(day).copied().unwrap_or(' ')).collect()
}

fn lines(out: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        out.push_str(&format!("\n{}\n", styled(STRONG, title)));
        items.iter().for_each(|item| out.push_str(&format!("  {}\n", harmless(item))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_rises_with_the_rank_and_is_empty_where_nothing_is_known() {
        let day = |ratio: Option<i64>| AsnDay {
            day: String::new(),
            ratio: ratio.map(Mban),
            listed: 0,
            circl: 0.0,
        };
        let history = [None, Some(-300), Some(0), Some(750), Some(1500), Some(19_000)].map(day);
        assert_eq!(sparkline(&history), " ..=@@");
    }
}
