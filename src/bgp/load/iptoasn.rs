//! iptoasn.com's tables: `first⇥last⇥AS⇥country⇥description`, both ends included. AS 0 marks what
//! is not routed.

use super::report::{Reason, Tally, as_number};

pub(super) fn line(text: &str, tally: &mut Tally<'_>) -> Result<(), Reason> {
    if text.trim().is_empty() || text.starts_with('#') {
        return Ok(());
    }
    let fields: Vec<&str> = text.splitn(5, '\t').collect();
    let [first, last, origin, rest @ ..] = fields.as_slice() else {
        return Err(Reason::Columns);
    };
    let address = |text: &str| text.trim().parse().map_err(|_| Reason::Network);
    let (first, last) = (address(first)?, address(last)?);
    let origin = as_number(origin)?;
    tally.range(first, last, origin)?;
    if let [country, description] = rest {
        match country.trim() {
            "" | "None" => tally.name(origin, description),
            country => tally.name(origin, &format!("{}, {country}", description.trim())),
        }
    }
    Ok(())
}
