//! `POST /access/v1/evaluation`: decides a call, as AuthZEN. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use super::{Evaluated, EvaluationBody, evaluate};
use crate::app::Shared;
use sentinel_ingress::ask::Asker;

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
    asker: Asker,
    body: Unread,
) -> Result<Json<Evaluated>, Problem> {
    let body: EvaluationBody = body.object().await?;
    Ok(Json(evaluate(&app, body, asker).await?))
}
