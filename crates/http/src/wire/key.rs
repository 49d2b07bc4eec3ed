use jiff::Timestamp;
use sentinel_core::control::ControlState;
use sentinel_core::id::{KeyId, TenantId};
use sentinel_core::name::{AgentName, DisplayName, Owner, TenantSlug};
use sentinel_core::principal::{ApiKey, Role};
use serde::Serialize;
use utoipa::ToSchema;

/// An API key: everything but the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: KeyId,
    #[schema(value_type = String)]
    name: DisplayName,
    #[schema(value_type = String, example = "agent")]
    role: Role,
    /// The one tenant it is bound to; `null` binds it to all.
    #[schema(value_type = Option<uuid::Uuid>)]
    tenant_id: Option<TenantId>,
    #[schema(value_type = Option<String>)]
    tenant_slug: Option<TenantSlug>,
    /// The one agent it may speak for; `null` lets the caller name the agent.
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// Who holds it, `tenant/name` when it is bound to a tenant. Keys of one owner are one principal,
    /// `owner:…`; a key without an owner is a principal of its own, `key:…`.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    created_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

impl KeyAnswer {
    pub(crate) fn of(control: &ControlState, key: ApiKey) -> Self {
        let ApiKey { id, hash: _, name, role, tenant_id, agent, owner, created_at, revoked_at } =
            key;
        let tenant = tenant_id.and_then(|id| control.tenant_by_id(id));
        let tenant_slug = tenant.map(|tenant| tenant.slug.clone());
        Self { id, name, role, tenant_id, tenant_slug, agent, owner, created_at, revoked_at }
    }
}
