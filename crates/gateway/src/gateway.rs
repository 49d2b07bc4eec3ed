//! Who speaks to the gateway, and what the fronts need to serve them.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::control::ControlState;
use sentinel_core::kill::{Call, Caller};
use sentinel_core::name::AgentName;
use sentinel_core::principal::Principal;
use sentinel_core::tenant::Tenant;
use sentinel_ingress::FrontDoor;

use crate::authority::Authority;
use crate::authority::local::{self, Local};
use crate::client::Route;

mod connections;
mod connector;

pub use connections::{Connections, Connector};
pub use connector::Registry;

/// Who a client speaks for: a principal in one tenant, as one agent.
#[derive(Debug, Clone)]
pub struct Speaker {
    pub principal: Principal,
    pub tenant: Arc<Tenant>,
    /// The agent that the principal is bound to, or that the client names.
    pub agent: Option<AgentName>,
    /// Identifier of the HTTP request with which the client began.
    pub request_id: Arc<str>,
}

impl Speaker {
    /// Whether a kill covers every call that the speaker could make.
    #[must_use]
    pub fn is_killed(&self, control: &ControlState, at: jiff::Timestamp) -> bool {
        let call = Call {
            tenant_id: Some(self.tenant.id),
            tool: None,
            agent: self.agent.as_ref(),
            caller: Caller::Principal(&self.principal),
            at,
        };
        control.kills().covering(&call).is_some()
    }
}

/// Makes the authority of a speaker.
pub trait Authorities: Send + Sync + std::fmt::Debug {
    fn of(&self, speaker: &Speaker) -> Arc<dyn Authority>;
}

/// Finds the servers behind an endpoint.
#[async_trait]
pub trait Routes: Send + Sync + std::fmt::Debug {
    /// The servers of a tenant, or the one named `upstream`. `None` when there is none of that
    /// name. The same route as long as the servers are the same.
    async fn find(&self, tenant: &Tenant, upstream: Option<&str>) -> Option<Arc<Route>>;
}

/// Decides by the use cases of this process.
#[derive(Debug)]
pub struct LocalAuthorities(pub Arc<FrontDoor>);

impl Authorities for LocalAuthorities {
    fn of(&self, speaker: &Speaker) -> Arc<dyn Authority> {
        let Speaker { principal, tenant, agent, request_id } = speaker.clone();
        let tenant = tenant.slug.clone();
        let speaker = local::Speaker { principal, tenant, agent, request_id };
        Arc::new(Local::new(Arc::clone(&self.0), speaker))
    }
}
