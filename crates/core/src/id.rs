//! Typed identifiers. All are UUIDs; new ones are version 7, so they sort by creation time.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

id! {
    /// A tenant.
    TenantId,
    /// A tool of one tenant.
    ToolId,
    /// One decision; also the single-use identity of its permit.
    DecisionId,
    /// One kill.
    KillId,
    /// One provenance manifest.
    ManifestId,
    /// One signed statement about a key, a log or payloads.
    StatementId,
    /// One API key.
    KeyId,
    /// One change of what policy is in force.
    PolicyChangeId,
    /// One staged rollout of a policy.
    RolloutId,
    /// One MCP server behind the gateway.
    UpstreamId,
}
