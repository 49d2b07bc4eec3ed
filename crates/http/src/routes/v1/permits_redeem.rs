//! `POST /v1/permits/redeem`: redeems a permit. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{RedeemAnswer, RedeemRequest};
use sentinel_core::check::Arguments;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;

/// Redeem a permit
///
/// Uses a permit up, before a call is made. Everything that the call was checked for is checked
/// again, as of now. Returns 403 (`permit_invalid`) when the permit was not issued here, has
/// expired or is for another call, tenant or agent, 409 `permit_used` when it was used, and 409
/// with the reason code of the deny when the call would be denied by now: `killed`, `tool_retired`,
/// `key_revoked` (the key that got the permit, or the one that redeems it), `policy_denied` and so
/// on. A permit that is refused is not used up.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/v1/permits/redeem", tag = "check",
    request_body = RedeemRequest,
    responses((status = 200, description = "redeemed", body = RedeemAnswer)),
)]
pub(crate) async fn permits_redeem(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<RedeemAnswer>, Problem> {
    caller.require(&[Role::Agent])?;
    let RedeemRequest { permit, tool_id, arguments } = body.object().await?;
    let services = &app.services;
    // A permit of another tenant's tool is none for this caller.
    if services.registry.tool(caller.principal(), tool_id).await?.is_none() {
        return Err(Problem::not_found("unknown_tool", "tool", &tool_id));
    }
    let arguments = Arguments::new(arguments.unwrap_or_default());
    let redeemed =
        services.redeemer.redeem(caller.principal(), permit.expose(), tool_id, &arguments).await?;
    let (decision_id, tool_id) = (redeemed.decision_id(), redeemed.tool_id());
    Ok(Json(RedeemAnswer { redeemed: true, decision_id, tool_id }))
}
