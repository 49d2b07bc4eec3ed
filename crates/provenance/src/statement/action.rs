//! What agents did.
//!
//! ```json
//! {
//!   "id": "<UUIDv7>", "phase": "outcome", "timestamp": "2026-11-22T20:13:00.000Z",
//!   "tenant": "…", "tool": "…", "action": "…", "purpose": "…", "agent": "…",
//!   "principal": "…",
//!   "decision": {"id": "<UUID>", "allow": true, "policyRevision": "…"},
//!   "checkpoint": {"origin": "log.example", "size": 400, "rootHash": "…"},
//!   "metadata": {}
//! }
//! ```
//!
//! `purpose`, `agent`, `decision` and `checkpoint` may be absent. The subject's digest is the salted
//! commitment of [`crate::commitment`]; the payload itself is never here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Predicate;
use crate::digest::Sha256Digest;

/// `predicateType` of [`AgentAction`].
pub const PREDICATE_TYPE: &str = "https://sentinel-mcp.dev/attestation/agent-action/v1";

/// What a statement says about an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Phase {
    /// The action was decided on, and not carried out yet; the subject commits to its arguments.
    Decision,
    /// The action was carried out; the subject commits to its outcome.
    Outcome,
}

impl Phase {
    /// The name as it is serialized.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Outcome => "outcome",
        }
    }
}

/// The decision under which an action was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRef {
    /// Id of the recorded decision.
    pub id: Uuid,
    /// What was decided.
    pub allow: bool,
    /// Digest or name of the policy revision that decided.
    pub policy_revision: String,
    /// Why, as a stable code: `allowed`, `policy_denied`, `quota_exceeded`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A state of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenCheckpoint {
    /// Name of the log.
    pub origin: String,
    /// How many leaves it had.
    pub size: u64,
    /// Its root.
    pub root_hash: Sha256Digest,
}

/// The predicate: one action of one agent on one tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentAction {
    /// The manifest's id, a UUIDv7.
    pub id: Uuid,
    /// What the statement says about the action.
    pub phase: Phase,
    /// When the statement was made, by the signer's clock; whole milliseconds.
    #[serde(with = "super::rfc3339_millis")]
    pub timestamp: Timestamp,
    /// Slug of the tenant.
    pub tenant: String,
    /// Name of the tool.
    pub tool: String,
    /// The action.
    pub action: String,
    /// The purpose that was stated for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The agent, as it called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The authenticated principal.
    pub principal: String,
    /// The decision that allowed or denied the action, when one is linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionRef>,
    /// The newest checkpoint that the signer knew: the statement is younger than that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<SeenCheckpoint>,
    /// Whatever else the caller wants signed. Public: no secrets, no payload.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

impl Predicate for AgentAction {
    const TYPE: &'static str = PREDICATE_TYPE;

    fn id(&self) -> Uuid {
        self.id
    }

    fn timestamp_mut(&mut self) -> &mut Timestamp {
        &mut self.timestamp
    }

    fn mandatory(&self) -> impl IntoIterator<Item = (&'static str, &str)> {
        [
            ("tenant", self.tenant.as_str()),
            ("tool", &self.tool),
            ("action", &self.action),
            ("principal", &self.principal),
        ]
    }
}
