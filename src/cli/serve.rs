//! `sekisho serve`.

use std::time::Duration;

use indicatif::ProgressBar;

use super::args::Arguments;
use super::{Failure, configuration, logging, print, render};
use crate::config::Config;
use crate::daemon::{self, Watcher};
use crate::diagnostic::Diagnostic;
use crate::pipeline::report::Status;

/// Runs the daemon until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = configuration(arguments)?;
    logging::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Diagnostic::error(format!("no runtime: {error}")))?;
    let person = Person { progress: ProgressBar::new_spinner(), try_it: lines_to_try(&config) };
    person.progress.enable_steady_tick(Duration::from_millis(120));
    let path = arguments.config.clone();
    let reread = Box::new(move || match super::read_configuration(path.as_deref()) {
        Ok(read) => read,
        Err(Failure(findings)) => (None, findings),
    });
    runtime.block_on(Box::pin(daemon::serve(config, reread, &person))).map_err(Failure)
}

/// Whoever started the program. The spinner shows on a terminal only.
struct Person {
    progress: ProgressBar,
    try_it: String,
}

impl Watcher for Person {
    fn doing(&self, what: Option<&str>) {
        match what {
            Some(what) => self.progress.set_message(what.to_owned()),
            None => self.progress.finish_and_clear(),
        }
    }

    fn ready(&self, status: &Status) {
        print(&render::status::status(status));
        print(&self.try_it);
    }
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
