//! `POST /kill/restore`: restores calls. Roles: operator, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{KillTarget, RestoreAnswer};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Restore calls
///
/// Ends every kill of exactly this scope, those that are to start later included. While a wider
/// kill covers it, nothing is changed and the answer is 409 (`still_killed`), which names that
/// kill. What a key bound to no tenant has killed, only such a key restores: 403
/// (`unbound_principal_required`), and nothing is changed.
///
/// Roles: `operator`, `admin`. A key bound to a tenant restores calls of that tenant only.
#[utoipa::path(
    post, path = "/kill/restore", tag = "kill switch",
    request_body = KillTarget,
    responses((status = 200, description = "restored", body = RestoreAnswer)),
)]
pub(crate) async fn kill_restore(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<RestoreAnswer>, Problem> {
    caller.require(&[Role::Operator])?;
    let body: KillTarget = body.object().await?;
    let (target, _) = wire::target(body)?;
    let done = app.services.kills.restore(caller.principal(), &target).await?;
    app.metrics.restored();
    Ok(Json(RestoreAnswer {
        status: "enabled".into(),
        affected_tools: done.affected_tools,
        affected_count: done.affected_count,
        kills: done.kills,
        epoch: done.epoch,
    }))
}
