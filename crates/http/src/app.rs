//! What the handlers share.

use std::sync::Arc;

use bytes::Bytes;
use sentinel_service::Services;
use utoipa::openapi::OpenApi;

use crate::Options;
use crate::auth::{AuthMode, HostGuard};
use crate::limits::Guard;
use crate::metrics::{Metrics, Source};
use crate::routes::Readiness;

/// Services, options, and what is computed once.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) services: Arc<Services>,
    pub(crate) options: Options,
    pub(crate) hosts: Option<HostGuard>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) limits: Arc<Guard>,
    /// The OpenAPI document, JSON.
    pub(crate) openapi: Bytes,
}

/// The state of every handler.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(services: Arc<Services>, options: Options, document: &OpenApi) -> Self {
        let hosts = options.allowed_hosts.as_deref().map(HostGuard::new);
        // Serializing a document that is built from code does not fail.
        // Where no key is needed, none is shown.
        let mut limits = options.limits.clone();
        if options.auth == AuthMode::Off {
            limits.unauthenticated_per_second = 0;
        }
        let openapi = serde_json::to_vec(document).unwrap_or_default().into();
        let mut sources = options.sources.clone();
        sources.push(Source::of_services(Arc::clone(&services)));
        Self {
            hosts,
            metrics: Metrics::new(document, sources),
            readiness: Readiness::default(),
            limits: Guard::new(options.max_subscribers, &limits),
            openapi,
            services,
            options,
        }
    }
}
