//! The upstreams of every tenant as routes that follow the registry: one that is added is there with
//! the next request, one that is removed is closed, and sessions see both at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{TenantId, UpstreamId};
use sentinel_core::tenant::Tenant;
use sentinel_core::upstream::{Transport, Upstream as Registered};
use sentinel_service::Services;
use sentinel_service::upstreams::{StatusSource, ToolDefect, UpstreamStatus};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Routes;
use crate::catalog::{Defect, Patience, Settings, Source};
use crate::client::Route;
use crate::upstream::{State, Upstream};

/// How long after a failure to connect is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// New connections whose tools are listed at one time, and how long one may take to start.
const STARTING: usize = 4;
const START: Duration = Duration::from_secs(120);
/// How often the registry is looked at without a request.
const LOOK: Duration = Duration::from_millis(500);

/// Makes the connection to an upstream that is registered.
pub trait Connector: Send + Sync + std::fmt::Debug {
    /// Nothing is started or dialled before the connection is used. May block for a moment, to read
    /// secrets.
    ///
    /// # Errors
    /// When it cannot be made, with the reason for operators. It is tried again.
    fn connect(&self, upstream: &Registered) -> Result<Arc<dyn Upstream>, String>;
}

/// Every connection of this replica.
#[derive(Debug)]
pub struct Connections {
    services: Arc<Services>,
    connector: Arc<dyn Connector>,
    settings: Arc<Settings>,
    tenants: Mutex<HashMap<TenantId, Connected>>,
    /// One at a time compares with the registry.
    following: tokio::sync::Mutex<()>,
    starting: Arc<Semaphore>,
}

#[derive(Debug)]
struct Connected {
    /// Of the registry that it was compared with.
    epoch: Option<Epoch>,
    /// When to try again what could not be connected.
    again: Option<Instant>,
    all: Arc<Route>,
    /// By name. The route of one upstream lives as long as the upstream.
    own: HashMap<String, Own>,
}

/// What a comparison with the registry found.
struct Found {
    epoch: Epoch,
    again: Option<Instant>,
    own: HashMap<String, Own>,
}

#[derive(Debug, Clone)]
struct Own {
    id: UpstreamId,
    source: Arc<Source>,
    route: Arc<Route>,
}

impl Connections {
    #[must_use]
    pub fn new(
        services: Arc<Services>,
        connector: Arc<dyn Connector>,
        settings: Arc<Settings>,
    ) -> Arc<Self> {
        let tenants = Mutex::default();
        Arc::new(Self {
            services,
            connector,
            settings,
            tenants,
            following: tokio::sync::Mutex::default(),
            starting: Arc::new(Semaphore::new(STARTING)),
        })
    }

    /// Has the registry show how each upstream is doing here.
    pub fn show_statuses(self: &Arc<Self>) {
        let shown = Shown(Arc::downgrade(self));
        self.services.upstreams.show_statuses(Arc::new(shown));
    }

    fn source(&self, id: UpstreamId) -> Option<Arc<Source>> {
        let tenants = self.lock();
        let mut own = tenants.values().flat_map(|connected| connected.own.values());
        own.find(|own| own.id == id).map(|own| Arc::clone(&own.source))
    }

