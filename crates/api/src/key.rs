use jiff::Timestamp;
use sentinel_core::id::{KeyId, TenantId};
use sentinel_core::name::{AgentName, DisplayName, Owner, TenantSlug};
use sentinel_core::principal::{self, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Secret;

/// An API key: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    #[schema(value_type = uuid::Uuid)]
    pub id: KeyId,
    #[schema(value_type = String)]
    pub name: DisplayName,
    #[schema(value_type = String, example = "agent")]
    pub role: Role,
    /// The one tenant it is bound to; `null` binds it to all.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tenant_id: Option<TenantId>,
    #[schema(value_type = Option<String>)]
    pub tenant_slug: Option<TenantSlug>,
    /// The one agent it may speak for; `null` lets the caller name the agent.
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// Who holds it, `tenant/name` when it is bound to a tenant. Keys of one owner are one
    /// principal, `owner:…`; a key without an owner is a principal of its own, `key:…`.
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// A key, with the slug of the tenant that it is bound to.
    #[must_use]
    pub fn new(key: principal::ApiKey, tenant_slug: Option<TenantSlug>) -> Self {
        let principal::ApiKey {
            id,
            hash: _,
            name,
            role,
            tenant_id,
            agent,
            owner,
            created_at,
            revoked_at,
        } = key;
        Self { id, name, role, tenant_id, tenant_slug, agent, owner, created_at, revoked_at }
    }
}

/// The key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// For people.
    #[schema(value_type = String, example = "ci runner")]
    pub name: DisplayName,
    /// `agent`, `operator`, `author`, `auditor` or `admin`.
    #[schema(value_type = String, example = "agent")]
    pub role: Role,
    /// Binds the key to one tenant; to all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant_slug: Option<TenantSlug>,
    /// Binds the key to one agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentName>,
    /// The person or service that holds the key. Keys of one owner and tenant are one principal, so
    /// that a new key can go on with what an old one began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "alice")]
    pub owner: Option<Owner>,
}

/// A key just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewApiKey {
    #[serde(flatten)]
    pub key: ApiKey,
    /// The key itself, `snt_<role>_<random>`. It is shown here and never again.
    #[schema(value_type = String)]
    pub secret: Secret<'static>,
}
