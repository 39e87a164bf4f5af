//! `sekisho serve`.

use super::Failure;
use super::args::Arguments;

/// Runs the daemon.
pub fn run(_arguments: &Arguments) -> Result<(), Failure> {
    Ok(())
}
