//! Statements about the keys, logs and payloads that make actions verifiable. They are signed,
//! logged and published like those about actions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Predicate;

/// What happened to a key that signs manifests. The subject is the key, as PEM.
///
/// ```json
/// {"id": "<UUIDv7>", "timestamp": "…", "event": "certified", "hint": "SHA256:…",
///  "publicKey": "-----BEGIN PUBLIC KEY-----…", "notAfter": "…", "reason": "…"}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKeyEvent {
    /// The statement's id, a UUIDv7.
    pub id: Uuid,
    /// When the statement was made, by the signer's clock; whole milliseconds.
    #[serde(with = "super::rfc3339_millis")]
    pub timestamp: Timestamp,
    /// What happened.
    pub event: KeyEventKind,
    /// SSH fingerprint of the key, as bundles name it.
    pub hint: String,
    /// The key, a PEM block.
    pub public_key: String,
    /// The time at which the key expires; only for a certified key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum KeyEventKind {
    /// It signs from here on. The statement is signed with the key itself.
    Introduced,
    /// A longer-lived key certifies it.
    Certified,
    /// It no longer signs. What it signed remains valid.
    Retired,
    /// Its leaves at and after the index of this statement, in the same log, are invalid.
    Revoked,
}

impl KeyEventKind {
    /// The name as it is serialized.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Introduced => "introduced",
            Self::Certified => "certified",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}

impl Predicate for SigningKeyEvent {
    const TYPE: &'static str = "https://sentinel-mcp.dev/attestation/signing-key/v1";

    fn id(&self) -> Uuid {
        self.id
    }

    fn timestamp_mut(&mut self) -> &mut Timestamp {
        &mut self.timestamp
    }

    fn mandatory(&self) -> impl IntoIterator<Item = (&'static str, &str)> {
        [("hint", self.hint.as_str()), ("publicKey", &self.public_key)]
    }
}

/// A log begins; this is its first leaf. The subject is the last checkpoint of the log that it
/// continues, or the key of the log when it continues none.
///
/// ```json
/// {"id": "<UUIDv7>", "timestamp": "…", "origin": "log2.example", "verifierKey": "log2.example+…",
///  "predecessor": {"origin": "log.example", "checkpoint": "log.example\n400\n…"}}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogShardStart {
    /// The statement's id, a UUIDv7.
    pub id: Uuid,
    /// When the statement was made, by the signer's clock; whole milliseconds.
    #[serde(with = "super::rfc3339_millis")]
    pub timestamp: Timestamp,
    /// Name of the log.
    pub origin: String,
    /// Its key, as C2SP's signed-note spells one.
    pub verifier_key: String,
    /// The log that it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<PredecessorLog>,
}

/// A log that is continued by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PredecessorLog {
    /// Its name.
    pub origin: String,
    /// Its last checkpoint, a signed note: it never grows beyond that.
    pub checkpoint: String,
}

impl Predicate for LogShardStart {
    const TYPE: &'static str = "https://sentinel-mcp.dev/attestation/log-shard/v1";

    fn id(&self) -> Uuid {
        self.id
    }

    fn timestamp_mut(&mut self) -> &mut Timestamp {
        &mut self.timestamp
    }

    fn mandatory(&self) -> impl IntoIterator<Item = (&'static str, &str)> {
        [("origin", self.origin.as_str()), ("verifierKey", &self.verifier_key)]
    }
}

/// The key to the payloads of a tenant was destroyed, and the payloads with it: a tombstone. The
/// subject is the text `<tenant>/<keyGeneration>`.
///
/// ```json
/// {"id": "<UUIDv7>", "timestamp": "…", "tenant": "secops", "keyGeneration": 1, "reason": "…"}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayloadDestroyed {
    /// The statement's id, a UUIDv7.
    pub id: Uuid,
    /// When the statement was made, by the signer's clock; whole milliseconds.
    #[serde(with = "super::rfc3339_millis")]
    pub timestamp: Timestamp,
    /// Slug of the tenant.
    pub tenant: String,
    /// Which key of the tenant, counting from one.
    pub key_generation: u32,
    /// Who had it destroyed.
    pub principal: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Predicate for PayloadDestroyed {
    const TYPE: &'static str = "https://sentinel-mcp.dev/attestation/payload-destroyed/v1";

    fn id(&self) -> Uuid {
        self.id
    }

    fn timestamp_mut(&mut self) -> &mut Timestamp {
        &mut self.timestamp
    }

    fn mandatory(&self) -> impl IntoIterator<Item = (&'static str, &str)> {
        [("tenant", self.tenant.as_str()), ("principal", &self.principal)]
    }
}
