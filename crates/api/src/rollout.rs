use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sentinel_core::id::{DecisionId, RolloutId};
use sentinel_core::name::{Reason, TenantSlug};
use sentinel_core::rollout::{self, Percent};
use sentinel_core::shadow::ShadowAnswer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A candidate policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRollout {
    #[schema(value_type = uuid::Uuid)]
    pub id: RolloutId,
    pub revision: String,
    /// SHA-256 of its files.
    pub digest: String,
    /// `monitored` or `promoted`.
    #[schema(value_type = String)]
    pub state: Cow<'static, str>,
    /// The tenants whose calls are compared; all when empty.
    #[schema(value_type = Vec<String>)]
    pub tenants: BTreeSet<TenantSlug>,
    /// The share of their calls that is compared.
    pub percent: u8,
    /// Whether this server holds it ready.
    pub loaded: bool,
    pub actor: String,
    pub started_at: Timestamp,
    /// How it compares; of this server, since it loaded the candidate.
    pub comparison: Option<RolloutComparison>,
}

/// How a candidate's decisions compare with those that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutComparison {
    pub agreed: u64,
    /// Denied, where the candidate would have allowed.
    pub newly_allowed: u64,
    /// Allowed, where the candidate would have denied.
    pub newly_denied: u64,
    /// Both allow, or both deny, with another quota, obligation or reason.
    pub otherwise: u64,
    /// The candidate failed, among the others: it would deny.
    pub errors: u64,
    /// Not compared, so that decisions are not slowed down.
    pub dropped: u64,
    /// The latest disagreements, newest first; never more than 200.
    pub examples: Vec<RolloutExample>,
}

/// One call on which they disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutExample {
    #[schema(value_type = uuid::Uuid)]
    pub decision_id: DecisionId,
    pub at: Timestamp,
    pub tenant: String,
    pub tool: String,
    pub decided: RolloutSide,
    pub candidate: RolloutSide,
}

/// What one policy answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutSide {
    pub allow: bool,
    /// Codes of the reasons.
    pub reasons: Vec<String>,
    /// Why there is no decision.
    pub error: Option<String>,
    pub revision: Option<String>,
}

impl From<rollout::RolloutExample> for RolloutExample {
    fn from(example: rollout::RolloutExample) -> Self {
        Self {
            decision_id: example.decision_id,
            at: example.at,
            tenant: example.tenant.to_string(),
            tool: example.tool.to_string(),
            decided: example.decided.into(),
            candidate: example.candidate.into(),
        }
    }
}

impl From<ShadowAnswer> for RolloutSide {
    fn from(answer: ShadowAnswer) -> Self {
        Self {
            allow: answer.allow,
            reasons: answer.reasons.into_iter().map(|reason| reason.code).collect(),
            error: answer.error,
            revision: answer.revision.map(|revision| revision.to_string()),
        }
    }
}

/// The state of the rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRollouts {
    /// The candidate that is compared.
    pub monitored: Option<PolicyRollout>,
    /// The one that decides in place of what the source brought.
    pub promoted: Option<PolicyRollout>,
}

/// A candidate, and whose calls it is compared on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutRequest {
    /// The files of the policy by path: `*.rego`, `data.json`, `.manifest`.
    pub files: BTreeMap<String, String>,
    /// Slugs of the tenants whose calls are compared; all when left out.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub tenants: BTreeSet<TenantSlug>,
    /// The share of their calls that is compared, 1 to 100; 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u8>)]
    pub percent: Option<Percent>,
    /// Kept in the record of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
}

/// A candidate that is monitored from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartedRollout {
    #[serde(flatten)]
    pub rollout: PolicyRollout,
    /// What vetting found that does not speak against it.
    pub warnings: Vec<String>,
}

/// Which one, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutStep {
    /// The candidate that is meant: when it is another one by now, nothing happens. Whichever there
    /// is when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub rollout_id: Option<RolloutId>,
    /// Kept in the record of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
}
