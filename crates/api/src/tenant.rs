use jiff::Timestamp;
use sentinel_core::id::TenantId;
use sentinel_core::name::{DisplayName, TenantSlug};
use sentinel_core::tenant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    #[schema(value_type = uuid::Uuid)]
    pub id: TenantId,
    #[schema(value_type = String, example = "platform-eng")]
    pub slug: TenantSlug,
    #[schema(value_type = String)]
    pub display_name: DisplayName,
    pub created_at: Timestamp,
}

impl From<tenant::Tenant> for Tenant {
    fn from(tenant: tenant::Tenant) -> Self {
        let tenant::Tenant { id, slug, display_name, created_at, secret: _ } = tenant;
        Self { id, slug, display_name, created_at }
    }
}

/// The tenant that is to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantRequest {
    #[schema(value_type = String, example = "platform-eng")]
    pub slug: TenantSlug,
    /// The slug when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub display_name: Option<DisplayName>,
}
