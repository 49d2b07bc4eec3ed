use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::ArgumentHash;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::PolicyReason;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Code, Quota, reason_code};

/// One recorded decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    #[schema(value_type = uuid::Uuid)]
    pub id: DecisionId,
    /// Position in the order of commits.
    pub sequence: u64,
    /// The epoch it was committed under: a kill covers it from the kill's epoch to the restore's.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// As it was asked for, even when there is no such tenant.
    #[schema(value_type = String)]
    pub tenant: TenantSlug,
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tenant_id: Option<TenantId>,
    /// As it was asked for, even when there is no such tool.
    #[schema(value_type = String)]
    pub tool: ToolName,
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tool_id: Option<ToolId>,
    /// `allow` or `deny`.
    #[schema(value_type = String)]
    pub decision: Verdict,
    #[schema(schema_with = reason_code)]
    pub code: Code,
    pub reason: String,
    #[schema(value_type = Vec<crate::Reason>)]
    pub reasons: Vec<PolicyReason>,
    /// What policy attached to the decision; objects with a `type`.
    // A server always sends them. `None` is for lines that have them in `event_metadata` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Object>, required = true)]
    pub obligations: Option<Vec<Value>>,
    pub quota: Option<Quota>,
    pub quota_remaining: Option<u64>,
    #[schema(value_type = Option<String>)]
    pub policy_revision: Option<Arc<str>>,
    /// Identifier of the principal that asked.
    pub principal: String,
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    #[schema(value_type = String)]
    pub action: Action,
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
    /// SHA-256 of the canonical form of the arguments, which are not kept.
    #[schema(value_type = String)]
    pub argument_hash: ArgumentHash,
    #[schema(value_type = Option<String>)]
    pub call_id: Option<CallId>,
    /// `request_id`, `key` (where the principal is its owner), `context`, `usage`, `obligations`.
    #[schema(value_type = Object)]
    pub event_metadata: Map<String, Value>,
    pub created_at: Timestamp,
    /// Microseconds from the request's arrival to its entry into the commit.
    pub duration_us: u64,
}

/// Whether a call was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Allow,
    Deny,
}

impl Verdict {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Decision {
    /// The decision as an archive stores it: without `obligations`, which are in `event_metadata`.
    #[must_use]
    pub fn archived(record: DecisionRecord) -> Self {
        let DecisionRecord {
            id,
            sequence,
            epoch,
            tenant,
            tenant_id,
            tool,
            tool_id,
            allow,
            code,
            reason,
            reasons,
            quota,
            quota_remaining,
            policy_revision,
            principal,
            agent,
            action,
            purpose,
            argument_hash,
            call_id,
            event_metadata,
            created_at,
            duration_us,
        } = record;
        Self {
            id,
            sequence,
            epoch,
            tenant,
            tenant_id,
            tool,
            tool_id,
            decision: if allow { Verdict::Allow } else { Verdict::Deny },
            code: Code::Known(code),
            reason,
            reasons,
            obligations: None,
            quota: quota.map(Quota::from),
            quota_remaining,
            policy_revision,
            principal,
            agent,
            action,
            purpose,
            argument_hash,
            call_id,
            event_metadata,
            created_at,
            duration_us,
        }
    }

    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.decision == Verdict::Allow
    }
}

impl From<DecisionRecord> for Decision {
    fn from(record: DecisionRecord) -> Self {
        let obligations = record.obligations().to_vec();
        Self { obligations: Some(obligations), ..Self::archived(record) }
    }
}

/// A decision has a reason code that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason code `{0}`")]
pub struct UnknownCode(Box<str>);

impl TryFrom<Decision> for DecisionRecord {
    type Error = UnknownCode;

    fn try_from(decision: Decision) -> Result<Self, UnknownCode> {
        let code = match decision.code {
            Code::Known(code) => code,
            Code::Unknown(text) => return Err(UnknownCode(text)),
        };
        Ok(Self {
            id: decision.id,
            sequence: decision.sequence,
            epoch: decision.epoch,
            tenant: decision.tenant,
            tenant_id: decision.tenant_id,
            tool: decision.tool,
            tool_id: decision.tool_id,
            allow: decision.decision == Verdict::Allow,
            code,
            reason: decision.reason,
            reasons: decision.reasons,
            quota: decision.quota.map(Into::into),
            quota_remaining: decision.quota_remaining,
            policy_revision: decision.policy_revision,
            principal: decision.principal,
            agent: decision.agent,
            action: decision.action,
            purpose: decision.purpose,
            argument_hash: decision.argument_hash,
            call_id: decision.call_id,
            event_metadata: decision.event_metadata,
            created_at: decision.created_at,
            duration_us: decision.duration_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::decision::ReasonCode;
    use sentinel_core::quota::Window;
    use serde_json::json;

    use super::*;

    fn record() -> DecisionRecord {
        let metadata = json!({"request_id": "r", "obligations": [{"type": "alert"}]});
        DecisionRecord {
            id: DecisionId(uuid::Uuid::from_u128(1)),
            sequence: 7,
            epoch: Epoch(3),
            tenant: "platform-eng".parse().unwrap(),
            tenant_id: Some(TenantId(uuid::Uuid::from_u128(2))),
            tool: "search".parse().unwrap(),
            tool_id: None,
            allow: false,
            code: ReasonCode::QuotaExceeded,
            reason: "used up".to_owned(),
            reasons: vec![PolicyReason { code: "a".to_owned(), msg: "b".to_owned() }],
            quota: Some(sentinel_core::quota::Quota { limit: 5, window: Window::DAY }),
            quota_remaining: Some(0),
            policy_revision: Some("1.0".into()),
            principal: "key:1".to_owned(),
            agent: Some("Bot".parse().unwrap()),
            action: "invoke".parse().unwrap(),
            purpose: None,
            argument_hash: ArgumentHash([9; 32]),
            call_id: Some("c".parse().unwrap()),
            event_metadata: metadata.as_object().unwrap().clone(),
            created_at: Timestamp::UNIX_EPOCH,
            duration_us: 250,
        }
    }

    #[test]
    fn a_record_survives_the_wire() {
        let record = record();
        let mut json = serde_json::to_value(Decision::from(record.clone())).unwrap();
        assert_eq!((&json["decision"], &json["quota"]["window"]), (&json!("deny"), &json!("1d")));
        assert_eq!(json["obligations"], json!([{"type": "alert"}]));
        json["of_a_newer_version"] = json!(1);
        let decision: Decision = serde_json::from_value(json).unwrap();
        assert_eq!(DecisionRecord::try_from(decision), Ok(record));
    }

    #[test]
    fn a_verdict_is_one_of_two_words() {
        for other in ["\"ALLOW\"", "\"\"", "true", "null", "\"allowed\""] {
            assert!(serde_json::from_str::<Verdict>(other).is_err(), "{other}");
        }
    }
}
