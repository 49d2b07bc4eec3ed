//! `POST /v1/tools/{id}/approve` and `/reject`: reviews the changed definition of a tool. Roles:
//! operator, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{ReviewRequest, ToolDrift};
use sentinel_core::id::ToolId;
use sentinel_core::pin::Review;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Approve the definition of a tool
///
/// Pins a quarantined tool to the definition that is offered, which lifts the quarantine. `digest`
/// says which one was looked at; when another is offered by now, nothing is approved (409
/// `definition_not_offered`).
///
/// Roles: `operator`, `admin`; a key bound to a tenant approves that tenant's.
#[utoipa::path(
    post, path = "/v1/tools/{id}/approve", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the tool")),
    request_body = ReviewRequest,
    responses((status = 200, description = "what the tool is pinned to", body = ToolDrift)),
)]
pub(crate) async fn tools_approve(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ToolId>,
    body: Unread,
) -> Result<Json<ToolDrift>, Problem> {
    review(&app, &caller, id, Review::Approve, body).await
}

/// Reject the definition of a tool
///
/// The tool stays pinned to what was approved before, and quarantined for as long as something
/// else is offered.
///
/// Roles: `operator`, `admin`; a key bound to a tenant rejects that tenant's.
#[utoipa::path(
    post, path = "/v1/tools/{id}/reject", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the tool")),
    request_body = ReviewRequest,
    responses((status = 200, description = "what the tool is pinned to", body = ToolDrift)),
)]
pub(crate) async fn tools_reject(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ToolId>,
    body: Unread,
) -> Result<Json<ToolDrift>, Problem> {
    review(&app, &caller, id, Review::Reject, body).await
}

async fn review(
    app: &Shared,
    caller: &Caller,
    id: ToolId,
    review: Review,
    body: Unread,
) -> Result<Json<ToolDrift>, Problem> {
    caller.require(&[Role::Operator])?;
    let ReviewRequest { digest } = body.object().await?;
    let upstreams = &app.services.upstreams;
    let reviewed = upstreams.review(caller.principal(), id, review, digest).await?;
    let reviewed = reviewed.ok_or_else(|| Problem::not_found("unknown_tool", "tool", &id))?;
    Ok(Json(wire::drift(reviewed)))
}
