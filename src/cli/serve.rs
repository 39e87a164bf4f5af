//! `sekisho serve`.

use super::args::Arguments;
use super::{Failure, configuration, logging, print, render};
use crate::config::Config;
use crate::daemon;
use crate::diagnostic::Diagnostic;
use crate::pipeline::report::Status;

/// Runs the daemon until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = configuration(arguments)?;
    logging::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Diagnostic::error(format!("no runtime: {error}")))?;
    let try_it = lines_to_try(&config);
    let ready = |status: &Status| {
        print(&render::status::status(status));
        print(&try_it);
    };
    runtime.block_on(Box::pin(daemon::serve(config, ready))).map_err(Failure)
}

/// Three questions that show what the program does.
fn lines_to_try(config: &Config) -> String {
    let Some(address) = config.resolver.listen.first() else { return String::new() };
    let dig = |name: &str, what: &str| {
        format!("  dig @{} -p {} {name:<24}  # {what}\n", address.ip(), address.port())
    };
    let mut lines = format!("\n{}\n", render::styled(render::STRONG, "try"));
    lines.push_str(&dig("blocked.sekisho.test", "NXDOMAIN: blocked by a shipped policy"));
    lines.push_str(&dig("redirect.sekisho.test", "the walled garden's address"));
    lines.push_str(&dig("ok.sekisho.test", "an answer from a shipped local zone"));
    lines.push_str("  sekisho why blocked.sekisho.test\n");
    lines
}
