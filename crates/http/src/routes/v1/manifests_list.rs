//! `GET /v1/manifests`: lists manifests. Roles: auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{List, ManifestRecord};
use sentinel_core::id::DecisionId;
use sentinel_core::manifest::ManifestFilter;
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::{PageLimit, Params, page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;
use crate::wire;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    #[param(value_type = Option<String>)]
    tenant: Option<TenantSlug>,
    #[param(value_type = Option<String>)]
    tool: Option<ToolName>,
    /// Manifests of this decision only.
    #[param(value_type = Option<uuid::Uuid>)]
    decision_id: Option<DecisionId>,
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List manifests
///
/// Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/manifests", tag = "provenance",
    params(Filter),
    responses((status = 200, description = "manifests, newest first", body = List<ManifestRecord>)),
)]
pub(crate) async fn manifests_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<Filter>,
) -> Result<Json<List<ManifestRecord>>, Problem> {
    caller.require(&[Role::Auditor])?;
    let page = page(params.limit, params.cursor)?;
    let Filter { tenant, tool, decision_id, .. } = params;
    let filter = ManifestFilter { tenant_id: None, tool, decision_id, phase: None };
    let provenance = &app.services.provenance;
    let found = provenance.manifests(caller.principal(), tenant.as_ref(), filter, page).await?;
    let control = app.services.control.current();
    Ok(Json(List::of(found, |manifest| wire::manifest(&control, manifest))))
}