    /// Follows the registry without a request: for the sessions that live, and so that the tools of
    /// an upstream are registered when it is added. Never ends.
    pub async fn follow(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let mut tenants: HashSet<_> = self.lock().keys().copied().collect();
            let control = self.services.control.current();
            tenants.extend(control.upstreams().map(|upstream| upstream.tenant_id));
            for tenant in tenants {
                self.compare(tenant).await;
            }
        }
    }

    /// Closes every connection, and ends the processes of children.
    pub async fn close(&self) {
        let closing: Vec<_> = {
            let mut tenants = self.lock();
            let own = tenants.drain().flat_map(|(_, connected)| connected.own.into_values());
            own.map(|own| own.source).collect()
        };
        let closing = closing.iter().map(|source| source.upstream().close());
        futures::future::join_all(closing).await;
    }

    /// Brings the connections of a tenant in line with the registry.
    async fn compare(&self, tenant: TenantId) {
        if self.is_current(tenant) {
            return;
        }
        let _one = self.following.lock().await;
        if self.is_current(tenant) {
            return;
        }
        let control = self.services.control.current();
        let wrapped =
            |upstream: &&Arc<Registered>| !matches!(upstream.transport, Transport::Wrapped);
        let registered: Vec<_> = control.upstreams_of(tenant).filter(wrapped).cloned().collect();
        let known = self.lock().get(&tenant).map(|known| known.own.clone()).unwrap_or_default();
        let mut own = HashMap::new();
        let mut complete = true;
        for upstream in registered {
            match self.kept_or_made(&known, &upstream).await {
                Some(made) => drop(own.insert(upstream.name.as_str().to_owned(), made)),
                None => complete = false,
            }
        }
        let again = (!complete).then(|| Instant::now() + AGAIN);
        let gone = self.adopt(tenant, Found { epoch: control.epoch(), again, own });
        for source in gone {
            // The calls under way on it end first; that does not keep others waiting.
            tokio::spawn(async move { source.upstream().close().await });
        }
    }

    fn is_current(&self, tenant: TenantId) -> bool {
        let epoch = self.services.control.current().epoch();
        self.lock().get(&tenant).is_some_and(|known| {
            known.epoch == Some(epoch) && known.again.is_none_or(|again| Instant::now() < again)
        })
    }

    async fn kept_or_made(
        &self,
        known: &HashMap<String, Own>,
        upstream: &Arc<Registered>,
    ) -> Option<Own> {
        let before = known.get(upstream.name.as_str());
        if let Some(own) = before.filter(|own| own.id == upstream.id) {
            return Some(own.clone());
        }
        let (connector, registered) = (Arc::clone(&self.connector), Arc::clone(upstream));
        let made = tokio::task::spawn_blocking(move || connector.connect(&registered)).await;
        match made {
            Ok(Ok(connection)) => {
                let source = Source::new(connection, &self.settings);
                self.register(upstream, &source);
                Some(Own { id: upstream.id, route: self.route(before, &source), source })
            }
            Ok(Err(why)) => {
                tracing::error!(upstream = %upstream.name, why, "an upstream cannot be connected");
                None
            }
            Err(_) => None,
        }
    }

    /// Lists the tools of a new connection once, in the background, for the registry. What is slow
    /// or fails here is asked for again by the first client.
    fn register(&self, upstream: &Arc<Registered>, source: &Arc<Source>) {
        let (services, starting) = (Arc::clone(&self.services), Arc::clone(&self.starting));
        let (upstream, source) = (Arc::clone(upstream), Arc::clone(source));
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_place) = starting.acquire().await else { return };
            let tools = source.tools(Patience::Fresh(START)).await;
            let registered = match tools {
                Ok(tools) => {
                    let listed = services.upstreams.register_listed(&upstream, tools.definitions());
                    listed.await.map_err(|error| error.to_string())
                }
                Err(failure) => Err(failure.to_string()),
            };
            if let Err(error) = registered {
                let upstream = upstream.name.as_str();
                tracing::warn!(upstream, error, "the tools of an upstream are not registered yet");
            }
        });
    }

    /// The route of one upstream. Sessions of one that was added again under its name go on.
    fn route(&self, before: Option<&Own>, source: &Arc<Source>) -> Arc<Route> {
        let Some(before) = before else {
            let route = Route::single(Arc::clone(source), Arc::clone(&self.settings));
            return Arc::new(route);
        };
        before.route.replace(vec![Arc::clone(source)]);
        Arc::clone(&before.route)
    }

    /// Puts the connections in place, and returns those that are no longer among them.
    fn adopt(&self, tenant: TenantId, found: Found) -> Vec<Arc<Source>> {
        let Found { epoch, again, own } = found;
        let mut sources: Vec<_> = own.values().map(|own| Arc::clone(&own.source)).collect();
        sources.sort_by(|one, other| one.name().cmp(other.name()));
        let mut tenants = self.lock();
        let connected = tenants.entry(tenant).or_insert_with(|| {
            let all = Route::merged(Vec::new(), Arc::clone(&self.settings));
            Connected { epoch: None, again: None, all: Arc::new(all), own: HashMap::new() }
        });
        let before = connected.all.sources();
        let is_held = |of: &Arc<Source>| sources.iter().any(|source| Arc::ptr_eq(source, of));
        let gone: Vec<_> = before.iter().filter(|source| !is_held(source)).cloned().collect();
        for lost in connected.own.values() {
            let route_is_held = own.values().any(|own| Arc::ptr_eq(&own.route, &lost.route));
            if !route_is_held {
                lost.route.replace(Vec::new());
            }
        }
        if !gone.is_empty() || before.len() != sources.len() {
            connected.all.replace(sources);
        }
        (connected.epoch, connected.again, connected.own) = (Some(epoch), again, own);
        gone
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Connected>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Routes for Connections {
    async fn find(&self, tenant: &Tenant, upstream: Option<&str>) -> Option<Arc<Route>> {
        self.compare(tenant.id).await;
        let tenants = self.lock();
        let connected = tenants.get(&tenant.id)?;
        match upstream {
            None => Some(Arc::clone(&connected.all)),
            Some(name) => connected.own.get(name).map(|own| Arc::clone(&own.route)),
        }
    }
}

/// Connections as the registry looks at them: it is older than they are, and does not keep them.
#[derive(Debug)]
struct Shown(Weak<Connections>);

impl StatusSource for Shown {
    fn status(&self, upstream: UpstreamId) -> Option<UpstreamStatus> {
        let status = self.0.upgrade()?.source(upstream)?.upstream().status();
        Some(UpstreamStatus {
            state: match status.state {
                State::Idle => "idle",
                State::Connecting => "connecting",
                State::Up => "up",
                State::Down => "down",
                State::Paused => "paused",
                State::Closed => "closed",
            },
            since: status.since,
            last_error: status.last_error,
            restarts: status.restarts,
            revision: status.version,
            latency_ms: status.latency.and_then(|latency| latency.as_millis().try_into().ok()),
            in_flight: u64::try_from(status.in_flight).unwrap_or(u64::MAX),
        })
    }

    fn defects(&self, upstream: UpstreamId) -> Vec<ToolDefect> {
        let source = self.0.upgrade().and_then(|connections| connections.source(upstream));
        let Some(tools) = source.and_then(|source| source.known_tools()) else {
            return Vec::new();
        };
        let all = tools.defects().iter().chain(tools.repairs());
        let shown = all.map(|Defect { name, reason, detail }| ToolDefect {
            tool: name.clone(),
            reason,
            detail: detail.clone(),
        });
        shown.collect()
    }
}
