//! Zones of other publishers: their settings from those of the configuration, and a task for each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::keys::KeyRing;
use super::writer::{Event, Events};
use crate::config::zone::{Elsewhere, Origin, Primaries, PrimaryTransport};
use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::model::time::Clock;
use crate::model::{Name, Timestamp};
use crate::pipeline::report::SecondarySays;
use crate::ports::Fetch;
use crate::secondary::tls::{self, Trust};
use crate::secondary::{
    ByTransfer, ByUrl, Primary, Record, Refresh, Secondary, SecondaryZone, Store, Surroundings,
    Transport, ZoneSettings, notify, zone,
};
use crate::source::fetch::{Fetcher, HttpClient, HttpConfig};
use crate::telemetry::Metrics;
use crate::zone::Zone;
use crate::zone::tsig::Keys;
use crate::zone::wire::TransferLimits;

/// Certificates of authorities; all of Mozilla's have some 200 KiB.
const AUTHORITIES_OCTETS_MAX: u64 = 4 << 20;
/// Web servers are asked at most this often, whatever a zone's SOA says: BIND's
/// `min-refresh-time`.
const URL_PAUSE_SECONDS_MIN: u32 = 300;

/// The versions that a start found.
pub type Transferred = BTreeMap<Name, (Zone, Record)>;

/// What zones need around them.
pub struct Needs<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The state directory.
    pub state: &'a Path,
    /// Keys with their secrets.
    pub keys: &'a KeyRing,
    /// Fetches over HTTP.
    pub fetch: Arc<dyn Fetch>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The writer.
    pub events: Events,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Keys hash tables and throws dice.
    pub seed: u64,
    /// The versions that are there already.
    pub transferred: Transferred,
}

