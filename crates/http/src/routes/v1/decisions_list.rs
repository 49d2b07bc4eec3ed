//! `GET /v1/decisions`: lists decisions. Roles: operator, author, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{Decision, List};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::{Params, page};

use super::decision_filter::ListParams;
use crate::app::Shared;

/// List decisions
///
/// Roles: `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/decisions", tag = "audit",
    params(ListParams),
    responses((status = 200, description = "decisions, newest first", body = List<Decision>)),
)]
pub(crate) async fn decisions_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<List<Decision>>, Problem> {
    caller.require(&[Role::Operator, Role::Author, Role::Auditor])?;
    let filter = params.filter();
    let page = page(params.limit, params.cursor)?;
    let audit = &app.services.audit;
    let found = audit.decisions(caller.principal(), params.tenant.as_ref(), filter, page).await?;
    Ok(Json(List::of(found, Decision::from)))
}
