use jiff::Timestamp;
use sentinel_core::policy_change::PolicyChange;
use serde::Serialize;
use utoipa::ToSchema;

/// One change of what policy is in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyChange)]
pub(crate) struct PolicyChangeAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: sentinel_core::id::PolicyChangeId,
    /// `activated` or `refused`: a revision that a server loaded; `data_put`, `data_removed`;
    /// `rollout_started`, `rollout_promoted`, `rollout_dropped`.
    #[schema(example = "data_put")]
    kind: &'static str,
    /// The principal, `key:…`; or `source:` and the directory or bundle that was loaded.
    actor: String,
    /// By name: of the key, or the author that a bundle's manifest states.
    author: Option<String>,
    /// The revision that came into force, or is monitored.
    revision: Option<String>,
    /// Where data changed, a JSON pointer.
    path: Option<String>,
    /// The version of the data afterwards; decisions from there on name it after their revision.
    data_version: Option<u64>,
    #[schema(value_type = Option<uuid::Uuid>)]
    rollout_id: Option<sentinel_core::id::RolloutId>,
    reason: Option<String>,
    /// Why a revision was refused; whom a rollout is for.
    detail: Option<String>,
    /// The epoch that the change began; none of what a source brought.
    epoch: Option<u64>,
    at: Timestamp,
}

impl From<PolicyChange> for PolicyChangeAnswer {
    fn from(change: PolicyChange) -> Self {
        Self {
            id: change.id,
            kind: change.kind.as_str(),
            actor: change.actor,
            author: change.author,
            revision: change.revision,
            path: change.path.map(|path| path.to_string()),
            data_version: change.data_version,
            rollout_id: change.rollout_id,
            reason: change.reason.map(|reason| reason.to_string()),
            detail: change.detail,
            epoch: change.epoch.map(|epoch| epoch.0),
            at: change.at,
        }
    }
}