/// All zones of other publishers.
pub struct Secondaries {
    zones: Vec<Arc<SecondaryZone>>,
    /// Those of them that come from primaries.
    transfers: Vec<Arc<Secondary>>,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl Secondaries {
    /// Reads what the settings name. Nobody is asked yet.
    pub fn open(needs: Needs<'_>) -> Result<Self, Diagnostic> {
        let Needs { config, keys, clock, mut transferred, seed, .. } = needs;
        let events = needs.events;
        let around = Arc::new(Surroundings {
            store: Store::of(needs.state),
            clock: clock.clone(),
            metrics: needs.metrics,
            put: Box::new(move |name, version| {
                // Without a writer the program stops, and nothing is in force any more.
                let _ = events.send(Event::Version(name.clone(), version));
            }),
            refreshes: Semaphore::new(zone::REFRESHES_MAX),
        });
        let (mut zones, mut transfers) = (Vec::new(), Vec::new());
        for zone in &config.zones {
            let Some(elsewhere) = &zone.elsewhere else { continue };
            let at = |finding: Diagnostic| finding.at(zone.place.clone());
            let roots = authorities(elsewhere).map_err(at)?;
            let (refresh, pause_min): (Arc<dyn Refresh>, _) = match &elsewhere.origin {
                Origin::Primaries(primaries) => {
                    let zone = secondary(zone, primaries, roots, keys, seed).map_err(at)?;
                    let zone = Arc::new(zone);
                    transfers.push(zone.clone());
                    (Arc::new(ByTransfer { zone, clock: clock.clone() }), 0)
                }
                Origin::Url(location) => {
                    let fetch = match roots {
                        Some(roots) => fetcher(needs.state, roots).map_err(at)?,
                        None => needs.fetch.clone(),
                    };
                    let (origin, location) = (zone.name.clone(), location.clone());
                    let by_url = ByUrl { origin, location, fetch, hash_seed: seed };
                    (Arc::new(by_url), URL_PAUSE_SECONDS_MIN)
                }
            };
            let settings = ZoneSettings {
                name: zone.name.clone(),
                configured: configured(elsewhere),
                refresh,
                pause_min,
                unload_expired: elsewhere.unload_expired,
                seed: seed ^ crate::zone::zone_hash(seed, zone.name.as_ref()),
            };
            let kept = transferred.remove(&zone.name);
            zones.push(Arc::new(SecondaryZone::new(settings, around.clone(), kept)));
        }
        Ok(Self { zones, transfers, keys: keys.all(), clock })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// Keeps every zone fresh until told to stop.
    pub fn run(&self, stop: &CancellationToken) {
        for zone in &self.zones {
            let (zone, stop) = (zone.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = zone.keep_fresh() => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }

    /// Answers word that a zone changed; none is silence.
    pub fn notified(&self, message: &[u8], peer: IpAddr) -> Option<Vec<u8>> {
        let zones = self.transfers.iter().map(|zone| &**zone);
        let judgement = notify::judge(zones, &self.keys, message, peer, self.clock.now());
        match &judgement.changed {
            Some((name, serial)) => {
                tracing::debug!(zone = %name, %peer, serial = serial.map(|s| s.0), "notified");
                let zone = self.zones.iter().find(|zone| zone.name() == name);
                zone.inspect(|zone| zone.notified(*serial));
            }
            None => tracing::debug!(%peer, "word of a change is not taken"),
        }
        judgement.response
    }

    /// How each zone is.
    pub fn says(&self, now: Timestamp) -> Vec<(Name, SecondarySays)> {
        self.zones.iter().map(|zone| (zone.name().clone(), zone.says(now))).collect()
    }
}

/// What is wrong with the files that zones of others name.
pub fn check(config: &Config) -> Vec<Diagnostic> {
    let check = |zone: &config::Zone| {
        let finding = authorities(zone.elsewhere.as_ref()?).err()?;
        Some(finding.at(zone.place.clone()))
    };
    config.zones.iter().filter_map(check).collect()
}

/// The versions that came last. What cannot be read is a finding, and comes anew.
pub fn transferred(config: &Config, state: &Path, findings: &mut Vec<Diagnostic>) -> Transferred {
    let store = Store::of(state);
    let mut found = Transferred::new();
    for zone in config.zones.iter().filter(|zone| zone.elsewhere.is_some()) {
        match store.load(&zone.name) {
            Ok(kept) => found.extend(kept.map(|kept| (zone.name.clone(), kept))),
            Err(error) => findings.push(
                Diagnostic::warning(format!("the zone `{}`: {error}", zone.name))
                    .hint("it is not in force until its publisher brings it again"),
            ),
        }
    }
    found
}

/// What of them is in force at a start: all but what expired and is to be unloaded.
pub fn in_force<'t>(
    config: &'t Config,
    transferred: &'t Transferred,
    now: Timestamp,
) -> impl Iterator<Item = (Name, Option<Zone>)> + 't {
    config.zones.iter().filter_map(move |zone| {
        let (version, record) = transferred.get(&zone.name)?;
        let unload = zone.elsewhere.as_ref()?.unload_expired;
        let unloaded = unload && record.is_expired(version.soa(), now);
        Some((zone.name.clone(), (!unloaded).then(|| version.clone())))
    })
}

/// How each zone is while nobody asks for any.
pub fn says_offline(
    config: &Config,
    state: &Path,
    transferred: &Transferred,
    now: Timestamp,
) -> Vec<(Name, SecondarySays)> {
    let store = Store::of(state);
    let says = config.zones.iter().filter_map(|zone| {
        let elsewhere = zone.elsewhere.as_ref()?;
        let kept = transferred.get(&zone.name);
        let record = match kept {
            Some((_, record)) => record.clone(),
            None => store.record(&zone.name).unwrap_or_default(),
        };
        let held = kept.map(|(version, _)| version);
        let from = (configured(elsewhere), elsewhere.unload_expired);
        Some((zone.name.clone(), zone::says((&from.0, from.1), held, &record, None, now)))
    });
    says.collect()
}

/// Where a zone comes from, for people.
fn configured(elsewhere: &Elsewhere) -> Vec<String> {
    match &elsewhere.origin {
        Origin::Primaries(primaries) => primaries.servers.iter().map(|p| p.to_string()).collect(),
        Origin::Url(location) => vec![location.to_string()],
    }
}

fn authorities(elsewhere: &Elsewhere) -> Result<Option<RootCertStore>, Diagnostic> {
    let Some(path) = &elsewhere.authorities else { return Ok(None) };
    let failed = |what: String| Diagnostic::error(format!("{}: {what}", path.display()));
    let octets = disk::read_small(path, AUTHORITIES_OCTETS_MAX);
    let octets = octets.map_err(|error| failed(error.to_string()))?;
    let octets = octets.ok_or_else(|| failed("no such file".to_owned()))?;
    let roots = tls::authorities(&octets);
    roots.map(Some).map_err(|error| failed(error.to_string()).hint("certificates in PEM"))
}

fn fetcher(state: &Path, roots: RootCertStore) -> Result<Arc<dyn Fetch>, Diagnostic> {
    let settings = HttpConfig { roots, ..HttpConfig::new(state.join("spool")) };
    let client = HttpClient::new(settings);
    let client = client.map_err(|error| Diagnostic::error(format!("HTTP client: {error}")))?;
    Ok(Arc::new(Fetcher::new(client)))
}

fn secondary(
    zone: &config::Zone,
    settings: &Primaries,
    roots: Option<RootCertStore>,
    keys: &KeyRing,
    hash_seed: u64,
) -> Result<Secondary, Diagnostic> {
    let trust = match roots {
        _ if !settings.pins.is_empty() => Trust::Pins(settings.pins.clone()),
        Some(roots) => Trust::Authorities(roots),
        None => Trust::usual(),
    };
    let tls = tls::client_config(trust);
    let tls = tls.map_err(|error| Diagnostic::error(format!("TLS: {error}")))?;
    let primary = |server: &config::zone::Primary| {
        let transport = match &server.transport {
            PrimaryTransport::Udp => Transport::Udp,
            PrimaryTransport::Tcp => Transport::Tcp,
            PrimaryTransport::Tls { name } => {
                let name = match name {
                    Some(name) => ServerName::try_from(name.clone()).map_err(|_| {
                        Diagnostic::error(format!("`{name}` is no name of a certificate"))
                    })?,
                    None => ServerName::IpAddress(server.address.ip().into()),
                };
                Transport::Tls { name, config: tls.clone() }
            }
        };
        Ok(Primary { address: server.address, transport })
    };
    let key = match &settings.key {
        None => None,
        Some(name) => Some(keys.find(name.as_ref()).cloned().ok_or_else(|| {
            Diagnostic::error(format!("there is no `[[key]]` of the name `{name}`"))
        })?),
    };
    Ok(Secondary {
        origin: zone.name.clone(),
        primaries: settings.servers.iter().map(primary).collect::<Result<_, Diagnostic>>()?,
        key,
        allow_notify: settings.allow_notify.clone(),
        limits: TransferLimits::default(),
        hash_seed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Location, Validators};
    use crate::secondary::{Held, Refreshed};
    use crate::source::fetch::loopback::{Reply, Server, answer};

    const ZONE: &[u8] = b"$TTL 60\n@ SOA a.test. b.test. 1 3600 600 86400 60\n\
                          bad.example CNAME .\nbad.example A 192.0.2.300\nworse.example CNAME .\n";

    fn by_url(server: &Server) -> (ByUrl, tempfile::TempDir) {
        let spool = tempfile::tempdir().unwrap();
        std::fs::create_dir(spool.path().join("spool")).unwrap();
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let by_url = ByUrl {
            origin: Name::from_host("v.rpz").unwrap(),
            location: Location::parse(&server.url("/v.rpz")).unwrap(),
            fetch: fetcher(spool.path(), roots).unwrap(),
            hash_seed: 7,
        };
        (by_url, spool)
    }

    async fn over_http(replies: Vec<Reply>) -> (Vec<String>, Vec<String>) {
        let count = replies.len();
        let server = Server::start(replies).await;
        let (by_url, _spool) = by_url(&server);
        let mut held: Option<(Zone, Validators)> = None;
        let mut said = Vec::new();
        for _ in 0..count {
            let of = held.as_ref();
            let of = of.map(|(zone, validators)| Held { zone, exact: true, validators });
            said.push(match by_url.refresh(of).await {
                Ok(Refreshed::Unchanged) => "unchanged".to_owned(),
                Ok(Refreshed::Transferred(zone, transfer)) => {
                    let said = format!("{} rules, {:?}", zone.len(), transfer.rejects);
                    held = Some((zone, transfer.validators));
                    said
                }
                Err(failures) => failures[0].reason.clone(),
            });
        }
        (said, server.requests())
    }

    #[tokio::test]
    async fn a_zone_comes_over_http_once_for_each_version() {
        let etag = ["ETag: \"one\""];
        let not_modified = answer("304 Not Modified", &etag, b"");
        let (said, requests) = over_http(vec![answer("200 OK", &etag, ZONE), not_modified]).await;
        assert!(said[0].starts_with("2 rules, [\"line 4: malformed A record data"), "{said:?}");
        assert_eq!(said[1], "unchanged");
        assert!(!requests[0].contains("if-none-match"));
        assert!(requests[1].contains("if-none-match: \"one\""), "{requests:?}");
    }

    #[tokio::test]
    async fn what_is_no_zone_or_the_same_zone_changes_nothing() {
        let replies = vec![
            answer("200 OK", &[], ZONE),
            answer("200 OK", &[], ZONE),
            answer("200 OK", &[], b"<html>be right back</html>"),
            answer("404 Not Found", &[], b""),
        ];
        let (said, _) = over_http(replies).await;
        assert_eq!(said[1], "unchanged");
        assert!(said[2].starts_with("the zone has no SOA record"), "{said:?}");
        assert!(said[3].contains("answered 404"), "{said:?}");
    }
}
