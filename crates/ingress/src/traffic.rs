//! What the front door counts: requests by route, and checks. No label takes a value that a client
//! chose: routes are counted by their template, methods and codes are closed sets.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sentinel_core::audit::DecisionRecord;

/// Upper bounds of the check duration's buckets, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.5, 2.5,
];
/// The label of all paths that no route matched.
const UNMATCHED: &str = "unmatched";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    allow: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: String,
    status: &'static str,
}

/// Counts of all ways in.
#[derive(Debug)]
pub struct Traffic {
    checks: Family<CheckLabels, Counter>,
    check_duration: Histogram,
    requests: Family<RouteLabels, Counter>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            checks: Family::default(),
            check_duration: Histogram::new(BUCKETS),
            requests: Family::default(),
        }
    }
}

impl Traffic {
    /// Adds the counts to what `registry` encodes.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("checks", "Checks decided", self.checks.clone());
        registry.register(
            "check_duration_seconds",
            "Time from the request's arrival to its durable decision",
            self.check_duration.clone(),
        );
        registry.register("http_requests", "HTTP requests answered", self.requests.clone());
    }

    /// Counters for each of `routes`: the template of a path, and the methods that it takes.
    pub fn routes(&self, routes: impl IntoIterator<Item = (String, Vec<Method>)>) -> Routes {
        let counters = routes.into_iter().map(|(path, methods)| {
            let of_path = methods.iter().map(|method| self.route(&path, method)).collect();
            (path, of_path)
        });
        Routes { counters: counters.collect(), unmatched: self.route(UNMATCHED, &Method::GET) }
    }

    /// The counters of one route.
    #[must_use]
    pub fn route(&self, path: &str, method: &Method) -> Arc<RouteCounters> {
        let counter = |status| {
            let labels = RouteLabels { route: path.to_owned(), method: method.to_string(), status };
            self.requests.get_or_create_owned(&labels)
        };
        let classes = ["2xx", "3xx", "4xx", "5xx"].map(counter);
        Arc::new(RouteCounters { method: method.clone(), classes })
    }

    pub(crate) fn checked(&self, decision: &DecisionRecord, took: Duration) {
        let allow = if decision.allow { "true" } else { "false" };
        self.checks.get_or_create(&CheckLabels { allow, code: decision.code.as_str() }).inc();
        self.check_duration.observe(took.as_secs_f64());
    }
}

/// The counters of one way in, by the template of the path.
#[derive(Debug)]
pub struct Routes {
    counters: HashMap<String, Vec<Arc<RouteCounters>>>,
    unmatched: Arc<RouteCounters>,
}

impl Routes {
    /// The counters of a request to the route `path`.
    pub(crate) fn find(&self, path: Option<&str>, method: &Method) -> Arc<RouteCounters> {
        let of_path = path.and_then(|path| self.counters.get(path));
        // A `HEAD` is counted as a `GET`, and a method that the path does not take as the first
        // that it takes.
        let counters = of_path.and_then(|of_path| {
            of_path.iter().find(|counters| counters.method == *method).or(of_path.first())
        });
        Arc::clone(counters.unwrap_or(&self.unmatched))
    }
}

/// The counters of one route and method, by class of status.
#[derive(Debug)]
pub struct RouteCounters {
    method: Method,
    classes: [Counter; 4],
}

impl RouteCounters {
    /// Counts a response with this status.
    pub fn count(&self, status: StatusCode) {
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
