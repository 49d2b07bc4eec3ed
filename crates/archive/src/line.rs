//! One decision as one line of JSON, as `/v1/decisions/export` writes it.

use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::ArgumentHash;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::PolicyReason;
use sentinel_core::quota::Quota;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A longer line is neither written nor read. Bytes; a request has at most a tenth of that.
pub(crate) const MAX_LINE: usize = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: DecisionId,
    sequence: u64,
    epoch: Epoch,
    tenant: TenantSlug,
    tenant_id: Option<TenantId>,
    tool: ToolName,
    tool_id: Option<ToolId>,
    decision: Verdict,
    code: ReasonCode,
    reason: String,
    reasons: Vec<PolicyReason>,
    quota: Option<Quota>,
    quota_remaining: Option<u64>,
    policy_revision: Option<Arc<str>>,
    principal: String,
    agent: Option<AgentName>,
    action: Action,
    purpose: Option<Purpose>,
    argument_hash: ArgumentHash,
    call_id: Option<CallId>,
    event_metadata: Map<String, Value>,
    created_at: Timestamp,
    duration_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Allow,
    Deny,
}

/// Writes a decision, without the end of the line.
pub(crate) fn write(record: DecisionRecord) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Line {
        id: record.id,
        sequence: record.sequence,
        epoch: record.epoch,
        tenant: record.tenant,
        tenant_id: record.tenant_id,
        tool: record.tool,
        tool_id: record.tool_id,
        decision: if record.allow { Verdict::Allow } else { Verdict::Deny },
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
        argument_hash: record.argument_hash,
        call_id: record.call_id,
        event_metadata: record.event_metadata,
        created_at: record.created_at,
        duration_us: record.duration_us,
    })
}

/// Reads what [`write`] wrote.
pub(crate) fn read(line: &[u8]) -> serde_json::Result<DecisionRecord> {
    let line: Line = serde_json::from_slice(line)?;
    Ok(DecisionRecord {
        id: line.id,
        sequence: line.sequence,
        epoch: line.epoch,
        tenant: line.tenant,
        tenant_id: line.tenant_id,
        tool: line.tool,
        tool_id: line.tool_id,
        allow: line.decision == Verdict::Allow,
        code: line.code,
        reason: line.reason,
        reasons: line.reasons,
        quota: line.quota,
        quota_remaining: line.quota_remaining,
        policy_revision: line.policy_revision,
        principal: line.principal,
        agent: line.agent,
        action: line.action,
        purpose: line.purpose,
        argument_hash: line.argument_hash,
        call_id: line.call_id,
        event_metadata: line.event_metadata,
        created_at: line.created_at,
        duration_us: line.duration_us,
    })
}
