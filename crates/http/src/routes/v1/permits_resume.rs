//! `POST /v1/permits/resume`: goes on with a call that was allowed before. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{ResumeAnswer, ResumeRequest};
use sentinel_core::check::Arguments;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_service::redeem::Resumption;

use crate::app::Shared;

/// Go on with a call
///
/// For a call that was allowed and whose client had to answer a question before the tool could go
/// on, and for a call under way that a kill may cover. Everything that the call was checked for is
/// checked again, as of now; it is neither counted nor recorded again. Ask right before the call is
/// sent again.
///
/// Returns 403 (`permit_invalid`) when there is no such allow of the caller, for this tool, action
/// and these arguments, within the last hour, and 409 with the reason code of the deny when the call
/// would be denied by now.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/v1/permits/resume", tag = "check",
    request_body = ResumeRequest,
    responses((status = 200, description = "the call may go on", body = ResumeAnswer)),
)]
pub(crate) async fn permits_resume(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<ResumeAnswer>, Problem> {
    caller.require(&[Role::Agent])?;
    let ResumeRequest { decision_id, tool_name, action, round, arguments } = body.object().await?;
    let arguments = Arguments::new(arguments.unwrap_or_default());
    let resumption = Resumption { decision: decision_id, tool: tool_name, action, round };
    app.services.redeemer.resume_elsewhere(caller.principal(), &resumption, &arguments).await?;
    Ok(Json(ResumeAnswer { resumed: true, decision_id }))
}
