//! Keeps what may change while clients are answered: the certificate of encrypted transports, and
//! of the configuration who is answered and how (`allow_from`, `local_zones`, `dns64`).
//!
//! Certificates are read again when their octets change, for who renews them tells nobody, and
//! together with the configuration at SIGHUP and `sekisho reload`. What cannot be used leaves the last good state in place.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::resolver::Certificate;
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::resolver::encrypted::Certificates;
use crate::resolver::handler::Handler;

use super::designation::Listening;
use super::resolver;

/// A chain with a key is a few kilobytes.
const OCTETS_MAX: u64 = 1 << 20;
/// How often certificate files are looked at. Certificates are renewed days before they end.
const LOOK: Duration = Duration::from_secs(60);

/// Reads the configuration again, as the start read it.
pub type Reread = dyn Fn() -> (Option<Config>, Vec<Diagnostic>) + Send + Sync;

/// A certificate and where it is from.
pub struct Kept {
    files: Certificate,
    octets: (Vec<u8>, Vec<u8>),
    /// What listeners show.
    pub certificates: Arc<Certificates>,
}

impl Kept {
    /// Reads the files.
    pub fn open(files: &Certificate) -> Result<Self, Diagnostic> {
        let octets = octets(files)?;
        let certificates = Certificates::from_pem(&octets.0, &octets.1)
            .map_err(|error| unusable(files, &error.to_string()))?;
        Ok(Self { files: files.clone(), octets, certificates })
    }

    /// Looks at the files once a minute, for as long as it is run.
    pub async fn keep(mut self) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            self.look_and_say();
        }
    }

    fn look_and_say(&mut self) {
        match self.look() {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(file = %self.files.chain.display(), "certificate is in force")
            }
            Err(finding) => tracing::error!("the last good certificate stays: {finding}"),
        }
    }

    /// Takes over what the files have now. Whether it is something else.
    fn look(&mut self) -> Result<bool, Diagnostic> {
        let now = octets(&self.files)?;
        if now == self.octets {
            return Ok(false);
        }
        // One look for each state of the files: a broken one is said once.
        self.octets = now;
        let replaced = self.certificates.replace(&self.octets.0, &self.octets.1);
        replaced.map_err(|error| unusable(&self.files, &error.to_string()))?;
        Ok(true)
    }
}

fn octets(files: &Certificate) -> Result<(Vec<u8>, Vec<u8>), Diagnostic> {
    let read = |path: &Path| {
        let failed = |what: String| {
            Diagnostic::error(format!("{}: {what}", path.display()))
                .hint("`[resolver.encrypted]` names the files of the certificate")
        };
        let octets = disk::read_small(path, OCTETS_MAX).map_err(|e| failed(e.to_string()))?;
        octets.ok_or_else(|| failed("no such file".to_owned()))
    };
    Ok((read(&files.chain)?, read(&files.key)?))
}

fn unusable(files: &Certificate, error: &str) -> Diagnostic {
    let Certificate { chain, key } = files;
    Diagnostic::error(format!("{} with {}: {error}", chain.display(), key.display()))
        .hint("a chain in PEM, the server's own certificate first, and its private key")
}

/// Looks after it all.
pub struct Keeper {
    /// The certificate, where there is one.
    pub kept: Option<Kept>,
    /// Who answers.
    pub handler: Arc<Handler>,
    /// Where encrypted transports listen.
    pub listening: Listening,
    /// Keys cookies.
    pub seed: u64,
    /// Reads the configuration.
    pub reread: Box<Reread>,
    /// Somebody wants it read again.
    pub again: Arc<Notify>,
}

impl Keeper {
    /// Goes on until told to stop.
    pub async fn run(mut self, mut hangup: Signal, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                Some(()) = hangup.recv() => self.configure(),
                () = self.again.notified() => self.configure(),
                () = stop.cancelled() => return,
            }
            self.look();
        }
    }

    fn look(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.look_and_say();
        }
    }

    fn configure(&mut self) {
        let (config, findings) = (self.reread)();
        findings.iter().for_each(|finding| tracing::warn!("{finding}"));
        let Some(config) = config else {
            return tracing::error!("the configuration has errors: what was in force stays");
        };
        let settings = resolver::handling(&config, self.seed);
        match resolver::special(&config, &self.listening) {
            Ok(special) => self.handler.replace(settings, special),
            Err(finding) => return tracing::error!("what was in force stays: {finding}"),
        }
        if let (Some(kept), Some(files)) = (&mut self.kept, &config.resolver.encrypted.certificate)
        {
            kept.files = files.clone();
        }
        tracing::info!("the resolver's configuration is in force");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Certificate {
        Certificate { chain: folder.join("chain.pem"), key: folder.join("key.pem") }
    }

    fn renew(files: &Certificate, name: &str) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        std::fs::write(&files.chain, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_taken_over_and_a_broken_one_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        assert!(Kept::open(&files).is_err());
        renew(&files, "dns.test");
        let mut kept = Kept::open(&files).unwrap();
        assert!(!kept.look().unwrap());
        renew(&files, "dns.test");
        assert!(kept.look().unwrap());
        std::fs::write(&files.key, "no key").unwrap();
        let finding = kept.look().unwrap_err().to_string();
        assert!(finding.contains("the private key cannot be read"), "{finding}");
        assert!(!kept.look().unwrap(), "said already");
    }
}
