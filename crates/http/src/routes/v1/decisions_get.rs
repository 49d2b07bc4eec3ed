//! `GET /v1/decisions/{id}`: returns a decision. Roles: operator, author, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::Decision;
use sentinel_core::id::DecisionId;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;

/// Get a decision
///
/// Roles: `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "audit",
    params(("id" = uuid::Uuid, Path, description = "the decision")),
    responses((status = 200, description = "the decision", body = Decision)),
)]
pub(crate) async fn decisions_get(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<DecisionId>,
) -> Result<Json<Decision>, Problem> {
    caller.require(&[Role::Operator, Role::Author, Role::Auditor])?;
    let found = app.services.audit.decision(caller.principal(), id).await?;
    let record = found.ok_or_else(|| Problem::not_found("unknown_decision", "decision", &id))?;
    Ok(Json(record.into()))
}
