use jiff::Timestamp;
use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::name::{Owner, TenantSlug, ToolName};
use sentinel_core::tool::Health;
use sentinel_service::registry::ToolView;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A registered tool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
pub(crate) struct ToolAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: ToolId,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = String, example = "platform-eng")]
    tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    name: ToolName,
    url: String,
    #[schema(value_type = String)]
    owner: Owner,
    scopes: Vec<String>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// Address that is polled for the tool's health.
    healthcheck: Option<String>,
    /// Last result of the health check.
    #[schema(value_type = Option<HealthAnswer>)]
    health: Option<Health>,
    /// Not retired, and not covered by a kill of it, of a scope or tag that it has, of its tenant, or
    /// everything.
    is_active: bool,
    /// SHA-256 of what is registered; a policy can pin it.
    digest: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    retired_at: Option<Timestamp>,
}

impl From<ToolView> for ToolAnswer {
    fn from(view: ToolView) -> Self {
        let ToolView { tool, tenant, is_active, health } = view;
        Self {
            digest: tool.digest(),
            id: tool.id,
            tenant_id: tool.tenant_id,
            tenant_slug: tenant,
            name: tool.name,
            url: tool.url.into(),
            owner: tool.owner,
            scopes: tool.scopes,
            metadata: tool.metadata,
            healthcheck: tool.healthcheck.map(String::from),
            health,
            is_active,
            created_at: tool.created_at,
            updated_at: tool.updated_at,
            retired_at: tool.retired_at,
        }
    }
}

/// Result of a health check.
#[derive(ToSchema)]
#[schema(as = Health)]
#[expect(dead_code, reason = "the schema of `sentinel_core::tool::Health`, which knows no OpenAPI")]
struct HealthAnswer {
    #[schema(inline)]
    status: HealthStatusAnswer,
    checked_at: Timestamp,
    /// Milliseconds the check took.
    latency_ms: u64,
    /// Why it is not healthy.
    detail: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the schema of `sentinel_core::tool::HealthStatus`")]
enum HealthStatusAnswer {
    Healthy,
    Unhealthy,
    Refused,
}
