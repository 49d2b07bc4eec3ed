//! `POST /access/v1/evaluations`: decides several calls, as AuthZEN. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ActionBody, Entity, Evaluated, EvaluationBody, evaluate};
use crate::app::Shared;
use sentinel_ingress::ask::Asker;

/// Evaluations in one request.
const MAX: usize = 100;
/// Of these, so many are under way at one time.
const TOGETHER: usize = 16;

/// Several evaluations. What one leaves out is taken from the top, as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuthzenEvaluations)]
pub(crate) struct EvaluationsBody {
    subject: Option<Entity>,
    action: Option<ActionBody>,
    resource: Option<Entity>,
    #[schema(value_type = Option<Object>)]
    context: Option<serde_json::Map<String, serde_json::Value>>,
    /// At most 100. Without any, the request is one evaluation and is decided as one.
    evaluations: Option<Vec<EvaluationBody>>,
    options: Option<Options>,
}

/// How the evaluations depend on each other.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuthzenOptions)]
pub(crate) struct Options {
    evaluations_semantic: Option<Semantic>,
}

/// When to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuthzenSemantic)]
pub(crate) enum Semantic {
    #[default]
    ExecuteAll,
    /// What follows the first deny is neither decided nor returned.
    DenyOnFirstDeny,
    /// What follows the first permit is neither decided nor returned.
    PermitOnFirstPermit,
}

/// The decisions, in the order of the evaluations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthzenDecisions)]
pub(crate) struct EvaluationsAnswer {
    evaluations: Vec<Evaluated>,
}

/// Decide several calls, as AuthZEN
///
/// Each evaluation is a check of its own. One that cannot be decided is returned as
/// `"decision": false` with `context.error`; the others are decided all the same.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/access/v1/evaluations", tag = "authzen",
    request_body = EvaluationsBody,
    responses((status = 200, description = "the decisions", body = EvaluationsAnswer)),
)]
pub(crate) async fn authzen_evaluations(
    State(app): State<Shared>,
    asker: Asker,
    body: Unread,
) -> Result<Response, Problem> {
    let body: EvaluationsBody = body.object().await?;
    let EvaluationsBody { subject, action, resource, context, evaluations, options } = body;
    let defaults = EvaluationBody { subject, action, resource, context };
    let evaluations = evaluations.unwrap_or_default();
    if evaluations.is_empty() {
        return Ok(Json(evaluate(&app, defaults, asker).await?).into_response());
    }
    if evaluations.len() > MAX {
        let detail = format!("at most {MAX} evaluations may come in one request");
        return Err(Problem::bad_request("too_many_evaluations", detail));
    }
    let semantic = options.and_then(|options| options.evaluations_semantic).unwrap_or_default();
    let together = if semantic == Semantic::ExecuteAll { TOGETHER } else { 1 };
    let all = evaluations.into_iter().map(|one| {
        let one = EvaluationBody {
            subject: one.subject.or_else(|| defaults.subject.clone()),
            action: one.action.or_else(|| defaults.action.clone()),
            resource: one.resource.or_else(|| defaults.resource.clone()),
            context: one.context.or_else(|| defaults.context.clone()),
        };
        let evaluated = evaluate(&app, one, asker.clone());
        async { evaluated.await.unwrap_or_else(|problem| Evaluated::failed(&problem)) }
    });
    let mut decided = futures::stream::iter(all).buffered(together);
    let mut results = Vec::new();
    while let Some(result) = decided.next().await {
        let ends = match semantic {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !result.decision,
            Semantic::PermitOnFirstPermit => result.decision,
        };
        results.push(result);
        if ends {
            break;
        }
    }
    Ok(Json(EvaluationsAnswer { evaluations: results }).into_response())
}
