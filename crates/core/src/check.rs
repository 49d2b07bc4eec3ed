//! The request of a check, after parsing: what an agent wants to do. [`crate::decision`] decides it.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::json;
use crate::name::{Action, AgentName, CallId, Purpose, TenantSlug, ToolName};
use crate::principal::Principal;

/// One call that a caller asks a decision for. Every field is validated; the values are exactly
/// those that policy sees and that the permit is bound to.
#[derive(Debug, Clone)]
pub struct CheckRequest {
    pub principal: Principal,
    pub tenant: TenantSlug,
    pub tool: ToolName,
    pub action: Action,
    pub purpose: Option<Purpose>,
    /// Uses the caller reports; can only make the decision stricter.
    pub usage: u64,
    pub context: Map<String, Value>,
    pub agent: Option<AgentName>,
    pub arguments: Arguments,
    pub call_id: Option<CallId>,
    /// Identifier of the request that carried the check, for finding it in logs.
    pub request_id: Arc<str>,
    /// When the request arrived. What is measured and recorded of its duration begins here.
    pub arrived: Instant,
    /// When the caller stops waiting; a check that is not decided by then is dropped, unrecorded.
    pub deadline: Option<Instant>,
}

/// The arguments of the call, with the hash of their canonical form. Holding both in one immutable
/// value is what keeps the object that was decided and the object that is forwarded the same.
/// Clones share it.
#[derive(Debug, Clone)]
pub struct Arguments {
    value: Arc<Map<String, Value>>,
    hash: ArgumentHash,
}

/// SHA-256 of the canonical form of a call's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArgumentHash(pub [u8; 32]);

impl Arguments {
    #[must_use]
    pub fn new(value: Map<String, Value>) -> Self {
        let object = Value::Object(value);
        let hash = ArgumentHash(Sha256::digest(json::canonical(&object)).into());
        match object {
            Value::Object(value) => Self { value: Arc::new(value), hash },
            _ => Self { value: Arc::default(), hash },
        }
    }

    #[must_use]
    pub fn value(&self) -> &Map<String, Value> {
        &self.value
    }

    /// The arguments themselves: what is forwarded. Copied only while a clone is left.
    #[must_use]
    pub fn into_value(self) -> Map<String, Value> {
        Arc::unwrap_or_clone(self.value)
    }

    #[must_use]
    pub const fn hash(&self) -> ArgumentHash {
        self.hash
    }
}

/// As [`std::fmt::Display`] writes it.
impl Serialize for ArgumentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ArgumentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut hash = [0; 32];
        text.strip_prefix("sha256:")
            .and_then(|digits| hex::decode_to_slice(digits, &mut hash).ok())
            .map(|()| Self(hash))
            .ok_or_else(|| serde::de::Error::custom("not a `sha256:` hash"))
    }
}

impl std::fmt::Display for ArgumentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}
