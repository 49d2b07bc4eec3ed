//! The identifiers of a tenant's tools, by name.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sentinel_client::{Client, Error};
use sentinel_core::id::ToolId;
use sentinel_core::name::{TenantSlug, ToolName};
use tokio::sync::RwLock;

/// How often names that are not known are looked up again at most.
const PAUSE: Duration = Duration::from_secs(5);
/// Tools of a tenant that are kept.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Tools(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<ToolName, ToolId>,
    read_at: Option<Instant>,
}

impl Tools {
    /// The identifier of a registered tool; `None` when the tenant has no such tool.
    pub(crate) async fn id(
        &self,
        client: &Client,
        tenant: &TenantSlug,
        tool: &ToolName,
    ) -> Result<Option<ToolId>, Error> {
        if let Some(id) = self.0.read().await.ids.get(tool) {
            return Ok(Some(*id));
        }
        // The one lock that is held across an await: those who wait want the same listing.
        let mut known = self.0.write().await;
        let fresh = known.read_at.is_some_and(|at| at.elapsed() < PAUSE);
        if !fresh && !known.ids.contains_key(tool) {
            let tools = client.tools(Some(tenant.as_str())).collect(MOST).await?;
            known.ids = tools.into_iter().map(|tool| (tool.name, tool.id)).collect();
            known.read_at = Some(Instant::now());
        }
        Ok(known.ids.get(tool).copied())
    }

    /// Forgets a tool, which may have been registered again under another identifier.
    pub(crate) async fn forget(&self, tool: &ToolName) {
        let mut known = self.0.write().await;
        known.ids.remove(tool);
        known.read_at = None;
    }
}
