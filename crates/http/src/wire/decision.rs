use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::PolicyReason;
use sentinel_core::quota::Quota;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::reason_code;

/// One recorded decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: DecisionId,
    /// Position in the order of commits.
    sequence: u64,
    /// The epoch it was committed under: a kill covers it from the kill's epoch to the restore's.
    #[schema(value_type = u64)]
    epoch: Epoch,
    /// As it was asked for, even when there is no such tenant.
    #[schema(value_type = String)]
    tenant: TenantSlug,
    #[schema(value_type = Option<uuid::Uuid>)]
    tenant_id: Option<TenantId>,
    /// As it was asked for, even when there is no such tool.
    #[schema(value_type = String)]
    tool: ToolName,
    #[schema(value_type = Option<uuid::Uuid>)]
    tool_id: Option<ToolId>,
    /// `allow` or `deny`.
    decision: &'static str,
    #[schema(schema_with = reason_code)]
    code: ReasonCode,
    reason: String,
    #[schema(value_type = Vec<super::Reason>)]
    reasons: Vec<PolicyReason>,
    /// What policy attached to the decision; objects with a `type`.
    #[schema(value_type = Vec<Object>)]
    obligations: Vec<Value>,
    #[schema(value_type = Option<QuotaAnswer>)]
    quota: Option<Quota>,
    quota_remaining: Option<u64>,
    #[schema(value_type = Option<String>)]
    policy_revision: Option<Arc<str>>,
    /// Identifier of the principal that asked.
    principal: String,
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    #[schema(value_type = String)]
    action: Action,
    #[schema(value_type = Option<String>)]
    purpose: Option<Purpose>,
    /// SHA-256 of the canonical form of the arguments, which are not kept.
    argument_hash: String,
    #[schema(value_type = Option<String>)]
    call_id: Option<CallId>,
    /// `request_id`, `key` (where the principal is its owner), `context`, `usage`, `obligations`.
    #[schema(value_type = Object)]
    event_metadata: Map<String, Value>,
    created_at: Timestamp,
    /// Microseconds from the request's arrival to its entry into the commit.
    duration_us: u64,
}

/// The limit that policy stated.
#[derive(ToSchema)]
#[schema(as = Quota)]
#[expect(dead_code, reason = "the schema of `sentinel_core::quota::Quota`, which knows no OpenAPI")]
struct QuotaAnswer {
    limit: u64,
    /// `15m`, `1h`, `1d`, `30d` or `month`.
    window: String,
}

impl From<DecisionRecord> for DecisionAnswer {
    fn from(record: DecisionRecord) -> Self {
        Self {
            obligations: record.obligations().to_vec(),
            id: record.id,
            sequence: record.sequence,
            epoch: record.epoch,
            tenant: record.tenant,
            tenant_id: record.tenant_id,
            tool: record.tool,
            tool_id: record.tool_id,
            decision: if record.allow { "allow" } else { "deny" },
            code: record.code,
            reason: record.reason,
            reasons: record.reasons,
            quota: record.quota,
            quota_remaining: record.quota_remaining,
            policy_revision: record.policy_revision,
            principal: record.principal,
            agent: record.agent,
            action: record.action,
            purpose: record.purpose,
            argument_hash: record.argument_hash.to_string(),
            call_id: record.call_id,
            event_metadata: record.event_metadata,
            created_at: record.created_at,
            duration_us: record.duration_us,
        }
    }
}
