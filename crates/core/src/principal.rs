//! Who is calling: roles, API keys, and the principal that a credential authenticates.

use std::fmt;
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
    /// The one agent it may act as; `None` lets the caller name the agent.
    pub agent: Option<AgentName>,
    /// The person or service that holds it, as `tenant/name` for a key bound to a tenant. Keys of
    /// one owner are one principal, so a key can be rotated in the middle of a call.
    pub owner: Option<Owner>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Roles(u8);

impl Roles {
    #[must_use]
    pub const fn of(role: Role) -> Self {
        Self(1 << role as u8)
    }

    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & Self::of(role).0 != 0
    }

    /// The roles of the set, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

/// How a caller proved who it is. [`ControlState::vouches_for`] says whether the proof is still
/// valid.
///
/// [`ControlState::vouches_for`]: crate::control::ControlState::vouches_for
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API key.
    Key(Arc<ApiKey>),
    /// None: any caller on loopback of a `sentinel dev --no-auth`.
    Local,
    /// None: a replica that tests its own kill switch.
    SelfTest,
}

/// Who a principal is to policy, kills and records. Two credentials of one owner have one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity<'a> {
    Owner(&'a Owner),
    Key(KeyId),
    Local,
    SelfTest,
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => write!(f, "owner:{owner}"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Local => f.write_str("local:no-auth"),
            Self::SelfTest => f.write_str(self_test::ACTOR),
        }
    }
}

/// An authenticated caller: its credential, and what that credential entitles it to.
///
/// Behind the front door only the rights are looked at, so a further kind of credential needs a
/// variant of [`Credential`], one of [`Identity`] and a constructor here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    credential: Credential,
    roles: Roles,
    /// The one tenant it is bound to; `None` binds it to all.
    tenant: Option<TenantId>,
    /// The one agent it may act as; `None` lets the caller name the agent.
    agent: Option<AgentName>,
}

impl Principal {
    /// A caller that needs no credential: an administrator of all tenants.
    pub const LOCAL: Self = Self {
        credential: Credential::Local,
        roles: Roles::of(Role::Admin),
        tenant: None,
        agent: None,
    };

    /// The self-test of the kill switch: an operator of its own tenant.
    pub const SELF_TEST: Self = Self {
        credential: Credential::SelfTest,
        roles: Roles::of(Role::Operator),
        tenant: Some(self_test::TENANT),
        agent: None,
    };

    /// The holder of an API key.
    #[must_use]
    pub fn of_key(key: Arc<ApiKey>) -> Self {
        Self {
            roles: Roles::of(key.role),
            tenant: key.tenant_id,
            agent: key.agent.clone(),
            credential: Credential::Key(key),
        }
    }

    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The API key that the principal presented, if it presented one.
    #[must_use]
    pub const fn key(&self) -> Option<&Arc<ApiKey>> {
        match &self.credential {
            Credential::Key(key) => Some(key),
            Credential::Local | Credential::SelfTest => None,
        }
    }

    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        match &self.credential {
            Credential::Key(key) => {
                key.owner.as_ref().map_or(Identity::Key(key.id), Identity::Owner)
            }
            Credential::Local => Identity::Local,
            Credential::SelfTest => Identity::SelfTest,
        }
    }

    /// Stable identifier, as recorded in decisions and shown to policy: the [`identity`] as text.
    ///
    /// [`identity`]: Self::identity
    #[must_use]
    pub fn id(&self) -> String {
        self.identity().to_string()
    }

    #[must_use]
    pub const fn roles(&self) -> Roles {
        self.roles
    }

    /// Whether the principal has one of `roles`; `admin` includes them all.
    #[must_use]
    pub fn has_role(&self, roles: &[Role]) -> bool {
        self.roles.contains(Role::Admin) || roles.iter().any(|role| self.roles.contains(*role))
    }

    /// The tenant the principal is bound to; `None` means all.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }

    #[must_use]
    pub fn may_access(&self, tenant: TenantId) -> bool {
        self.tenant.is_none_or(|bound| bound == tenant)
    }

    /// Whether the principal may act as `agent`. Agent names are compared without letter case.
    #[must_use]
    pub fn may_speak_for(&self, agent: &str) -> bool {
        self.agent.as_ref().is_none_or(|bound| bound.as_str().eq_ignore_ascii_case(agent))
    }

    /// The agent the principal is bound to; `None` lets the caller name one.
    #[must_use]
    pub const fn agent(&self) -> Option<&AgentName> {
        self.agent.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(role: Role, owner: Option<&str>) -> ApiKey {
        ApiKey {
            id: KeyId(Uuid::from_u128(7)),
            hash: KeyHash([0; 32]),
            name: "test".parse().unwrap(),
            role,
            tenant_id: Some(TenantId(Uuid::from_u128(1))),
            agent: Some("triage".parse().unwrap()),
            owner: owner.map(|owner| owner.parse().unwrap()),
            created_at: Timestamp::UNIX_EPOCH,
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_gives_its_rights_to_the_principal() {
        let principal = Principal::of_key(Arc::new(key(Role::Auditor, None)));
        assert_eq!(principal.roles().iter().collect::<Vec<_>>(), [Role::Auditor]);
        assert!(principal.has_role(&[Role::Operator, Role::Auditor]));
        assert!(!principal.has_role(&[Role::Agent, Role::Operator, Role::Author]));
        assert!(principal.may_access(TenantId(Uuid::from_u128(1))));
        assert!(!principal.may_access(TenantId(Uuid::from_u128(2))));
        assert!(principal.may_speak_for("TRIAGE") && !principal.may_speak_for("other"));
    }

    #[test]
    fn only_admin_includes_other_roles() {
        assert!(Principal::LOCAL.has_role(&[Role::Author]));
        assert!(Principal::LOCAL.has_role(&[]));
        assert!(Principal::SELF_TEST.has_role(&[Role::Operator]));
        assert!(!Principal::SELF_TEST.has_role(&[Role::Admin]));
    }

    #[test]
    fn keys_of_one_owner_are_one_identity() {
        let id = |key| Principal::of_key(Arc::new(key)).id();
        assert_eq!(id(key(Role::Agent, Some("acme/ci"))), "owner:acme/ci");
        assert_eq!(id(key(Role::Agent, None)), format!("key:{}", KeyId(Uuid::from_u128(7))));
        assert_eq!(Principal::LOCAL.id(), "local:no-auth");
        assert_eq!(Principal::SELF_TEST.id(), self_test::ACTOR);
    }
}
