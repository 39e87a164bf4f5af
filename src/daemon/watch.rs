//! Noticing that the operator's files changed.

use std::path::Path;
use std::time::Duration;

use notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;

/// Editors write, rename and set attributes; what happens within this time is one edit.
const ONE_EDIT: Duration = Duration::from_millis(150);

/// A watch over directories that lasts as long as this value.
pub type Watch = Debouncer<notify::RecommendedWatcher, RecommendedCache>;

/// Says `()` whenever something below the directories changed. A burst is said once.
pub fn watch(directories: &[&Path]) -> notify::Result<(Watch, mpsc::Receiver<()>)> {
    let (say, changed) = mpsc::channel(1);
    let mut debouncer = new_debouncer(ONE_EDIT, None, move |result: DebounceEventResult| {
        let touched = match &result {
            Ok(events) => events.iter().any(|event| !event.kind.is_access()),
            Err(_) => true,
        };
        if touched {
            // A full channel already says that something changed.
            let _ = say.try_send(());
        }
    })?;
    for directory in directories {
        debouncer.watch(directory, RecursiveMode::Recursive)?;
    }
    Ok((debouncer, changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_edit_by_rename_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (_watch, mut changed) = watch(&[directory.path()]).unwrap();
        let draft = directory.path().join(".draft");
        std::fs::write(&draft, "a = 1").unwrap();
        std::fs::rename(&draft, directory.path().join("policy.toml")).unwrap();
        let noticed = tokio::time::timeout(Duration::from_secs(10), changed.recv()).await;
        assert_eq!(noticed, Ok(Some(())));
    }
}
