//! `sekisho key signing FILE`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::rand::SystemRandom;

use super::args::Arguments;
use super::{Failure, print, print_json};
use crate::diagnostic::Diagnostic;
use crate::publish::signing::SigningKey;

/// Makes a key that signs artefacts: the secret one in the file, readable for its owner alone, the
/// public one beside it.
pub fn signing(arguments: &Arguments, path: &Path) -> Result<(), Failure> {
    let key = SigningKey::generate(&SystemRandom::new())
        .map_err(|error| Diagnostic::error(error.to_string()))?;
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let public = Path::new(&public);
    create(path, 0o600, &key.secret_file())?;
    create(public, 0o644, &key.public_file())?;
    if arguments.json {
        return print_json(&serde_json::json!({
            "id": key.id(),
            "secret_key": path,
            "public_key_file": public,
            "public_key": key.public_key(),
        }));
    }
    let (secret, shown) = (path.display(), public.display());
    print(&format!(
        "{secret} signs: `signing_key = \"{secret}\"` in `[publish.http]`\n\
         {shown} verifies: minisign -Vm FILE -p {shown}\n\
         or without the file: minisign -Vm FILE -P {}",
        key.public_key()
    ));
    Ok(())
}

/// Writes a file that is not there yet: a key that is in use is never replaced by accident.
fn create(path: &Path, mode: u32, text: &str) -> Result<(), Diagnostic> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let finding = Diagnostic::error(format!("{}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                finding.hint("a key is not replaced: move it away, or name another file")
            }
            _ => finding,
        }
    })
}
