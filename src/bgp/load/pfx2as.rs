//! CAIDA's prefix-to-AS tables: `192.0.2.0⇥24⇥64497_64498`. `_` joins the origins of a prefix, the
//! most frequent first; `,` joins the members of an AS set (the dataset's README).

use super::report::{ORIGINS_MAX, Reason, Tally, as_number};
use crate::model::Network;

pub(super) fn line(text: &str, tally: &mut Tally<'_>) -> Result<(), Reason> {
    if text.trim().is_empty() || text.starts_with('#') {
        return Ok(());
    }
    let mut fields = text.split_whitespace();
    let (Some(address), Some(length), Some(origins), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Reason::Columns);
    };
    let address = address.parse().map_err(|_| Reason::Network)?;
    let length = length.parse().map_err(|_| Reason::Network)?;
    let network = Network::new(address, length).ok_or(Reason::Network)?;
    let mut numbers = Vec::new();
    for origin in origins.split(['_', ',']) {
        let number = as_number(origin)?;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
        if numbers.len() > ORIGINS_MAX {
            return Err(Reason::TooManyOrigins);
        }
    }
    tally.route(network, &numbers);
    Ok(())
}
