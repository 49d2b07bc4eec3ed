//! `POST /kill/restore`: restores calls. Roles: operator, admin.

use axum::Json;
use axum::extract::State;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::KillId;
use sentinel_core::principal::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;
use crate::wire::TargetBody;

/// What was restored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RestoreAnswer)]
pub(crate) struct RestoredAnswer {
    /// Always `enabled`.
    status: &'static str,
    /// The tools it reaches, at most 1,000; empty when nothing of exactly this scope was killed.
    affected_tools: Vec<String>,
    /// How many tools it reaches.
    affected_count: usize,
    /// The kills that ended.
    #[schema(value_type = Vec<uuid::Uuid>)]
    kills: Vec<KillId>,
    #[schema(value_type = u64)]
    epoch: Epoch,
}

/// Restore calls
///
/// Ends every kill of exactly this scope, those that are to start later included. While a wider kill
/// covers it, nothing is changed and the answer is 409 (`still_killed`), which names that kill. What
/// a key bound to no tenant has killed, only such a key restores: 403
/// (`unbound_principal_required`), and nothing is changed.
///
/// Roles: `operator`, `admin`. A key bound to a tenant restores calls of that tenant only.
#[utoipa::path(
    post, path = "/kill/restore", tag = "kill switch",
    request_body = TargetBody,
    responses((status = 200, description = "restored", body = RestoredAnswer)),
)]
pub(crate) async fn kill_restore(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<RestoredAnswer>, Problem> {
    caller.require(&[Role::Operator])?;
    let body: TargetBody = body.object().await?;
    let (target, _) = body.target()?;
    let done = app.services.kills.restore(caller.principal(), &target).await?;
    app.metrics.restored();
    Ok(Json(RestoredAnswer {
        status: "enabled",
        affected_tools: done.affected_tools,
        affected_count: done.affected_count,
        kills: done.kills,
        epoch: done.epoch,
    }))
}
