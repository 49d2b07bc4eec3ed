use std::borrow::Cow;

use jiff::Timestamp;
use sentinel_core::name::Reason;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Every key that ever signed here.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SigningKeys {
    pub items: Vec<SigningKey>,
}

/// A key, and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// SSH fingerprint, as bundles name it.
    pub hint: String,
    /// PEM.
    pub public_key: String,
    /// `active`, `retired` or `revoked`.
    #[schema(value_type = String)]
    pub state: Cow<'static, str>,
    pub events: Vec<SigningKeyEvent>,
}

/// What happened to a key, as it was logged.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SigningKeyEvent {
    /// `introduced`, `certified`, `retired` or `revoked`.
    pub event: String,
    pub at: Timestamp,
    pub reason: Option<String>,
    pub log_index: Option<u64>,
    /// The signed statement with its place in the log, a Sigstore bundle about the PEM.
    #[schema(value_type = Object)]
    pub bundle: Box<RawValue>,
}

/// The key that is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndSigningKey {
    /// SSH fingerprint of the key.
    pub hint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
}
