//! What every way in holds.

use std::sync::Arc;

use http::request::Parts;
use sentinel_core::principal::Principal;
use sentinel_service::Services;
use tokio::sync::watch;

use crate::auth::AuthMode;
use crate::host::HostGuard;
use crate::limits::{self, Guard, Limits, Place, UnderWay};
use crate::problem::Problem;
use crate::readiness::Readiness;
use crate::traffic::Traffic;

/// How the front door is kept.
#[derive(Debug, Clone)]
pub struct Options {
    pub auth: AuthMode,
    /// Names by which a client may address this server, as `host` (any port) or `host:port`. When
    /// present, the `Host` of a request, and its `Origin` if it has one, must be among them, so
    /// that a web page cannot reach a server on loopback by rebinding a name. `None` allows any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Event streams that may be open at one time.
    pub max_subscribers: usize,
    /// What one party may take of that, and of everything else.
    pub limits: Limits,
    /// Event streams end, and readiness is over, once this turns `true` or its sender is gone.
    pub shutdown: Option<watch::Receiver<bool>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            auth: AuthMode::Keys,
            allowed_hosts: None,
            max_subscribers: 1000,
            limits: Limits::default(),
            shutdown: None,
        }
    }
}

/// The use cases, and what guards them. All ways in share one, so that limits and counts are those
/// of all of them together.
#[derive(Debug)]
pub struct FrontDoor {
    pub(crate) services: Arc<Services>,
    pub(crate) auth: AuthMode,
    pub(crate) hosts: Option<HostGuard>,
    pub(crate) limits: Arc<Guard>,
    pub(crate) traffic: Traffic,
    pub(crate) readiness: Readiness,
    shutdown: Option<watch::Receiver<bool>>,
}

impl FrontDoor {
    #[must_use]
    pub fn new(services: Arc<Services>, options: Options) -> Self {
        let Options { auth, allowed_hosts, max_subscribers, mut limits, shutdown } = options;
        if auth == AuthMode::Off {
            // No caller presents a key where none is needed.
            limits.unauthenticated_per_second = 0;
        }
        Self {
            services,
            auth,
            hosts: allowed_hosts.as_deref().map(HostGuard::new),
            limits: Guard::new(max_subscribers, &limits),
            traffic: Traffic::default(),
            readiness: Readiness::default(),
            shutdown,
        }
    }

    #[must_use]
    pub const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Looks at a request before anything else does. `path` is the template of its route. What is
    /// returned must serve it, by [`UnderWay::within`].
    ///
    /// # Errors
    /// When the request presents no key, and too many such requests come from its address.
    pub fn admit(&self, parts: &Parts, path: Option<&str>) -> Result<UnderWay, Problem> {
        self.limits.request(parts, path)
    }

    /// A place for an event stream of `principal`, which is given back when dropped.
    ///
    /// # Errors
    /// When all places that the principal may have are taken.
    pub fn open_stream(&self, principal: &Principal) -> Result<Place, Problem> {
        limits::stream(&self.limits, principal)
    }

    #[must_use]
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Turns `true`, or loses its sender, when the server stops.
    #[must_use]
    pub fn shutdown(&self) -> Option<watch::Receiver<bool>> {
        self.shutdown.clone()
    }

    /// Why the server cannot decide; empty when it can. A result is reused for half a second, so
    /// that callers without a key cannot keep the store busy.
    pub async fn not_ready(&self) -> Vec<&'static str> {
        if self.shutdown.as_ref().is_some_and(|shutdown| *shutdown.borrow()) {
            return vec!["stopping"];
        }
        self.readiness.reasons(&self.services).await
    }
}

/// The state of a router behind a front door. The extractors of this crate take it.
pub trait BehindFrontDoor: Send + Sync {
    fn front_door(&self) -> &FrontDoor;
}

impl BehindFrontDoor for FrontDoor {
    fn front_door(&self) -> &FrontDoor {
        self
    }
}

impl<T: BehindFrontDoor> BehindFrontDoor for Arc<T> {
    fn front_door(&self) -> &FrontDoor {
        T::front_door(self)
    }
}
