//! Who is calling: roles, API keys, and the principal that a key authenticates.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{KeyId, TenantId};
use crate::name::{AgentName, DisplayName, Owner};
use crate::self_test;

/// What a key may do. Roles are not ordered: only `admin` includes the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Check, sign, and hear the events of its tenant.
    Agent,
    /// Kill and restore.
    Operator,
    /// Write policy.
    Author,
    /// Read decisions, manifests and history.
    Auditor,
    /// Everything, including tools, tenants and keys.
    Admin,
}

impl Role {
    pub const ALL: [Self; 5] =
        [Self::Agent, Self::Operator, Self::Author, Self::Auditor, Self::Admin];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Author => "author",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(32).collect()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role `{0}`; one of agent, operator, author, auditor, admin")]
pub struct UnknownRole(String);

/// SHA-256 of an API key. The key itself has 256 random bits, so no slow hash is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Hash of a presented key.
    #[must_use]
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }
}

/// An API key as stored: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub hash: KeyHash,
    pub name: DisplayName,
    pub role: Role,
    /// The one tenant it is bound to; `None` binds it to all.
    pub tenant_id: Option<TenantId>,
    /// The one agent it may speak for; `None` lets the caller name the agent.
    pub agent: Option<AgentName>,
    /// The person or service that holds it, as `tenant/name` for a key bound to a tenant. Keys of
    /// one owner are one principal, so a key can be rotated in the middle of a call.
    pub owner: Option<Owner>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Holder of an API key.
    Key(Arc<ApiKey>),
    /// Anyone on loopback of a `sentinel dev --no-auth`.
    Unauthenticated,
    /// A replica that proves to itself that kills work.
    SelfTest,
}

impl Principal {
    /// Stable identifier, as recorded in decisions and shown to policy: the key's owner where it
    /// has one.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Key(key) => match &key.owner {
                Some(owner) => format!("owner:{owner}"),
                None => format!("key:{}", key.id),
            },
            Self::Unauthenticated => "local:no-auth".to_owned(),
            Self::SelfTest => self_test::ACTOR.to_owned(),
        }
    }

    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Key(key) => key.role,
            Self::Unauthenticated => Role::Admin,
            Self::SelfTest => Role::Operator,
        }
    }

    /// Whether the principal's role is one of `roles`; `admin` always is.
    #[must_use]
    pub fn has_role(&self, roles: &[Role]) -> bool {
        self.role() == Role::Admin || roles.contains(&self.role())
    }

    /// The tenant the principal is bound to; `None` means all.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Key(key) => key.tenant_id,
            Self::Unauthenticated => None,
            Self::SelfTest => Some(self_test::TENANT),
        }
    }

    #[must_use]
    pub fn may_access(&self, tenant: TenantId) -> bool {
        self.tenant().is_none_or(|bound| bound == tenant)
    }

    /// Whether the principal may speak for `agent`. Letter case does not tell agents apart here.
    #[must_use]
    pub fn may_speak_for(&self, agent: &str) -> bool {
        self.agent().is_none_or(|bound| bound.as_str().eq_ignore_ascii_case(agent))
    }

    /// The agent the principal is bound to; `None` lets the caller name one.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentName> {
        match self {
            Self::Key(key) => key.agent.as_ref(),
            Self::Unauthenticated | Self::SelfTest => None,
        }
    }
}
