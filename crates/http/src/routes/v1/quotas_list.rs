//! `GET /v1/quotas`: lists quotas. Roles: operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::principal::Role;
use sentinel_core::quota::Window;
use sentinel_service::quotas::QuotaView;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::query::{PageLimit, Params, page};
use crate::wire::List;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Quotas of this tenant only.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// What is used of one tool's quota in the window under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaUsage)]
pub(crate) struct QuotaUsage {
    #[schema(value_type = String)]
    tenant: TenantSlug,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = String)]
    tool: ToolName,
    #[schema(value_type = uuid::Uuid)]
    tool_id: ToolId,
    /// Allows in this window.
    usage: u64,
    /// The limit that applied when it was last used; `null` when counted without one.
    limit: Option<u64>,
    remaining: Option<u64>,
    /// `15m`, `1h`, `1d`, `30d` or `month`.
    #[schema(value_type = String, example = "1d")]
    window: Window,
    window_start: Timestamp,
    /// When the next window starts, and usage with it at 0.
    resets_at: Timestamp,
}

impl From<QuotaView> for QuotaUsage {
    fn from(view: QuotaView) -> Self {
        let QuotaView { counter, tenant, tool } = view;
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

/// List quotas
///
/// What is used of each tool's quota. A tool that was not used in its window has no row.
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/quotas", tag = "audit",
    params(Filter),
    responses((status = 200, description = "usage, by tenant and tool", body = List<QuotaUsage>)),
)]
pub(crate) async fn quotas_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<List<QuotaUsage>>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let page = page(filter.limit, filter.cursor)?;
    let quotas = &app.services.quotas;
    let found = quotas.usage(caller.principal(), filter.tenant.as_ref(), page).await?;
    Ok(Json(List::of(found, QuotaUsage::from)))
}
