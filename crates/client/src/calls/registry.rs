use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use sentinel_api::{
    RegisterRequest, Tenant, TenantRequest, Tool, ToolChange, UncoveredAnswer, UncoveredRequest,
};
use sentinel_core::id::ToolId;

use crate::client::json;
use crate::{Client, Error, Pages};

impl Client {
    /// Registers a tool, and its tenant when that is new.
    ///
    /// # Errors
    /// When the server does not answer, refuses (409 `tool_exists`), or its answer is not a tool.
    pub async fn register(&self, request: &RegisterRequest) -> Result<Tool, Error> {
        self.post(&["register"], request).await
    }

    /// Tools, oldest first; of one tenant, or all that the caller may see.
    #[must_use]
    pub fn tools(&self, tenant: Option<&str>) -> Pages<'_, Tool> {
        self.pages(&["v1", "tools"], &[("tenant", tenant.map(str::to_owned))])
    }

    /// Changes where a tool is, who owns it and what is said about it.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a tool.
    pub async fn change_tool(&self, id: ToolId, change: &ToolChange) -> Result<Tool, Error> {
        let body = serde_json::to_vec(change).map_err(Error::Unwritable)?;
        let request = self.request(Method::PATCH, &["v1", "tools", &id.to_string()], &[])?;
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        json(&self.body(self.send(request).await?).await?)
    }

    /// Reports a call that reached a tool without a valid permit, and was refused there.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn report_uncovered(
        &self,
        report: &UncoveredRequest,
    ) -> Result<UncoveredAnswer, Error> {
        self.post(&["v1", "tools", "uncovered"], report).await
    }

    /// Retires a tool: it denies for ever, its history stays.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a tool.
    pub async fn retire_tool(&self, id: ToolId) -> Result<Tool, Error> {
        let request = self.request(Method::DELETE, &["v1", "tools", &id.to_string()], &[])?;
        json(&self.body(self.send(request).await?).await?)
    }

    /// Creates a tenant.
    ///
    /// # Errors
    /// When the server does not answer, refuses (409 `tenant_exists`), or its answer is not a
    /// tenant.
    pub async fn create_tenant(&self, request: &TenantRequest) -> Result<Tenant, Error> {
        self.post(&["v1", "tenants"], request).await
    }

    /// Tenants, by slug.
    #[must_use]
    pub fn tenants(&self) -> Pages<'_, Tenant> {
        self.pages(&["v1", "tenants"], &[])
    }
}
