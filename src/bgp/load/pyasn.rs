//! pyasn's tables: lines of `192.0.2.0/24⇥64496` between comments that begin with `;`.

use super::report::{Reason, Tally, as_number};
use crate::model::Network;

pub(super) fn line(text: &str, tally: &mut Tally<'_>) -> Result<(), Reason> {
    if text.trim().is_empty() || text.starts_with([';', '#']) {
        return Ok(());
    }
    let mut fields = text.split_whitespace();
    let (Some(prefix), Some(origin), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(Reason::Columns);
    };
    let network = Network::parse_lenient(prefix).map_err(|_| Reason::Network)?;
    tally.route(network, &[as_number(origin)?]);
    Ok(())
}
