//! Zones out by transfer, wired: who may ask, who answers, who tells of news.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::keeper::Kept;
use super::keys::KeyRing;
use super::releases::{Command, Order, Releases};
use super::sockets::{self, Sockets};
use crate::config::{Config, SecondaryServer, Transfer};
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock;
use crate::model::{Name, NameRef, Timestamp};
use crate::pipeline::Published;
use crate::pipeline::report::{
    CanarySays, FleetSays, NotifySays, PublishedSays, TransferSays, VersionSays,
};
use crate::ports::TransferService;
use crate::publish::edition::Cause;
use crate::publish::fleet::{Fleet, Known, Told};
use crate::publish::notify::Announcer;
use crate::publish::primary::{Offer, Primary};
use crate::publish::secondaries::{Secondaries, Secondary};
use crate::publish::transfer::TransferServer;
use crate::resolver::encrypted::transfers_over_tls;
use crate::resolver::tcp::{TcpFront, TcpSettings};
use crate::telemetry::Metrics;
use crate::zone::Serial;

/// A question with its signature; longer ones are none.
const QUESTION_OCTETS_MAX: usize = 1232;
/// How long a connection for transfers alone may be idle, and how long its client may take to read:
/// a secondary keeps one for its next questions (RFC 9103 section 6.2).
const IDLE: Duration = Duration::from_secs(60);

/// Everything about zones that leave by transfer.
pub struct Transfers {
    primary: Arc<Primary>,
    secondaries: Arc<Secondaries>,
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
    server: Arc<TransferServer>,
    commands: mpsc::Sender<Command>,
}

/// What publishing begins with, until there is a state to publish.
pub struct Prepared {
    /// What is known from here on.
    pub transfers: Arc<Transfers>,
    releases: Releases,
    orders: mpsc::Receiver<Command>,
    announcer: Arc<Announcer>,
}

