//! A feed that something else puts on the disk.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::ports::{FetchError, FetchOutcome, FetchRequest, Fetched, Validators};

/// Opens the file unless it has the size and time of change it had. Whoever writes it should
/// rename it into place: then the open file stays whole, whatever happens to the name.
pub(super) async fn fetch(path: &Path, request: &FetchRequest) -> Result<FetchOutcome, FetchError> {
    let location = || request.location.clone();
    let opened = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || open(&path)).await.map_err(io::Error::other).flatten()
    };
    let (body, metadata) =
        opened.map_err(|source| FetchError::File { location: location(), source })?;
    let octets_max = request.limits.octets_max;
    if metadata.len() > octets_max {
        return Err(FetchError::TooLarge { location: location(), octets_max });
    }
    let validators = Validators { etag: version(&metadata), last_modified: None };
    match validators.etag.is_some() && validators == request.validators {
        true => Ok(FetchOutcome::Unchanged),
        false => Ok(FetchOutcome::Fetched(Fetched { body, octets: metadata.len(), validators })),
    }
}

/// Opens a regular file; opening a pipe would wait for a writer.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Size and time of change; none where the file system keeps no time.
fn version(metadata: &Metadata) -> Option<String> {
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{}-{}", metadata.len(), changed.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{FetchLimits, Location};
    use std::io::Read as _;

    fn request(path: &Path, validators: Validators) -> FetchRequest {
        let limits = FetchLimits { octets_max: 20, ..FetchLimits::default() };
        FetchRequest {
            location: Location::File(path.to_owned()),
            validators,
            limits,
            accept: None,
            seed: 0,
        }
    }

    async fn fetched(path: &Path, validators: Validators) -> Option<(String, Validators)> {
        match fetch(path, &request(path, validators)).await.unwrap() {
            FetchOutcome::Unchanged => None,
            FetchOutcome::Fetched(mut fetched) => {
                let mut text = String::new();
                fetched.body.read_to_string(&mut text).unwrap();
                Some((text, fetched.validators))
            }
        }
    }

    #[tokio::test]
    async fn a_file_is_read_again_only_when_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.txt");
        std::fs::write(&path, "a.example\n").unwrap();
        let (text, version) = fetched(&path, Validators::default()).await.unwrap();
        assert_eq!(text, "a.example\n");
        assert_eq!(fetched(&path, version.clone()).await, None);
        std::fs::write(&path, "a.example\nb.example").unwrap();
        assert_eq!(fetched(&path, version).await.unwrap().0, "a.example\nb.example");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone.txt");
        let error = fetch(&gone, &request(&gone, Validators::default())).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("{} cannot be read", gone.display())));
        let error = fetch(dir.path(), &request(dir.path(), Validators::default())).await;
        assert!(error.unwrap_err().to_string().ends_with("not a regular file"));
        let large = dir.path().join("large.txt");
        std::fs::write(&large, [b'x'; 21]).unwrap();
        let error = fetch(&large, &request(&large, Validators::default())).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { octets_max: 20, .. }));
    }
}
