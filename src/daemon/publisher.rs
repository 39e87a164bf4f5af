//! Putting a state in force for everybody who reads it: the resolver, the socket, the exporter.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::model::TriggerKind;
use crate::pipeline::Published;
use crate::resolver::handler::InForce;
use crate::resolver::upstream::UpstreamResolver;
use crate::telemetry::Metrics;

/// Where readers look.
pub struct Publisher {
    /// For the resolver: one load for each query.
    pub in_force: Arc<ArcSwap<InForce>>,
    /// For everybody else, who may also wait for the next.
    pub published: watch::Sender<Arc<Published>>,
    /// Told whether policy looks at name servers, which costs a forwarder further questions.
    pub upstream: Arc<UpstreamResolver>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Publisher {
    /// Puts the state in force.
    pub fn publish(&self, state: Arc<Published>) {
        let nameservers = [TriggerKind::NameserverName, TriggerKind::NameserverAddress];
        let wanted = nameservers.iter().any(|kind| state.snapshot.having(*kind) != 0);
        self.upstream.want_nameservers(wanted);
        self.in_force.store(Arc::new(InForce::new(state.snapshot.clone(), &self.metrics)));
        for zone in state.snapshot.zones() {
            let name = zone.zone.origin().to_string();
            self.metrics.zone_published(&name, zone.zone.soa().serial.0, zone.zone.len());
        }
        self.published.send_replace(state);
    }
}
