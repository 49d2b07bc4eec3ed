//! `POST /policy/check`: decides a call. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::body::Unread;
use crate::problem::Problem;
use crate::wire::{Reason, reason_code};
use sentinel_ingress::ask::{Asked, Asker, ask};

/// The call that is to be decided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CheckRequest)]
pub(crate) struct CheckBody {
    #[schema(value_type = String, example = "platform-eng")]
    tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    tool_name: ToolName,
    #[schema(value_type = String, example = "invoke")]
    action: Action,
    #[schema(value_type = Option<String>, example = "documentation_lookup")]
    purpose: Option<Purpose>,
    /// Uses that the caller reports; can only make the decision stricter than the server's count.
    usage: Option<u64>,
    /// Whatever else policy may want to know; recorded with the decision.
    #[schema(value_type = Option<Object>)]
    context: Option<Map<String, Value>>,
    /// The agent that calls; a key bound to an agent may leave it out, and may name no other.
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// The arguments of the call. Policy sees them; only their hash is kept.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
    /// Makes the check idempotent for 24 hours: the same call of the same key and agent gets the same
    /// decision, and is counted once. An allow is repeated only while the call would still be allowed
    /// and its permit is neither redeemed nor expired; else the answer is a new deny
    /// (`call_id_spent`, or why the call would be denied now). With other arguments, action, purpose,
    /// context or usage it is 409 `call_id_conflict`. It should come from what makes the call, and not
    /// from a header that an agent sets as it likes.
    #[schema(value_type = Option<String>)]
    call_id: Option<CallId>,
}

impl CheckBody {
    fn into_request(self, asker: Asker) -> CheckRequest {
        CheckRequest {
            principal: asker.principal,
            tenant: self.tenant_slug,
            tool: self.tool_name,
            action: self.action,
            purpose: self.purpose,
            usage: self.usage.unwrap_or(0),
            context: self.context.unwrap_or_default(),
            agent: self.agent,
            arguments: Arguments::new(self.arguments.unwrap_or_default()),
            call_id: self.call_id,
            request_id: asker.request_id,
            arrived: asker.arrived,
            deadline: asker.deadline,
        }
    }
}

/// The decision. It was recorded before it was answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckAnswer)]
pub(crate) struct CheckAnswer<'a> {
    allow: bool,
    #[schema(schema_with = reason_code)]
    code: ReasonCode,
    /// Why, for people.
    reason: &'a str,
    /// What of the quota is left in this window; `null` when there is no quota.
    quota_remaining: Option<u64>,
    #[schema(value_type = uuid::Uuid)]
    decision_id: DecisionId,
    /// The reasons as policy words them.
    reasons: Vec<Reason<'a>>,
    /// What policy attached to the decision: objects with a `type`. An `alert` asks for nothing more;
    /// Sentinel itself enforces a `rate_limit`.
    #[schema(value_type = Vec<Object>)]
    obligations: &'a [Value],
    /// Revision of the policy that was asked; `null` when none was.
    policy_revision: Option<&'a str>,
    /// With an allow: the token that proves it, to be redeemed once, within 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    permit: Option<&'a str>,
    /// The signed statement of this decision, where the server signs decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    manifest_id: Option<ManifestId>,
}

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
    request_body = CheckBody,
    responses(
        (status = 200, description = "the decision", body = CheckAnswer),
        (status = 404, description = "`unknown_tenant` or `unknown_tool`; recorded as a deny, \
            `decision_id` names it", content_type = "application/problem+json",
            body = crate::problem::ProblemDocument),
        (status = 503, description = "`overloaded` (more is under way than can be answered in \
            time), `deadline_exceeded` or `store_unavailable`; try again after `Retry-After`",
            content_type = "application/problem+json", body = crate::problem::ProblemDocument),
        (status = 409, description = "`call_id_conflict`: the call id was used for another call",
            content_type = "application/problem+json", body = crate::problem::ProblemDocument),
    ),
)]
pub(crate) async fn policy_check(
    State(app): State<Shared>,
    asker: Asker,
    body: Unread,
) -> Result<Response, Problem> {
    let body: CheckBody = body.object().await?;
    let asked = ask(&app.door, body.into_request(asker)).await?;
    let decision = &asked.decision;
    if let Some(status) = refused(decision.code) {
        let problem = Problem::new(status, decision.code.as_str(), decision.reason.as_str());
        return Err(problem.decision(decision.id));
    }
    Ok(Json(response(&asked)).into_response())
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
        code: decision.code,
        reason: &decision.reason,
        quota_remaining: decision.quota_remaining,
        decision_id: decision.id,
        reasons: decision.reasons.iter().map(Reason::from).collect(),
        obligations: decision.obligations(),
        policy_revision: decision.policy_revision.as_deref(),
        permit: asked.permit.as_deref(),
        manifest_id: asked.manifest_id,
    }
}