/// Prepares publishing; none where nobody takes zones by transfer.
pub fn prepare(
    config: &Config,
    keys: &KeyRing,
    state: &Path,
    hash_seed: u64,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Option<Prepared> {
    let publish = &config.publish;
    if publish.secondaries.is_empty() {
        return None;
    }
    let secondaries = publish.secondaries.iter().map(|server| secondary(server, keys));
    let secondaries = Arc::new(Secondaries::new(secondaries.collect()));
    let (primary, fleet) = (Arc::new(Primary::default()), Arc::new(Fleet::default()));
    let releases = Releases::new(
        state.to_owned(),
        hash_seed,
        publish.transfer.clone(),
        secondaries.clone(),
        primary.clone(),
        clock.clone(),
        metrics.clone(),
    );
    let announcer = Announcer {
        primary: primary.clone(),
        secondaries: secondaries.clone(),
        fleet: fleet.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
    };
    let server = TransferServer::new(
        primary.clone(),
        secondaries.clone(),
        keys.all(),
        fleet.clone(),
        clock.clone(),
        metrics.clone(),
    );
    // People give commands one at a time.
    let (commands, orders) = mpsc::channel(4);
    let transfers = Transfers {
        primary,
        secondaries,
        fleet,
        metrics: metrics.clone(),
        server: Arc::new(server),
        commands,
    };
    let announcer = Arc::new(announcer);
    Some(Prepared { transfers: Arc::new(transfers), releases, orders, announcer })
}

/// A key that is named is there: the configuration was checked for it.
fn secondary(server: &SecondaryServer, keys: &KeyRing) -> Secondary {
    let key = server.key.as_ref().map(|name| {
        keys.find(name.as_ref()).expect("the configuration names keys that it has").clone()
    });
    Secondary {
        name: server.name.clone(),
        address: server.address,
        from: server.from.clone(),
        key,
        zones: server.zones.clone(),
        notify: server.notify,
        canary: server.canary,
    }
}

impl Prepared {
    /// Opens what transfers have for themselves. What is returned serves until it is dropped.
    pub fn open(
        &self,
        transfer: &Transfer,
        stop: &CancellationToken,
    ) -> Result<Vec<TcpFront>, Diagnostic> {
        let failed = |error: std::io::Error| {
            Diagnostic::error(format!("zone transfer: {error}")).hint("see `[publish.transfer]`")
        };
        let Sockets { udp, tcp, tls, .. } = sockets::for_transfers(transfer)?;
        let service = self.transfers.service();
        for socket in udp {
            socket.set_nonblocking(true).map_err(failed)?;
            let socket = UdpSocket::from_std(socket).map_err(failed)?;
            let (until, answering) = (stop.clone(), answer_datagrams(socket, service.clone()));
            tokio::spawn(async move { until.run_until_cancelled(answering).await });
        }
        let settings = TcpSettings { idle: IDLE, write: IDLE, ..TcpSettings::default() };
        let mut fronts = Vec::new();
        fronts.push(TcpFront::start_transfers(tcp, &service, settings).map_err(failed)?);
        if let (false, Some(files)) = (tls.is_empty(), &transfer.certificate) {
            let kept = Kept::open(files)?;
            let certificates = kept.certificates.clone();
            let front = transfers_over_tls(tls, &certificates, &service, settings);
            fronts.push(front.map_err(failed)?);
            let until = stop.clone();
            tokio::spawn(async move { until.run_until_cancelled(kept.keep()).await });
        }
        Ok(fronts)
    }

    /// Publishes from here on.
    pub fn run(self, published: watch::Receiver<Arc<Published>>, stop: &CancellationToken) {
        let until = stop.clone();
        let releasing = self.releases.run(published, self.orders);
        tokio::spawn(async move { until.run_until_cancelled(releasing).await });
        for (position, secondary) in self.transfers.secondaries.iter() {
            if secondary.notify {
                let (announcer, until) = (self.announcer.clone(), stop.clone());
                let telling = announcer.run(position);
                tokio::spawn(async move { until.run_until_cancelled(telling).await });
            }
        }
    }
}

/// Answers are short and come from memory, so each is made before the next question is read.
async fn answer_datagrams(socket: UdpSocket, service: Arc<dyn TransferService>) {
    let mut question = [0; QUESTION_OCTETS_MAX];
    loop {
        let (length, peer) = match socket.recv_from(&mut question).await {
            Ok(received) => received,
            Err(error) => {
                // Such as word of the network that an earlier answer did not arrive.
                tracing::debug!(%error, "receiving questions about zones");
                continue;
            }
        };
        if let Some(answer) = service.datagram(&question[..length], peer).await
            && let Err(error) = socket.send_to(&answer, peer).await
        {
            tracing::debug!(%error, %peer, "answering a question about zones");
        }
    }
}

impl Transfers {
    /// The serial that secondaries see of a zone.
    pub fn serial_of(&self, zone: NameRef<'_>) -> Option<Serial> {
        self.primary.of(zone).map(|offer| offer.stable.serial())
    }

    /// Who answers secondaries.
    pub fn service(&self) -> Arc<dyn TransferService> {
        self.server.clone()
    }

    /// Has something done with a zone.
    pub async fn order(&self, zone: Name, order: Order) -> Result<String, Diagnostic> {
        let stopping = || Diagnostic::error("the daemon is stopping");
        let (say, told) = oneshot::channel();
        self.commands.send((zone, order, say)).await.map_err(|_| stopping())?;
        told.await.map_err(|_| stopping())?
    }

    /// How a zone is published, if it is.
    pub fn says(&self, zone: &Name, now: Timestamp) -> Option<PublishedSays> {
        let offer = self.primary.of(zone.as_ref())?;
        let gets = |secondary: &Secondary| secondary.gets(zone.as_ref(), offer.for_everyone);
        let secondaries = self.secondaries.iter().filter(|(_, secondary)| gets(secondary));
        Some(PublishedSays {
            serial: offer.stable.serial().0,
            at: offer.stable.version().at.0,
            rules: offer.stable.zone().len(),
            versions: offer.stable.versions().len(),
            canary: offer
                .canary
                .as_ref()
                .map(|(edition, until)| CanarySays { serial: edition.serial().0, until: until.0 }),
            rolled_back_to: offer.rolled_back_to.map(|serial| serial.0),
            secondaries: secondaries
                .map(|(at, secondary)| {
                    secondary_says(secondary, &offer, self.fleet.of(at, zone), now)
                })
                .collect(),
        })
    }

    /// The zones that are published.
    pub fn zones(&self) -> Vec<Name> {
        self.primary.all().keys().cloned().collect()
    }

    /// Sets the series that grow with time.
    pub fn measure(&self, now: Timestamp) {
        for (zone, offer) in self.primary.all().iter() {
            for (at, secondary) in self.secondaries.iter() {
                if secondary.gets(zone.as_ref(), offer.for_everyone) {
                    let says = secondary_says(secondary, offer, self.fleet.of(at, zone), now);
                    if let Some(lag) = says.lag_seconds {
                        self.metrics.transfers.lag(&secondary.name, &zone.to_string(), lag);
                    }
                }
            }
        }
    }

    /// The versions of a zone that are kept, newest first.
    pub fn history(&self, zone: &Name) -> Option<Vec<VersionSays>> {
        let offer = self.primary.of(zone.as_ref())?;
        let stable = offer.stable.serial();
        let newest = offer.edition(true);
        let versions = newest.versions().map(|version| VersionSays {
            serial: version.serial.0,
            source: version.source.0,
            snapshot: version.snapshot.to_string(),
            at: version.at.0,
            rules: version.rules,
            removed: version.removed,
            added: version.added,
            rolled_back_to: match version.cause {
                Cause::Content => None,
                Cause::Rollback(to) => Some(to.0),
            },
            current: version.serial == stable,
        });
        let mut versions: Vec<VersionSays> = versions.collect();
        versions.reverse();
        Some(versions)
    }
}

fn secondary_says(secondary: &Secondary, offer: &Offer, known: Known, now: Timestamp) -> FleetSays {
    let edition = offer.edition(secondary.canary);
    let lag = known.serial.map(|serial| match serial == edition.serial() {
        true => 0,
        // Since the first version that it does not have.
        false => {
            let missed = edition.versions().find(|version| version.serial > serial);
            missed.unwrap_or(edition.version()).at.age_seconds(now)
        }
    });
    FleetSays {
        name: secondary.name.clone(),
        canary: secondary.canary,
        offered: edition.serial().0,
        serial: known.serial.map(|serial| serial.0),
        lag_seconds: lag,
        asked_at: known.asked_at.map(|at| at.0),
        transfer: known.transfer.map(|transfer| TransferSays {
            at: transfer.at.0,
            kind: transfer.kind.as_str().to_owned(),
            octets: transfer.octets,
            took_ms: u64::try_from(transfer.took.as_millis()).unwrap_or(u64::MAX),
            serial: transfer.serial.0,
        }),
        transfers: known.transfers,
        failures: known.failures,
        notify: notify_says(secondary, known.told),
    }
}

fn notify_says(secondary: &Secondary, told: Told) -> NotifySays {
    let state = match (secondary.notify, told.serial, told.acknowledged_at) {
        (false, ..) => "off",
        (true, None, _) => "not-yet",
        (true, Some(_), Some(_)) => "acknowledged",
        (true, Some(_), None) => "trying",
    };
    NotifySays {
        state: state.to_owned(),
        serial: told.serial.map(|serial| serial.0),
        attempts: told.attempts,
        acknowledged_at: told.acknowledged_at.map(|at| at.0),
        error: told.error,
    }
}
