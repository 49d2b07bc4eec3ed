//! OPA's REST API, so that OPA's clients can point at this server unchanged. What they ask is
//! decided as every other call is: with quota and kill switch, and recorded.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sentinel_api::{Reason, reason_code};
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::DecisionId;
use sentinel_core::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use sentinel_ingress::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;
use sentinel_ingress::ask::{Asked, Asker, ask};

mod data_get;
mod data_post;
mod health;
mod policies;

/// The endpoints of OPA.
pub(super) fn table() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(data_post::opa_data_post, data_get::opa_data_get))
        .routes(routes!(policies::opa_policies))
        .routes(routes!(policies::opa_policies_slash))
        .routes(routes!(health::opa_health))
}

/// The rules that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Decision,
    Allow,
}

impl Rule {
    /// OPA takes a slash at the end for nothing.
    fn of(path: &str) -> Option<Self> {
        match path.trim_matches('/') {
            "sentinel/policy/decision" => Some(Self::Decision),
            "sentinel/policy/allow" => Some(Self::Allow),
            _ => None,
        }
    }
}

/// The call that is to be decided: the part of the policy's `input` that callers state. What the
/// server knows itself (`principal`, `tool_record`, `time`) is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OpaInput)]
pub(crate) struct Input {
    #[schema(value_type = String, example = "platform-eng")]
    tenant: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    tool: ToolName,
    #[schema(value_type = String, example = "invoke")]
    action: Action,
    #[schema(value_type = Option<String>, example = "documentation_lookup")]
    purpose: Option<Purpose>,
    usage: Option<u64>,
    #[schema(value_type = Option<Object>)]
    context: Option<Map<String, Value>>,
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
    /// Makes the question idempotent for 24 hours, as that of `POST /policy/check`; no part of
    /// OPA's input.
    #[schema(value_type = Option<String>)]
    call_id: Option<CallId>,
}

/// The parameters of OPA's data API. But for `input` they ask for what is not given here, and
/// have no effect.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataQuery {
    input: Option<String>,
    #[serde(rename = "pretty")]
    _pretty: Option<String>,
    #[serde(rename = "provenance")]
    _provenance: Option<String>,
    #[serde(rename = "explain")]
    _explain: Option<String>,
    #[serde(rename = "metrics")]
    _metrics: Option<String>,
    #[serde(rename = "instrument")]
    _instrument: Option<String>,
    #[serde(rename = "strict-builtin-errors")]
    _strict_builtin_errors: Option<String>,
}

/// What a rule comes to; without `result` when there is no such rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpaAnswer)]
pub(crate) struct DataAnswer<'a> {
    result: RuleResult<'a>,
    #[schema(value_type = uuid::Uuid)]
    decision_id: DecisionId,
}

/// The value of the rule.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OpaResult)]
pub(crate) enum RuleResult<'a> {
    /// Of `sentinel/policy/decision`.
    Decision(Box<Decision<'a>>),
    /// Of `sentinel/policy/allow`.
    Allow(bool),
}

/// The decision document, as it was enforced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpaDecision)]
pub(crate) struct Decision<'a> {
    allow: bool,
    #[schema(schema_with = reason_code)]
    code: ReasonCode,
    reason: &'a str,
    reasons: Vec<Reason<'a>>,
    #[schema(value_type = Vec<Object>)]
    obligations: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    quota: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_revision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permit: Option<&'a str>,
}

/// Has the call decided, and returns the value of `rule`.
async fn decide(app: &Shared, rule: Rule, input: Input, asker: Asker) -> Result<Response, Problem> {
    let request = CheckRequest {
        principal: asker.principal,
        tenant: input.tenant,
        tool: input.tool,
        action: input.action,
        purpose: input.purpose,
        usage: input.usage.unwrap_or(0),
        context: input.context.unwrap_or_default(),
        agent: input.agent,
        arguments: Arguments::new(input.arguments.unwrap_or_default()),
        call_id: input.call_id,
        request_id: asker.request_id,
        arrived: asker.arrived,
        deadline: asker.deadline,
    };
    let asked = ask(&app.door, request).await?;
    let result = match rule {
        Rule::Allow => RuleResult::Allow(asked.allows()),
        Rule::Decision => RuleResult::Decision(Box::new(decision(&asked))),
    };
    Ok(Json(DataAnswer { result, decision_id: asked.decision.id }).into_response())
}

fn decision(asked: &Asked) -> Decision<'_> {
    let record = &asked.decision;
    Decision {
        allow: asked.allows(),
        code: record.code,
        reason: &record.reason,
        reasons: record.reasons.iter().map(Reason::from).collect(),
        obligations: record.obligations(),
        quota: record.quota.map(|quota| {
            json!({
                "limit": quota.limit,
                "window": quota.window.to_string(),
                "remaining": record.quota_remaining,
            })
        }),
        policy_revision: record.policy_revision.as_deref(),
        permit: asked.permit.as_deref(),
    }
}

/// A request that cannot be understood, as OPA reports it.
fn not_understood(problem: &Problem) -> Response {
    let status = match problem.status() {
        // OPA has no other status for what it cannot read.
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let (_, _, detail) = problem.parts();
    (status, Json(json!({"code": "invalid_parameter", "message": detail}))).into_response()
}

/// The response about a rule that does not exist, as OPA gives it.
fn undefined() -> Response {
    Json(json!({})).into_response()
}
