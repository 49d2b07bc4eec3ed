use reqwest::Method;
use sentinel_api::{
    ReviewRequest, StandingAnswer, StandingRequest, ToolDrift, Upstream, UpstreamRequest,
};
use sentinel_core::id::{ToolId, UpstreamId};
use sentinel_core::name::{TenantSlug, UpstreamName};
use sentinel_core::pin::DefinitionDigest;

use crate::client::json;
use crate::{Client, Error, Pages};

impl Client {
    /// Adds an upstream.
    ///
    /// # Errors
    /// When the server does not answer, refuses (409 `upstream_exists`, 403
    /// `command_not_allowed`), or its answer is not an upstream.
    pub async fn add_upstream(&self, request: &UpstreamRequest) -> Result<Upstream, Error> {
        self.post(&["v1", "upstreams"], request).await
    }

    /// Upstreams, oldest first; of one tenant, or all that the caller may see.
    #[must_use]
    pub fn upstreams(&self, tenant: Option<&str>) -> Pages<'_, Upstream> {
        self.pages(&["v1", "upstreams"], &[("tenant", tenant.map(str::to_owned))])
    }

    /// Removes an upstream; calls of its tools are denied.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not an upstream.
    pub async fn remove_upstream(&self, id: UpstreamId) -> Result<Upstream, Error> {
        let path = ["v1", "upstreams", &id.to_string()];
        let request = self.request(Method::DELETE, &path, &[])?;
        json(&self.body(self.send(request).await?).await?)
    }

    /// Has the tools of a wrapped server registered and pinned, and asks which may be shown.
    ///
    /// # Errors
    /// When the server does not answer, refuses (409 `upstream_not_wrapped`), or its answer cannot
    /// be read. Nothing may be shown then.
    pub async fn standing(
        &self,
        tenant: &TenantSlug,
        upstream: &UpstreamName,
        request: &StandingRequest,
    ) -> Result<StandingAnswer, Error> {
        let path = ["v1", "upstreams", tenant.as_str(), upstream.as_str(), "standing"];
        self.post(&path, request).await
    }

    /// What a tool of an upstream is pinned to, and what is offered instead.
    ///
    /// # Errors
    /// When the server does not answer, refuses (409 `tool_not_pinned`), or its answer cannot be
    /// read.
    pub async fn drift(&self, tool: ToolId) -> Result<ToolDrift, Error> {
        self.get(&["v1", "tools", &tool.to_string(), "drift"], &[]).await
    }

    /// Pins a quarantined tool to the definition with this digest.
    ///
    /// # Errors
    /// When the server does not answer, refuses (409 `definition_not_offered`), or its answer
    /// cannot be read.
    pub async fn approve_tool(
        &self,
        tool: ToolId,
        digest: DefinitionDigest,
    ) -> Result<ToolDrift, Error> {
        self.post(&["v1", "tools", &tool.to_string(), "approve"], &ReviewRequest { digest }).await
    }

    /// Keeps a tool pinned to what was approved before.
    ///
    /// # Errors
    /// As [`Client::approve_tool`].
    pub async fn reject_tool(
        &self,
        tool: ToolId,
        digest: DefinitionDigest,
    ) -> Result<ToolDrift, Error> {
        self.post(&["v1", "tools", &tool.to_string(), "reject"], &ReviewRequest { digest }).await
    }
}
