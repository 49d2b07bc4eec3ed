//! The outcome of policy: its decision document, or the error in its place. The port of the
//! engine is [`PolicyEngine`].

mod engine;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::quota::Quota;

pub use engine::{
    Candidate, CandidateEngine, CandidateRefused, DataPlace, PolicyEngine, PolicyInput,
    PolicyModule, PolicyStatus,
};

/// What policy decides, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDecision {
    pub allow: bool,
    pub reasons: Vec<PolicyReason>,
    /// Conditions attached to an allow; every one is of a kind this version knows.
    pub obligations: Vec<Obligation>,
    pub quota: Option<Quota>,
    /// Revision of the policy that decided.
    pub revision: Arc<str>,
}

/// One reason, as policy words it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReason {
    pub code: String,
    pub msg: String,
}

/// A condition that policy attaches to an allow. Known types: `alert` (recorded and published with
/// the decision), `rate_limit` (see [`crate::rate`]) and `require_agent`, which denies a call that
/// does not name its agent. An unknown type is a deny, since ignoring a condition would allow more
/// than policy did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Obligation {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl Obligation {
    /// Kind of the obligation that the call names its agent.
    pub const REQUIRE_AGENT: &'static str = "require_agent";

    #[must_use]
    pub fn is_require_agent(&self) -> bool {
        self.kind == Self::REQUIRE_AGENT
    }
}

/// Why there is no decision. Every one of these is a deny.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("no policy is loaded")]
    NoPolicy,
    #[error("the policy's decision is undefined for this input")]
    Undefined,
    #[error("the policy failed: {0}")]
    Failed(String),
    #[error("the policy took longer than its limit")]
    TimedOut,
    #[error("the policy's answer is malformed: {0}")]
    Malformed(String),
    #[error("the policy demands an obligation of unknown type `{0}`")]
    UnknownObligation(String),
    #[error("the policy engine gave no answer: {0}")]
    Unavailable(String),
    #[error("the policy engine failed several times and is not asked for a moment")]
    CircuitOpen,
}
