use std::borrow::Cow;

use sentinel_core::id::{DecisionId, ManifestId, ToolId};
use sentinel_core::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::PolicyReason;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Code, Secret, reason_code};

/// The call that is to be decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    pub tool_name: ToolName,
    #[schema(value_type = String, example = "invoke")]
    pub action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "documentation_lookup")]
    pub purpose: Option<Purpose>,
    /// Uses that the caller reports; can only make the decision stricter than the server's count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<u64>,
    /// Whatever else policy may want to know; recorded with the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub context: Option<Map<String, Value>>,
    /// The agent that calls; a key bound to an agent may leave it out, and may name no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// The arguments of the call. Policy sees them; only their hash is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<Map<String, Value>>,
    /// Makes the check idempotent for 24 hours: the same call of the same key and agent gets the
    /// same decision, and is counted once. An allow is repeated only while the call would still be
    /// allowed and its permit is neither redeemed nor expired; else the answer is a new deny
    /// (`call_id_spent`, or why the call would be denied now). With other arguments, action,
    /// purpose, context or usage it is 409 `call_id_conflict`. It should come from what makes the
    /// call, and not from a header that an agent sets as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub call_id: Option<CallId>,
}

impl CheckRequest {
    /// A check of nothing but what must be named; the other fields are `None`.
    #[must_use]
    pub const fn new(tenant_slug: TenantSlug, tool_name: ToolName, action: Action) -> Self {
        Self {
            tenant_slug,
            tool_name,
            action,
            purpose: None,
            usage: None,
            context: None,
            agent: None,
            arguments: None,
            call_id: None,
        }
    }
}

/// The decision. It was recorded before it was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckAnswer<'a> {
    pub allow: bool,
    #[schema(schema_with = reason_code)]
    pub code: Code,
    /// Why, for people.
    #[schema(value_type = String)]
    pub reason: Cow<'a, str>,
    /// What of the quota is left in this window; `null` when there is no quota.
    pub quota_remaining: Option<u64>,
    #[schema(value_type = uuid::Uuid)]
    pub decision_id: DecisionId,
    /// The reasons as policy words them.
    pub reasons: Vec<Reason<'a>>,
    /// What policy attached to the decision: objects with a `type`. An `alert` asks for nothing
    /// more; Sentinel itself enforces a `rate_limit`.
    #[schema(value_type = Vec<Object>)]
    pub obligations: Cow<'a, [Value]>,
    /// Revision of the policy that was asked; `null` when none was.
    #[schema(value_type = Option<String>)]
    pub policy_revision: Option<Cow<'a, str>>,
    /// With an allow: the token that proves it, to be redeemed once, within 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub permit: Option<Secret<'a>>,
    /// With a permit: the tool that it is for, as `POST /v1/permits/redeem` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tool_id: Option<ToolId>,
    /// The signed statement of this decision, where the server signs decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub manifest_id: Option<ManifestId>,
}

/// One reason, as policy words it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason<'a> {
    #[schema(value_type = String)]
    pub code: Cow<'a, str>,
    #[schema(value_type = String)]
    pub msg: Cow<'a, str>,
}

impl<'a> From<&'a PolicyReason> for Reason<'a> {
    fn from(reason: &'a PolicyReason) -> Self {
        Self { code: Cow::Borrowed(&reason.code), msg: Cow::Borrowed(&reason.msg) }
    }
}
