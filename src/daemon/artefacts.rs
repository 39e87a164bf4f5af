//! Making artefacts of what is in force, and serving them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, HttpPublish};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::model::time::Clock;
use crate::pipeline::Published;
use crate::publish::artefact::shelf::{Shelf, Stock};
use crate::publish::http::{Admission, Site};
use crate::publish::leaving::Maker;
use crate::publish::signing::SigningKey;

/// A key or token is a line or two.
const SECRET_OCTETS_MAX: u64 = 4096;
/// A token that is shorter can be guessed.
const TOKEN_OCTETS_MIN: usize = 16;

/// Opens what the configuration asks for, and keeps it filled.
pub async fn open(
    config: &Config,
    state: &Path,
    readers: &watch::Receiver<Arc<Published>>,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> Result<bool, Diagnostic> {
    let settings = &config.publish.http;
    if settings.listen.is_empty() {
        return Ok(false);
    }
    let key = settings.signing_key.as_deref().map(signing_key).transpose()?;
    let admission = Admission {
        networks: settings.allow_from.clone(),
        tokens: settings.tokens.iter().map(|path| token(path)).collect::<Result<_, _>>()?,
    };
    let public_key = key.as_ref().map(SigningKey::public_file);
    let directory = state.join("artefacts");
    let shelf = Shelf::open(&directory, key);
    let shelf = shelf.map_err(|e| Diagnostic::error(format!("{}: {e}", directory.display())))?;
    let stock = Arc::new(ArcSwap::from_pointee(Stock::default()));
    let site = Arc::new(Site { stock: stock.clone(), admission, public_key });
    for address in &settings.listen {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Diagnostic::error(format!("artefacts on {address}: {error}"))
                .hint("`[publish.http] listen` names the addresses")
        })?;
        let (site, stop) = (site.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = site.serve(listener) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    let filler = Filler { shelf, maker: Maker::default(), stock, clock: clock.clone() };
    tokio::spawn(filler.run(readers.clone(), settings.clone()));
    Ok(true)
}

struct Filler {
    shelf: Shelf,
    maker: Maker,
    stock: Arc<ArcSwap<Stock>>,
    clock: Arc<dyn Clock>,
}

impl Filler {
    /// Makes artefacts now and of what is published later, with a pause between.
    async fn run(mut self, mut published: watch::Receiver<Arc<Published>>, settings: HttpPublish) {
        loop {
            let state = published.borrow_and_update().clone();
            let filled = tokio::task::spawn_blocking(move || {
                self.fill(&state);
                self
            });
            match filled.await {
                Ok(filler) => self = filler,
                Err(error) => return tracing::error!(%error, "artefacts are no longer made"),
            }
            tokio::time::sleep(Duration::from_secs(settings.interval_seconds.into())).await;
            if published.changed().await.is_err() {
                return;
            }
        }
    }

    fn fill(&mut self, state: &Published) {
        let zones = self.maker.zones(&state.snapshot);
        let (stock, errors) = self.shelf.fill(state, &zones, self.clock.now());
        for (artefact, error) in errors {
            tracing::error!(artefact, %error, "the last version stays");
        }
        let octets: u64 = stock.artefacts.values().map(|artefact| artefact.octets).sum();
        let (count, indicators) = (stock.artefacts.len(), stock.objects.entries().len());
        self.stock.store(stock);
        tracing::info!(count, octets, indicators, "artefacts made");
    }
}

fn signing_key(path: &Path) -> Result<SigningKey, Diagnostic> {
    let text = secret(path)?;
    SigningKey::read(&text).map_err(|error| {
        Diagnostic::error(format!("{}: {error}", path.display()))
            .hint("`sekisho key signing FILE` makes one, and so does `minisign -GW`")
    })
}

fn token(path: &Path) -> Result<[u8; 32], Diagnostic> {
    let text = secret(path)?;
    let token = text.trim();
    if token.len() < TOKEN_OCTETS_MIN {
        let shown = path.display();
        let message = format!("the token in {shown} has fewer than {TOKEN_OCTETS_MIN} octets");
        return Err(Diagnostic::error(message).hint("make one with `openssl rand -hex 32`"));
    }
    Ok(Admission::hash(token.as_bytes()))
}

fn secret(path: &Path) -> Result<String, Diagnostic> {
    let failed = |what: String| Diagnostic::error(format!("{}: {what}", path.display()));
    let octets = disk::read_small(path, SECRET_OCTETS_MAX).map_err(|e| failed(e.to_string()))?;
    let octets = octets.ok_or_else(|| failed("no such file".to_owned()))?;
    String::from_utf8(octets).map_err(|_| failed("not a text".to_owned()))
}
