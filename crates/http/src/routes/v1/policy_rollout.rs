//! Staged rollout of a policy: what its endpoints have in common.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sentinel_core::id::{DecisionId, RolloutId};
use sentinel_core::name::{Reason, TenantSlug};
use sentinel_core::rollout::RolloutExample;
use sentinel_core::shadow::ShadowAnswer;
use sentinel_service::rollouts::RolloutView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod drop;
mod get;
mod promote;
mod start;

pub(super) use drop::*;
pub(super) use get::*;
pub(super) use promote::*;
pub(super) use start::*;

/// A candidate policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyRollout)]
pub(crate) struct RolloutAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: RolloutId,
    revision: String,
    /// SHA-256 of its files.
    digest: String,
    /// `monitored` or `promoted`.
    state: &'static str,
    /// The tenants whose calls are compared; all when empty.
    #[schema(value_type = Vec<String>)]
    tenants: BTreeSet<TenantSlug>,
    /// The share of their calls that is compared.
    percent: u8,
    /// Whether this server holds it ready.
    loaded: bool,
    actor: String,
    started_at: Timestamp,
    /// How it compares; of this server, since it loaded the candidate.
    comparison: Option<Comparison>,
}

/// How a candidate's answers compare with those that counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RolloutComparison)]
pub(crate) struct Comparison {
    agreed: u64,
    /// Denied, where the candidate would have allowed.
    newly_allowed: u64,
    /// Allowed, where the candidate would have denied.
    newly_denied: u64,
    /// Both allow, or both deny, with another quota, obligation or reason.
    otherwise: u64,
    /// The candidate failed, among the others: it would deny.
    errors: u64,
    /// Not compared, so that decisions are not slowed down.
    dropped: u64,
    /// The latest disagreements, newest first; never more than 200.
    examples: Vec<Example>,
}

/// One call on which they disagree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RolloutExample)]
pub(crate) struct Example {
    #[schema(value_type = uuid::Uuid)]
    decision_id: DecisionId,
    at: Timestamp,
    tenant: String,
    tool: String,
    decided: Answer,
    candidate: Answer,
}

/// What one policy answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RolloutSide)]
pub(crate) struct Answer {
    allow: bool,
    /// Codes of the reasons.
    reasons: Vec<String>,
    /// Why there is no decision.
    error: Option<String>,
    revision: Option<String>,
}

impl From<RolloutView> for RolloutAnswer {
    fn from(RolloutView { rollout, loaded, report }: RolloutView) -> Self {
        Self {
            id: rollout.id,
            revision: rollout.revision.clone(),
            digest: rollout.digest.clone(),
            state: rollout.state.as_str(),
            tenants: rollout.tenants.clone(),
            percent: rollout.percent.get(),
            loaded,
            actor: rollout.actor.clone(),
            started_at: rollout.started_at,
            comparison: report.map(|report| Comparison {
                agreed: report.agreed,
                newly_allowed: report.newly_allowed,
                newly_denied: report.newly_denied,
                otherwise: report.otherwise,
                errors: report.errors,
                dropped: report.dropped,
                examples: report.examples.into_iter().map(Example::from).collect(),
            }),
        }
    }
}

impl From<RolloutExample> for Example {
    fn from(example: RolloutExample) -> Self {
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

impl From<ShadowAnswer> for Answer {
    fn from(answer: ShadowAnswer) -> Self {
        Self {
            allow: answer.allow,
            reasons: answer.reasons.into_iter().map(|reason| reason.code).collect(),
            error: answer.error,
            revision: answer.revision.map(|revision| revision.to_string()),
        }
    }
}

/// Which one, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RolloutStep)]
pub(crate) struct StepBody {
    /// The candidate that is meant: when it is another one by now, nothing happens. Whichever there is
    /// when left out.
    #[schema(value_type = Option<uuid::Uuid>)]
    rollout_id: Option<RolloutId>,
    /// Kept in the record of changes.
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
}
