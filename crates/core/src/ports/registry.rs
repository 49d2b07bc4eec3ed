//! The port of the registry: tenants, tools and API keys.

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::StoreError;
use crate::epoch::Epoch;
use crate::id::{KeyId, TenantId, ToolId};
use crate::page::{Page, Paged};
use crate::principal::ApiKey;
use crate::tenant::Tenant;
use crate::tool::{Health, Tool, ToolChange};

/// Registers tenants, tools and keys, and lists them. Nothing is ever deleted.
#[async_trait]
pub trait RegistryStore: Send + Sync + std::fmt::Debug {
    /// Creates a tenant; [`Conflict::TenantExists`](super::Conflict::TenantExists) when the slug is
    /// taken.
    async fn create_tenant(&self, tenant: Tenant) -> Result<Epoch, StoreError>;

    /// Registers a tool, and its tenant when `tenant.slug` is new. Returns the tool as stored and
    /// its tenant. [`Conflict::ToolExists`](super::Conflict::ToolExists) when the name is taken,
    /// also by a retired tool; [`Conflict::ToolConfusable`](super::Conflict::ToolConfusable) when
    /// another name of the tenant has the same skeleton.
    async fn register_tool(&self, tenant: Tenant, tool: Tool) -> Result<Registered, StoreError>;

    /// Changes a tool at `at`; `None` when there is no such tool.
    async fn update_tool(
        &self,
        id: ToolId,
        change: ToolChange,
        at: Timestamp,
    ) -> Result<Option<(Tool, Epoch)>, StoreError>;

    /// Stores the last health of a tool. No change of control state.
    async fn record_health(&self, id: ToolId, health: Health) -> Result<(), StoreError>;

    /// Adds a key. Keys are never deleted, only revoked.
    async fn create_key(&self, key: ApiKey) -> Result<Epoch, StoreError>;

    /// Revokes a key; `None` when there is none. Revoking twice keeps the first time.
    async fn revoke_key(
        &self,
        id: KeyId,
        at: Timestamp,
    ) -> Result<Option<(ApiKey, Epoch)>, StoreError>;

    /// Tenants by slug.
    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>, StoreError>;

    /// Tools of one tenant, or of all, by creation.
    async fn tools(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<(Tool, Option<Health>)>, StoreError>;

    /// One tool.
    async fn tool(&self, id: ToolId) -> Result<Option<(Tool, Option<Health>)>, StoreError>;

    /// Keys, newest first, of one tenant or of all.
    async fn keys(&self, tenant: Option<TenantId>, page: Page)
    -> Result<Paged<ApiKey>, StoreError>;
}

/// A tool as registered.
#[derive(Debug, Clone)]
pub struct Registered {
    pub tenant: Tenant,
    /// Whether the tenant was created with it.
    pub tenant_created: bool,
    pub tool: Tool,
    pub epoch: Epoch,
}
