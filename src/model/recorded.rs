//! Files that no one here wrote, for tests. They are not part of the repository: without a
//! `shared/data` directory beside the checkout a test skips and says so.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The file under `shared/data`, unless it is not there.
pub fn shared(path: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests may be pointed at the files")]
    let given = std::env::var("SEKISHO_SHARED").ok().map(|dir| PathBuf::from(dir).join("data"));
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("shared/data"));
    let found = given.into_iter().chain(near).map(|dir| dir.join(path)).find(|file| file.exists());
    if found.is_none() {
        // Past the harness, which keeps what a passing test prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no shared/data/{path} beside the checkout");
    }
    found
}
