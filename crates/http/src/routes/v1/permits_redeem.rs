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
/// Uses a permit up, before a call is made. Answers 403 (`permit_invalid`) when it was not issued
/// here, has expired or is for another call, and 409 when it was used (`permit_used`) or a kill
/// covers the call by now (`killed`).
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
    let redeemed = services.redeemer.redeem(&permit, tool_id, arguments.hash()).await?;
    let (decision_id, tool_id) = (redeemed.decision_id(), redeemed.tool_id());
    Ok(Json(Redeemed { redeemed: true, decision_id, tool_id }))
}
