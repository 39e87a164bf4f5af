//! Lists of names for resolvers and blockers that read no RPZ.
//!
//! Each format says what it can. A name that is meant with all below it and has an exception there
//! is left out of a format without exceptions, and so is a name that is meant alone where the
//! format takes in all below it: a list never blocks what the policy does not.

use std::io::{self, Write};

use super::blocked::{Blocked, BlockedName};
use super::{Format, Tally};

/// Writes a list of names.
pub fn write(format: Format, blocked: Blocked<'_>, out: &mut impl Write) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let comment = if format == Format::Adguard { '!' } else { '#' };
    writeln!(out, "{comment} Names that are blocked for everyone.")?;
    if format == Format::Unbound {
        writeln!(out, "server:")?;
    }
    blocked.each_name(|blocked| match line(format, &blocked) {
        Some(line) => {
            tally.entries += 1;
            out.write_all(line.as_bytes())
        }
        None => {
            tally.left_out += 1;
            Ok(())
        }
    })?;
    Ok(tally)
}

fn line(format: Format, blocked: &BlockedName<'_>) -> Option<String> {
    let BlockedName { name, itself, below, has_exception, .. } = *blocked;
    let name = host(name)?;
    let all = itself && below && !has_exception;
    Some(match format {
        Format::Domains if all => format!("{name}\n"),
        Format::Hosts if itself => format!("0.0.0.0 {name}\n"),
        // An important exception wins over it, and `|` holds a rule to the name.
        Format::Adguard if all => format!("||{name}^\n"),
        Format::Adguard if itself => format!("|{name}^\n"),
        Format::Dnsmasq if all => format!("address=/{name}/\n"),
        Format::Unbound if all => format!("    local-zone: \"{name}.\" always_nxdomain\n"),
        _ => return None,
    })
}

/// The name as hosts are written; none where it has characters that none of these formats takes.
fn host(name: crate::model::NameRef<'_>) -> Option<String> {
    let plain =
        |label: &[u8]| label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (!name.is_root() && name.labels().all(plain)).then(|| name.to_string())
}
