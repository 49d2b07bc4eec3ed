//! The HTTP interface: one file an endpoint under [`routes`], which extracts, calls a use case and
//! maps its answer. No policy is decided here and no SQL is written.
//!
//! What holds for every request is in [`edge`]: its identifier, the check of `Host`, the form of
//! errors, the headers of answers. The order within a handler is always the same: authenticate,
//! require a role, read the body, call.

use std::sync::Arc;
use std::time::Duration;

use sentinel_provenance::log::{TrustedAuthority, TrustedLog};
use sentinel_service::Services;
use tokio::sync::watch;

mod app;
mod auth;
mod body;
mod deadline;
mod edge;
mod event_stream;
mod ext_authz;
mod limits;
mod metrics;
mod openapi;
mod path;
mod problem;
mod query;
mod request_id;
mod routes;
mod wire;

pub use auth::AuthMode;
pub use limits::{Connection, Limits, Network, NoNetwork};
pub use metrics::{Durations, Labels, Measure, Source, Values};
pub use openapi::openapi;

/// How the interface is offered.
#[derive(Debug, Clone)]
pub struct Options {
    pub auth: AuthMode,
    /// Names by which a client may address this server, as `host` (any port) or `host:port`. When
    /// present, the `Host` of a request, and its `Origin` if it has one, must be among them, so
    /// that a web page cannot reach a server on loopback by rebinding a name. `None` allows any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Time between two heartbeats of an event stream.
    pub heartbeat: Duration,
    /// Event streams that may be open at one time.
    pub max_subscribers: usize,
    /// What one party may take of that, and of everything else.
    pub limits: Limits,
    /// Event streams end once this turns `true` or its sender is gone.
    pub shutdown: Option<watch::Receiver<bool>>,
    /// Whether the transparency log and its trusted root can be read without a key.
    pub public_log: bool,
    /// Whom verifiers of our bundles have to trust besides.
    pub also_trusted: AlsoTrusted,
    /// What `/metrics` tells besides what is counted here.
    pub sources: Vec<Source>,
}

/// Other logs and authorities whose entries and timestamps are in our bundles.
#[derive(Debug, Clone, Default)]
pub struct AlsoTrusted {
    pub logs: Vec<TrustedLog>,
    pub authorities: Vec<TrustedAuthority>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            auth: AuthMode::Keys,
            allowed_hosts: None,
            heartbeat: Duration::from_secs(15),
            max_subscribers: 1000,
            limits: Limits::default(),
            shutdown: None,
            public_log: false,
            also_trusted: AlsoTrusted::default(),
            sources: Vec::new(),
        }
    }
}

/// Every endpoint, ready to be served.
pub fn router(services: Arc<Services>, options: Options) -> axum::Router {
    interfaces(services, options).http
}

/// Both interfaces, over the same services and metrics.
#[derive(Debug)]
pub struct Interfaces {
    pub http: axum::Router,
    /// For gateways, by HTTP/2: see `docs/ext-authz.md`.
    pub ext_authz: axum::Router,
}

/// What [`router`] serves, and the same decisions for Envoy.
pub fn interfaces(services: Arc<Services>, options: Options) -> Interfaces {
    let (router, document) = routes::table().split_for_parts();
    let document = openapi::complete(document);
    let app = Arc::new(app::App::new(services, options, &document));
    let http = router
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(edge::EdgeLayer::new(Arc::clone(&app)))
        .with_state(Arc::clone(&app));
    Interfaces { http, ext_authz: ext_authz::router(app) }
}
