//! `POST /policy/check`: decides a call. Roles: agent, admin.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sentinel_api::{CheckAnswer, CheckRequest, Reason, Secret};
use sentinel_core::check::{self, Arguments};
use sentinel_core::decision::ReasonCode;
use sentinel_ingress::ask::{Asked, Asker, ask};
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;

/// Decide a call
///
/// Decides whether an agent may make a call, by policy, quota and kill switch, and records the
/// decision. A deny is an answer, not an error: read `allow`. Everything that is not
/// `"allow": true` is a deny, errors included, and errors carry `"allow": false`.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/policy/check", tag = "check",
    params((
        "x-request-timeout-ms" = Option<u64>, Header,
        description = "How long the caller waits, in milliseconds. A check that is not decided by \
            then is dropped: 503 `deadline_exceeded`, nothing recorded or counted.",
    )),
    request_body = CheckRequest,
    responses(
        (status = 200, description = "the decision", body = CheckAnswer),
        (status = 404, description = "`unknown_tenant` or `unknown_tool`; recorded as a deny, \
            `decision_id` names it", content_type = "application/problem+json",
            body = sentinel_ingress::problem::ProblemDocument),
        (status = 503, description = "`overloaded` (more is under way than can be answered in \
            time), `deadline_exceeded` or `store_unavailable`; try again after `Retry-After`",
            content_type = "application/problem+json", body = sentinel_ingress::problem::ProblemDocument),
        (status = 409, description = "`call_id_conflict`: the call id was used for another call",
            content_type = "application/problem+json", body = sentinel_ingress::problem::ProblemDocument),
    ),
)]
pub(crate) async fn policy_check(
    State(app): State<Shared>,
    asker: Asker,
    body: Unread,
) -> Result<Response, Problem> {
    let body: CheckRequest = body.object().await?;
    let asked = ask(&app.door, request(body, asker)).await?;
    let decision = &asked.decision;
    if let Some(status) = refused(decision.code) {
        let problem = Problem::new(status, decision.code.as_str(), decision.reason.as_str());
        return Err(problem.decision(decision.id));
    }
    Ok(Json(response(&asked)).into_response())
}

fn request(body: CheckRequest, asker: Asker) -> check::CheckRequest {
    check::CheckRequest {
        principal: asker.principal,
        tenant: body.tenant_slug,
        tool: body.tool_name,
        action: body.action,
        purpose: body.purpose,
        usage: body.usage.unwrap_or(0),
        context: body.context.unwrap_or_default(),
        agent: body.agent,
        arguments: Arguments::new(body.arguments.unwrap_or_default()),
        call_id: body.call_id,
        request_id: asker.request_id,
        arrived: asker.arrived,
        deadline: asker.deadline,
    }
}

/// The status of decisions that are returned as errors, as the seed's clients expect.
const fn refused(code: ReasonCode) -> Option<StatusCode> {
    match code {
        ReasonCode::UnknownTenant | ReasonCode::UnknownTool => Some(StatusCode::NOT_FOUND),
        ReasonCode::TenantForbidden => Some(StatusCode::FORBIDDEN),
        _ => None,
    }
}

fn response(asked: &Asked) -> CheckAnswer<'_> {
    let decision = &asked.decision;
    CheckAnswer {
        allow: asked.allows(),
        code: decision.code.into(),
        reason: Cow::Borrowed(&decision.reason),
        quota_remaining: decision.quota_remaining,
        decision_id: decision.id,
        reasons: decision.reasons.iter().map(Reason::from).collect(),
        obligations: Cow::Borrowed(decision.obligations()),
        policy_revision: decision.policy_revision.as_deref().map(Cow::Borrowed),
        permit: asked.permit.as_deref().map(Secret::from),
        tool_id: asked.permit.as_ref().and(decision.tool_id),
        manifest_id: asked.manifest_id,
    }
}
