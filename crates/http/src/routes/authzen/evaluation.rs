use std::time::Instant;

use axum::Json;
use axum::extract::State;
use sentinel_core::principal::Role;

use super::{Asker, Evaluated, EvaluationBody, evaluate};
use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::deadline::Deadline;
use crate::problem::Problem;
use crate::request_id::RequestId;

/// Decide a call, as AuthZEN
///
/// The subject is an agent, the resource a tool. The evaluation is a check: it is recorded, and an
/// allow counts against the quota. A deny, that of an unknown tool or of a foreign tenant too, is
/// `"decision": false`. Another type of subject or resource is 400 `invalid_evaluation`.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/access/v1/evaluation", tag = "authzen",
    request_body = EvaluationBody,
    responses((status = 200, description = "the decision", body = Evaluated)),
)]
pub(crate) async fn authzen_evaluation(
    State(app): State<Shared>,
    caller: Caller,
    request_id: RequestId,
    deadline: Deadline,
    body: Unread,
) -> Result<Json<Evaluated>, Problem> {
    let arrived = Instant::now();
    caller.require(&[Role::Agent])?;
    let body: EvaluationBody = body.object().await?;
    let asker = Asker { principal: caller.into_principal(), request_id, deadline };
    Ok(Json(evaluate(&app, body, asker, arrived).await?))
}
