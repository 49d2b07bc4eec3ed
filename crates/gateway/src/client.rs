//! The clients of the gateway, as everything behind a front sees them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::authority::Authority;
use crate::jsonrpc::Object;
use crate::upstream::Upstream;

/// One client: who it speaks for, and which servers it reaches. A front keeps it for a session of
/// the legacy era, and makes one for each request of the modern era.
#[derive(Debug)]
pub struct Client {
    pub authority: Arc<dyn Authority>,
    pub route: Arc<Route>,
    /// `clientInfo`, as the client states it: shown to policy, believed by nothing.
    pub info: Object,
    /// Capabilities of the client, as the gateway may use them.
    pub capabilities: Object,
    /// Tools that this session has been shown, by the name that the client knows. They stay
    /// listed; a revoked one is denied by a result.
    shown: Mutex<BTreeSet<String>>,
}

/// The servers behind one endpoint, and how their names appear there.
#[derive(Debug)]
pub struct Route {
    pub upstreams: Vec<Arc<dyn Upstream>>,
    /// Whether the client sees `upstream__tool`; otherwise there is one upstream, and the client
    /// sees the names of the server.
    pub prefixed: bool,
}

impl Client {
    #[must_use]
    pub fn new(authority: Arc<dyn Authority>, route: Arc<Route>) -> Self {
        Self {
            authority,
            route,
            info: Object::new(),
            capabilities: Object::new(),
            shown: Mutex::default(),
        }
    }

    /// Remembers that the client has been shown a tool.
    pub fn show(&self, tool: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !shown.contains(tool) {
            shown.insert(tool.to_owned());
        }
    }

    #[must_use]
    pub fn was_shown(&self, tool: &str) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }
}
