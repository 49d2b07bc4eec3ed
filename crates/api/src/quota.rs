use jiff::Timestamp;
use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::quota::{self, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The limit that policy stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    pub limit: u64,
    /// `15m`, `1h`, `1d`, `30d` or `month`.
    #[schema(value_type = String)]
    pub window: Window,
}

impl From<quota::Quota> for Quota {
    fn from(quota::Quota { limit, window }: quota::Quota) -> Self {
        Self { limit, window }
    }
}

impl From<Quota> for quota::Quota {
    fn from(Quota { limit, window }: Quota) -> Self {
        Self { limit, window }
    }
}

/// What is used of one tool's quota in the window under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUsage {
    #[schema(value_type = String)]
    pub tenant: TenantSlug,
    #[schema(value_type = uuid::Uuid)]
    pub tenant_id: TenantId,
    #[schema(value_type = String)]
    pub tool: ToolName,
    #[schema(value_type = uuid::Uuid)]
    pub tool_id: ToolId,
    /// Allows in this window.
    pub usage: u64,
    /// The limit that applied when it was last used; `null` when counted without one.
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    /// `15m`, `1h`, `1d`, `30d` or `month`.
    #[schema(value_type = String, example = "1d")]
    pub window: Window,
    pub window_start: Timestamp,
    /// When the next window starts, and usage with it at 0.
    pub resets_at: Timestamp,
}

impl QuotaUsage {
    /// A counter, with the names of its tenant and tool.
    #[must_use]
    pub fn new(counter: quota::Counter, tenant: TenantSlug, tool: ToolName) -> Self {
        Self {
            tenant,
            tenant_id: counter.key.tenant_id,
            tool,
            tool_id: counter.key.tool_id,
            usage: counter.used,
            limit: counter.limit,
            remaining: counter.limit.map(|limit| limit.saturating_sub(counter.used)),
            window: counter.key.window,
            window_start: counter.key.span.start,
            resets_at: counter.key.span.end,
        }
    }
}
