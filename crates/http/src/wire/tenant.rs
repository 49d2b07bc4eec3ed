use jiff::Timestamp;
use sentinel_core::id::TenantId;
use sentinel_core::name::{DisplayName, TenantSlug};
use sentinel_core::tenant::Tenant;
use serde::Serialize;
use utoipa::ToSchema;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantAnswer {
    #[schema(value_type = uuid::Uuid)]
    id: TenantId,
    #[schema(value_type = String, example = "platform-eng")]
    slug: TenantSlug,
    #[schema(value_type = String)]
    display_name: DisplayName,
    created_at: Timestamp,
}

impl From<Tenant> for TenantAnswer {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, slug, display_name, created_at, secret: _ } = tenant;
        Self { id, slug, display_name, created_at }
    }
}
