//! The OpenID AuthZEN Authorization API 1.0, so that gateways that speak it can ask this server.
//! Each evaluation is decided as every other call is: with quota and kill switch, and recorded.

use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::DecisionId;
use sentinel_core::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use sentinel_ingress::problem::Problem;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;
use sentinel_ingress::ask::{Asked, Asker, ask};

mod configuration;
mod evaluation;
mod evaluations;

/// The endpoints of AuthZEN.
pub(super) fn table() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(evaluation::authzen_evaluation))
        .routes(routes!(evaluations::authzen_evaluations))
        .routes(routes!(configuration::authzen_configuration))
}

/// Who, or what.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuthzenEntity)]
pub(crate) struct Entity {
    /// `agent` for the subject, `tool` for the resource.
    #[serde(rename = "type")]
    kind: String,
    /// The agent's name; of a tool `tenant/tool`, or its name when `properties.tenant` is given.
    id: String,
    #[schema(value_type = Option<Object>)]
    properties: Option<Map<String, Value>>,
}

/// What is to be done.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuthzenAction)]
pub(crate) struct ActionBody {
    name: String,
    #[schema(value_type = Option<Object>)]
    properties: Option<Map<String, Value>>,
}

/// One evaluation.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuthzenEvaluation)]
pub(crate) struct EvaluationBody {
    subject: Option<Entity>,
    action: Option<ActionBody>,
    resource: Option<Entity>,
    /// `purpose`, `usage`, `arguments` and `call_id` are those of a check; the rest is its
    /// `context`.
    #[schema(value_type = Option<Object>)]
    context: Option<Map<String, Value>>,
}

/// The decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthzenDecision)]
pub(crate) struct Evaluated {
    decision: bool,
    context: Told,
}

/// Why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AuthzenContext)]
pub(crate) enum Told {
    Decided(Box<Decided>),
    /// Of several evaluations, one that could not be decided.
    Error {
        error: Failed,
    },
}

/// What was decided and recorded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthzenDecided)]
pub(crate) struct Decided {
    /// The recorded decision.
    #[schema(value_type = uuid::Uuid)]
    id: DecisionId,
    #[schema(schema_with = sentinel_api::reason_code)]
    code: ReasonCode,
    reason: String,
    #[schema(value_type = Vec<Object>)]
    reasons: Value,
    /// What policy attached to the decision; objects with a `type`.
    #[schema(value_type = Vec<Object>)]
    obligations: Vec<Value>,
    quota_remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permit: Option<String>,
}

/// Why there is no decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthzenError)]
pub(crate) struct Failed {
    status: u16,
    code: &'static str,
    message: String,
}

impl Evaluated {
    fn failed(problem: &Problem) -> Self {
        let (status, code, message) = problem.parts();
        let error = Failed { status, code, message: message.to_owned() };
        Self { decision: false, context: Told::Error { error } }
    }
}

impl From<Asked> for Evaluated {
    fn from(asked: Asked) -> Self {
        let decision = asked.allows();
        let record = &asked.decision;
        let decided = Decided {
            id: record.id,
            code: record.code,
            reason: record.reason.clone(),
            reasons: json!(record.reasons),
            obligations: record.obligations().to_vec(),
            quota_remaining: record.quota_remaining,
            policy_revision: record.policy_revision.as_deref().map(str::to_owned),
            permit: asked.permit,
        };
        Self { decision, context: Told::Decided(Box::new(decided)) }
    }
}

/// Has one evaluation decided.
async fn evaluate(app: &Shared, body: EvaluationBody, asker: Asker) -> Result<Evaluated, Problem> {
    let request = request(body, asker)?;
    Ok(ask(&app.door, request).await?.into())
}

/// The check that an evaluation describes. Nothing of it is left out: what a check has no field for
/// becomes its context, where policy sees it.
fn request(body: EvaluationBody, asker: Asker) -> Result<CheckRequest, Problem> {
    let subject = body.subject.ok_or_else(|| missing("subject"))?;
    let action = body.action.ok_or_else(|| missing("action"))?;
    let resource = body.resource.ok_or_else(|| missing("resource"))?;
    of_type(&subject, "subject", "agent")?;
    of_type(&resource, "resource", "tool")?;
    let mut context = body.context.unwrap_or_default();
    let mut properties = resource.properties.unwrap_or_default();
    let (tenant, tool): (TenantSlug, ToolName) = match properties.remove("tenant") {
        Some(tenant) => {
            (read("resource.properties.tenant", tenant)?, of("resource.id", resource.id)?)
        }
        None => {
            let (tenant, tool) = resource.id.split_once('/').ok_or_else(|| {
                invalid("resource.id", "must be `tenant/tool`, or `properties.tenant` be given")
            })?;
            (of("resource.id", tenant.to_owned())?, of("resource.id", tool.to_owned())?)
        }
    };
    let purpose: Option<Purpose> = take(&mut context, "purpose")?;
    let usage: Option<u64> = take(&mut context, "usage")?;
    let arguments: Option<Map<String, Value>> = take(&mut context, "arguments")?;
    let call_id: Option<CallId> = take(&mut context, "call_id")?;
    let of_entities = [
        ("subject", subject.properties.unwrap_or_default()),
        ("action", action.properties.unwrap_or_default()),
        ("resource", properties),
    ];
    for (name, properties) in of_entities.into_iter().filter(|(_, all)| !all.is_empty()) {
        let key = format!("{name}_properties");
        if context.contains_key(&key) {
            return Err(invalid(
                &format!("context.{key}"),
                "is reserved for the entity's properties",
            ));
        }
        context.insert(key, Value::Object(properties));
    }
    let agent: AgentName = of("subject.id", subject.id)?;
    let action: Action = of("action.name", action.name)?;
    Ok(CheckRequest {
        principal: asker.principal,
        tenant,
        tool,
        action,
        purpose,
        usage: usage.unwrap_or(0),
        context,
        agent: Some(agent),
        arguments: Arguments::new(arguments.unwrap_or_default()),
        call_id,
        request_id: asker.request_id,
        arrived: asker.arrived,
        deadline: asker.deadline,
    })
}

fn of_type(entity: &Entity, name: &str, kind: &str) -> Result<(), Problem> {
    if entity.kind == kind {
        return Ok(());
    }
    Err(invalid(&format!("{name}.type"), &format!("must be `{kind}`")))
}

fn missing(name: &str) -> Problem {
    invalid(name, "is missing")
}

fn invalid(name: &str, why: &str) -> Problem {
    Problem::bad_request("invalid_evaluation", format!("`{name}`: {why}"))
}

fn of<T: DeserializeOwned>(name: &str, text: String) -> Result<T, Problem> {
    read(name, Value::String(text))
}

fn read<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| invalid(name, &error.to_string()))
}

fn take<T: DeserializeOwned>(
    context: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, Problem> {
    let value = context.remove(name);
    value.map(|value| read(&format!("context.{name}"), value)).transpose()
}
