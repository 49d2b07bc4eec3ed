//! `POST /v1/permits/redeem`: redeems a permit. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use sentinel_core::check::Arguments;
use sentinel_core::id::{DecisionId, ToolId};
use sentinel_core::principal::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;

/// A permit, and the call it is to be used for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RedeemRequest)]
pub(crate) struct RedeemBody {
    /// As the check answered it.
    permit: String,
    #[schema(value_type = uuid::Uuid)]
    tool_id: ToolId,
    /// The arguments of the call, as they were checked.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
}

/// The call may be made, now and once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RedeemAnswer)]
pub(crate) struct Redeemed {
    /// Always `true`.
    redeemed: bool,
    #[schema(value_type = uuid::Uuid)]
    decision_id: DecisionId,
    #[schema(value_type = uuid::Uuid)]
    tool_id: ToolId,
}

/// Redeem a permit
///
/// Uses a permit up, before a call is made. Everything that the call was checked for is checked
/// again, as of now. Answers 403 (`permit_invalid`) when the permit was not issued here, has expired
/// or is for another call, tenant or agent, 409 `permit_used` when it was used, and 409 with the
/// reason code of the deny when the call would be denied by now: `killed`, `tool_retired`,
/// `key_revoked` (the key that got the permit, or the one that redeems it), `policy_denied` and so on.
/// A permit that is refused is not used up.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/v1/permits/redeem", tag = "check",
    request_body = RedeemBody,
    responses((status = 200, description = "redeemed", body = Redeemed)),
)]
pub(crate) async fn permits_redeem(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<Redeemed>, Problem> {
    caller.require(&[Role::Agent])?;
    let RedeemBody { permit, tool_id, arguments } = body.object().await?;
    let services = &app.services;
    // A permit of another tenant's tool is none for this caller.
    if services.registry.tool(caller.principal(), tool_id).await?.is_none() {
        return Err(Problem::not_found("unknown_tool", "tool", &tool_id));
    }
    let arguments = Arguments::new(arguments.unwrap_or_default());
    let redeemed =
        services.redeemer.redeem(caller.principal(), &permit, tool_id, &arguments).await?;
    let (decision_id, tool_id) = (redeemed.decision_id(), redeemed.tool_id());
    Ok(Json(Redeemed { redeemed: true, decision_id, tool_id }))
}
