//! Prometheus metrics. No label takes a value that a client chose: routes are counted by their
//! template, methods and codes are closed sets.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::policy::PolicyStatus;
use sentinel_service::Services;
use utoipa::openapi::OpenApi;

use crate::ext_authz;

mod source;

pub(crate) use source::Sources;
pub use source::{Durations, Labels, Measure, Source, Values};

/// Upper bounds of the check duration's buckets, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.5, 2.5,
];
/// Stands for every path that no route matched.
const UNMATCHED: &str = "unmatched";

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    checks: Family<CheckLabels, Counter>,
    check_duration: Histogram,
    kills: Family<ScopeLabels, Counter>,
    restores: Counter,
    manifests: Counter,
    pub(crate) subscribers: Gauge,
    policy: Family<PolicyLabels, Gauge>,
    epoch: Gauge,
    kills_in_force: Gauge,
    routes: HashMap<String, Vec<Arc<RouteCounters>>>,
    unmatched: Arc<RouteCounters>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    allow: &'static str,
    code: &'static str,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: String,
    status: &'static str,
}

/// The counters of one route and method, by class of status.
#[derive(Debug)]
pub(crate) struct RouteCounters {
    method: Method,
    classes: [Counter; 4],
}

impl RouteCounters {
    fn new(requests: &Family<RouteLabels, Counter>, route: &str, method: &Method) -> Arc<Self> {
        let counter = |status| {
            let labels =
                RouteLabels { route: route.to_owned(), method: method.to_string(), status };
            requests.get_or_create_owned(&labels)
        };
        let classes = ["2xx", "3xx", "4xx", "5xx"].map(counter);
        Arc::new(Self { method: method.clone(), classes })
    }

    pub(crate) fn count(&self, status: StatusCode) {
        let [success, redirection, client, server] = &self.classes;
        let class = match status.as_u16() {
            ..300 => success,
            300..400 => redirection,
            400..500 => client,
            _ => server,
        };
        class.inc();
    }
}

impl Metrics {
    /// Metrics with a counter for each route of the document, and those of `sources`.
    pub(crate) fn new(document: &OpenApi, sources: Vec<Source>) -> Self {
        let mut registry = Registry::with_prefix("sentinel");
        registry.register_collector(Box::new(Sources(sources)));
        let requests = Family::<RouteLabels, Counter>::default();
        let routes = document.paths.paths.iter().map(|(path, item)| {
            let methods = crate::openapi::methods(item);
            let counters = methods.iter().map(|method| RouteCounters::new(&requests, path, method));
            (path.clone(), counters.collect())
        });
        let mut routes: HashMap<_, _> = routes.collect();
        let ext_authz = RouteCounters::new(&requests, ext_authz::CHECK, &Method::POST);
        routes.insert(ext_authz::CHECK.to_owned(), vec![ext_authz]);
        let mut metrics = Self {
            checks: Family::default(),
            check_duration: Histogram::new(BUCKETS),
            kills: Family::default(),
            restores: Counter::default(),
            manifests: Counter::default(),
            subscribers: Gauge::default(),
            policy: Family::default(),
            epoch: Gauge::default(),
            kills_in_force: Gauge::default(),
            routes,
            unmatched: RouteCounters::new(&requests, UNMATCHED, &Method::GET),
            registry: Registry::default(),
        };
        registry.register("checks", "Checks decided", metrics.checks.clone());
        registry.register(
            "check_duration_seconds",
            "Time from the request's arrival to its durable decision",
            metrics.check_duration.clone(),
        );
        registry.register("kills", "Kills made here", metrics.kills.clone());
        registry.register("restores", "Restores made here", metrics.restores.clone());
        registry.register("manifests_signed", "Manifests signed here", metrics.manifests.clone());
        registry.register("http_requests", "HTTP requests answered", requests);
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

    /// The counters of a request to the route `path`.
    pub(crate) fn route(&self, path: Option<&str>, method: &Method) -> Arc<RouteCounters> {
        let of_path = path.and_then(|path| self.routes.get(path));
        // A `HEAD` counts as the `GET` it stands for, a method that the path does not take as the
        // first it does.
        let counters = of_path.and_then(|of_path| {
            of_path.iter().find(|counters| counters.method == *method).or(of_path.first())
        });
        Arc::clone(counters.unwrap_or(&self.unmatched))
    }

    pub(crate) fn checked(&self, decision: &DecisionRecord, took: Duration) {
        let allow = if decision.allow { "true" } else { "false" };
        self.checks.get_or_create(&CheckLabels { allow, code: decision.code.as_str() }).inc();
        self.check_duration.observe(took.as_secs_f64());
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

    /// The OpenMetrics text, with what `services` say now.
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
