//! The gateway within a server: its front for HTTP, and the connections behind it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sentinel_ingress::FrontDoor;
use sentinel_service::ServiceError;
use sentinel_telemetry::Source;

use crate::catalog;
use crate::enforce::{self, Enforcement};
use crate::front::http::{self, HttpFront};
use crate::gateway::{Connections, LocalAuthorities, Registry};
use crate::upstream::Limits;

/// Time that connections get to be closed when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// How the gateway serves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub front: http::Settings,
    pub enforce: enforce::Settings,
    /// Of each upstream.
    pub limits: Limits,
    pub lists: Lists,
}

/// How lists are read and shown.
#[derive(Debug, Clone, Copy)]
pub struct Lists {
    /// Shows what policy denies too. What is quarantined stays hidden.
    pub show_all: bool,
    /// How long a list of an upstream counts as current.
    pub fresh: Duration,
    /// How long a client may keep a list, and what it was shown counts without asking policy again.
    pub client_ttl: Duration,
}

impl Default for Lists {
    fn default() -> Self {
        let catalog::Settings { show_all, fresh, client_ttl, .. } = catalog::Settings::new([0; 32]);
        Self { show_all, fresh, client_ttl }
    }
}

impl Options {
    /// As it is, for a server that cuts connections `grace` after it was told to stop.
    #[must_use]
    pub fn within(mut self, grace: Duration) -> Self {
        self.front.last_call = grace.saturating_sub(ANSWERING).max(grace / 2);
        self
    }

    /// What is said of lists, with the time that an upstream has for them.
    fn catalog(&self, cursors: [u8; 32]) -> catalog::Settings {
        let Lists { show_all, fresh, client_ttl } = self.lists;
        let usual = catalog::Settings::new(cursors);
        let stale = usual.stale.max(fresh);
        let fetch_limit = self.limits.list;
        catalog::Settings { show_all, fresh, stale, client_ttl, fetch_limit, ..usual }
    }
}

/// Time that answers get to be written before connections are cut.
const ANSWERING: Duration = Duration::from_secs(2);

/// A gateway, not serving yet.
#[derive(Debug)]
pub struct Gateway {
    front: HttpFront,
    connections: Arc<Connections>,
    enforcement: Arc<Enforcement>,
}

impl Gateway {
    /// Nothing is connected before it is asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(door: Arc<FrontDoor>, options: Options) -> Result<Self, ServiceError> {
        let cursors = http::shared_key(&door, "gateway-cursors").await?;
        let catalog = Arc::new(options.catalog(cursors));
        let Options { front, enforce, limits, .. } = options;
        let services = Arc::clone(door.services());
        let networks = services.upstreams.rules().networks;
        let connector = Arc::new(Registry { limits, networks });
        let connections = Connections::new(services, connector, catalog);
        connections.show_statuses();
        let authorities = Arc::new(LocalAuthorities(Arc::clone(&door)));
        let routes = Arc::clone(&connections);
        let key = http::shared_key(&door, "gateway-calls").await?;
        let enforcement = Arc::new(Enforcement::new(enforce, key));
        let enforced = Arc::clone(&enforcement);
        let front = HttpFront::open(door, authorities, routes, enforced, front).await?;
        Ok(Self { front, connections, enforcement })
    }

    /// Its endpoints, with the edge around them.
    pub fn router(&self) -> Router {
        self.front.router()
    }

    /// What goes on beside requests. Ends when the server stops.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let (front, connections) = (self.front.clone(), Arc::clone(&self.connections));
        async move {
            tokio::select! {
                () = front.watch() => {}
                () = connections.follow() => {}
            }
        }
    }

    /// What the gateway counts, for a scrape.
    #[must_use]
    pub fn source(&self) -> Source {
        self.enforcement.source()
    }

    /// Closes every connection, and ends the processes of children, within a bounded time.
    pub async fn close(&self) {
        if tokio::time::timeout(FAREWELL, self.connections.close()).await.is_err() {
            tracing::warn!("upstreams were not closed in time");
        }
    }
}
