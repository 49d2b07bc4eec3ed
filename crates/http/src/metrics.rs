//! Prometheus metrics. No label takes a value that a client chose.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sentinel_core::policy::PolicyStatus;
use sentinel_ingress::Traffic;
use sentinel_service::Services;
use sentinel_telemetry::{Source, Sources};

mod services;

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    kills: Family<ScopeLabels, Counter>,
    restores: Counter,
    manifests: Counter,
    pub(crate) subscribers: Gauge,
    policy: Family<PolicyLabels, Gauge>,
    epoch: Gauge,
    kills_in_force: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScopeLabels {
    scope: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    engine: &'static str,
    revision: String,
}

impl Metrics {
    /// The metrics of the endpoints, with those of the front door, of `services` and of `sources`.
    pub(crate) fn new(
        traffic: &Traffic,
        services: Arc<Services>,
        mut sources: Vec<Source>,
    ) -> Self {
        sources.push(services::source(services));
        let mut registry = Registry::with_prefix("sentinel");
        registry.register_collector(Box::new(Sources(sources)));
        traffic.register(&mut registry);
        let mut metrics = Self {
            kills: Family::default(),
            restores: Counter::default(),
            manifests: Counter::default(),
            subscribers: Gauge::default(),
            policy: Family::default(),
            epoch: Gauge::default(),
            kills_in_force: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("kills", "Kills made here", metrics.kills.clone());
        registry.register("restores", "Restores made here", metrics.restores.clone());
        registry.register("manifests_signed", "Manifests signed here", metrics.manifests.clone());
        registry.register(
            "events_subscribers",
            "Event streams that are open",
            metrics.subscribers.clone(),
        );
        registry.register("policy_info", "The policy in force", metrics.policy.clone());
        registry.register("epoch", "Epoch of the control state", metrics.epoch.clone());
        registry.register(
            "kills_in_force",
            "Kills that are in force",
            metrics.kills_in_force.clone(),
        );
        metrics.registry = registry;
        metrics
    }

    pub(crate) fn killed(&self, scope: &'static str) {
        self.kills.get_or_create(&ScopeLabels { scope }).inc();
    }

    pub(crate) fn restored(&self) {
        self.restores.inc();
    }

    pub(crate) fn signed(&self) {
        self.manifests.inc();
    }

    /// The OpenMetrics text, with what `services` report now.
    pub(crate) fn encode(&self, services: &Services) -> Result<String, std::fmt::Error> {
        let PolicyStatus { revision, engine, .. } = services.policy.status();
        let labels = PolicyLabels { engine, revision: revision.unwrap_or_default() };
        self.policy.clear();
        self.policy.get_or_create(&labels).set(1);
        let control = services.control.current();
        self.epoch.set(i64::try_from(control.epoch().0).unwrap_or(i64::MAX));
        let in_force = control.kills().in_force().count();
        self.kills_in_force.set(i64::try_from(in_force).unwrap_or(i64::MAX));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
