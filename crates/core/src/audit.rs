//! The record of a decision, and how the records are asked for.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::check::ArgumentHash;
use crate::decision::ReasonCode;
use crate::epoch::Epoch;
use crate::id::{DecisionId, TenantId, ToolId};
use crate::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use crate::policy::PolicyReason;
use crate::quota::Quota;
use crate::self_test;

/// One decision, as recorded. The names are those of the request, even when no such tenant or tool
/// exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    pub id: DecisionId,
    /// Position in the order of commits, assigned by the store; 0 until then.
    pub sequence: u64,
    /// The epoch it was committed under, set by [`crate::commit::Batch::number`] and stored: shows
    /// afterwards which kills were in force.
    pub epoch: Epoch,
    pub tenant: TenantSlug,
    pub tenant_id: Option<TenantId>,
    pub tool: ToolName,
    pub tool_id: Option<ToolId>,
    pub allow: bool,
    pub code: ReasonCode,
    pub reason: String,
    pub reasons: Vec<PolicyReason>,
    pub quota: Option<Quota>,
    pub quota_remaining: Option<u64>,
    pub policy_revision: Option<Arc<str>>,
    /// Identifier of the principal.
    pub principal: String,
    pub agent: Option<AgentName>,
    pub action: Action,
    pub purpose: Option<Purpose>,
    pub argument_hash: ArgumentHash,
    pub call_id: Option<CallId>,
    /// `{request_id, key, context, usage, obligations}`; never the arguments.
    pub event_metadata: Map<String, Value>,
    pub created_at: Timestamp,
    /// Microseconds from the request's arrival to its entry into the commit.
    pub duration_us: u64,
}

impl DecisionRecord {
    /// The obligations that policy attached: objects with a `type`, as policy stated them; empty
    /// when there are none.
    #[must_use]
    pub fn obligations(&self) -> &[Value] {
        let recorded = self.event_metadata.get("obligations").and_then(Value::as_array);
        recorded.map_or(&[], Vec::as_slice)
    }
}

/// Which decisions are wanted; every field narrows.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    pub tenant_id: Option<TenantId>,
    pub tool: Option<ToolName>,
    pub agent: Option<AgentName>,
    pub allow: Option<bool>,
    pub code: Option<ReasonCode>,
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
    /// Those of self-tests as well, which are left out otherwise.
    pub self_tests: bool,
}

impl DecisionRecord {
    /// Whether a replica made it to prove to itself that kills work.
    #[must_use]
    pub fn is_self_test(&self) -> bool {
        self.tenant_id == Some(self_test::TENANT)
    }
}
