//! `POST /kill`: stops calls. Roles: operator, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{KillAnswer, KillReached, KillRequest};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_service::kill::{KillOrder, Reached};

use crate::app::Shared;
use crate::wire;

/// Stop calls
///
/// Stops every call that the target covers. Once this has returned 200, no replica allows one any
/// more; tools registered later are covered too. An error promises nothing: try again.
///
/// With `starts_at`, nothing is allowed from then on, by the clock of the database and by that of
/// the server that decides, whichever is ahead. With `expires_at` it ends by itself, not before
/// both clocks say so, and up to a second or two later.
///
/// Roles: `operator`, `admin`. A key bound to a tenant stops calls of that tenant only.
#[utoipa::path(
    post, path = "/kill", tag = "kill switch",
    request_body = KillRequest,
    responses(
        (status = 200, description = "stopped", body = KillAnswer),
        (status = 409, description = "`older_servers_connected`: a server of an older version, which \
            does not know this kind of kill, is connected to the database",
            content_type = "application/problem+json", body = sentinel_ingress::problem::ProblemDocument),
        (status = 422, description = "`invalid_target` or `invalid_kill_time`",
            content_type = "application/problem+json", body = sentinel_ingress::problem::ProblemDocument),
    ),
)]
pub(crate) async fn kill(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<KillAnswer>, Problem> {
    caller.require(&[Role::Operator])?;
    let body: KillRequest = body.object().await?;
    let (target, kind) = wire::target(body.target())?;
    let KillRequest { starts_at, expires_at, reason, .. } = body;
    let order = KillOrder { target, reason, starts_at, expires_at };
    let done = app.services.kills.kill_as(caller.principal(), order).await?;
    app.metrics.killed(kind);
    let Reached { replicas, streams, permits, calls, calls_unconfirmed, calls_elsewhere } =
        done.reached;
    let reached =
        KillReached { replicas, streams, permits, calls, calls_unconfirmed, calls_elsewhere };
    Ok(Json(KillAnswer {
        status: "disabled".into(),
        affected_tools: done.affected_tools,
        affected_count: done.affected_count,
        kill_id: done.kills.first().copied(),
        kills: done.kills,
        epoch: done.epoch,
        reached,
    }))
}
