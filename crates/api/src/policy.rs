use std::borrow::Cow;

use jiff::Timestamp;
use sentinel_core::id::{PolicyChangeId, RolloutId};
use sentinel_core::policy_change;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyStatus {
    /// What decides, as decisions name it; `null` while nothing does: everything is denied.
    pub revision: Option<String>,
    #[schema(value_type = String)]
    pub engine: Cow<'static, str>,
    /// What the source brought: another revision than the one that decides when data was put beside
    /// it (`1.0+data.17`) or a candidate was promoted.
    pub source_revision: Option<String>,
    /// When the source's revision was loaded.
    pub loaded_at: Option<Timestamp>,
    /// Why the last attempt to load was refused, when it was.
    pub error: Option<String>,
    /// Since when every attempt was refused with that error.
    pub refused_at: Option<Timestamp>,
    /// Who wrote the source's revision, where its manifest says so.
    pub author: Option<String>,
    /// Of the data that was put beside it, 0 when none ever was.
    pub data_version: u64,
}

/// One change of what policy is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyChange {
    #[schema(value_type = uuid::Uuid)]
    pub id: PolicyChangeId,
    /// `activated` or `refused`: a revision that a server loaded; `data_put`, `data_removed`;
    /// `rollout_started`, `rollout_promoted`, `rollout_dropped`.
    #[schema(value_type = String, example = "data_put")]
    pub kind: Cow<'static, str>,
    /// The principal, `key:…`; or `source:` and the directory or bundle that was loaded.
    pub actor: String,
    /// By name: of the key, or the author that a bundle's manifest states.
    pub author: Option<String>,
    /// The revision that came into force, or is monitored.
    pub revision: Option<String>,
    /// Where data changed, a JSON pointer.
    pub path: Option<String>,
    /// The version of the data afterwards; decisions from there on name it after their revision.
    pub data_version: Option<u64>,
    #[schema(value_type = Option<uuid::Uuid>)]
    pub rollout_id: Option<RolloutId>,
    pub reason: Option<String>,
    /// Why a revision was refused; whom a rollout is for.
    pub detail: Option<String>,
    /// The epoch that the change began; none of what a source brought.
    pub epoch: Option<u64>,
    pub at: Timestamp,
}

impl From<policy_change::PolicyChange> for PolicyChange {
    fn from(change: policy_change::PolicyChange) -> Self {
        Self {
            id: change.id,
            kind: change.kind.as_str().into(),
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

/// A change of policy data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDataChange {
    #[serde(flatten)]
    pub change: PolicyChange,
    /// What was put at the path; absent when it was removed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub value: Option<Value>,
}

/// Tells `null`, which was put, from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What was put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyData {
    /// A JSON pointer; empty for everything.
    pub path: String,
    #[schema(value_type = Object)]
    pub value: Value,
    /// What the header `ETag` says: of this value alone.
    pub etag: String,
    /// Of all data; decisions name it after their revision: `1.0+data.17`.
    pub version: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_that_was_put_is_not_a_removal() {
        let mut change = json!({
            "id": "00000000-0000-0000-0000-000000000001", "kind": "data_put", "actor": "key:1",
            "author": null, "revision": null, "path": "/a", "data_version": 3, "rollout_id": null,
            "reason": null, "detail": null, "epoch": 4, "at": "1970-01-01T00:00:00Z",
        });
        let read = |change: &Value| PolicyDataChange::deserialize(change).unwrap();
        assert_eq!(read(&change).value, None);
        change["value"] = Value::Null;
        assert_eq!(read(&change).value, Some(Value::Null));
        assert_eq!(serde_json::to_value(read(&change)).unwrap(), change);
    }
}
