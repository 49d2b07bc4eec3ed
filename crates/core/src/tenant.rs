//! Tenants: the boundary of every key, quota and query.

use jiff::Timestamp;

use crate::id::TenantId;
use crate::name::{DisplayName, TenantSlug};

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub slug: TenantSlug,
    pub display_name: DisplayName,
    pub created_at: Timestamp,
    pub secret: TenantSecret,
}

/// 32 random bytes from which the salts of the tenant's payload commitments are derived.
/// Destroying it makes the commitments unguessable for good. Never serialized, never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantSecret(pub [u8; 32]);

impl std::fmt::Debug for TenantSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TenantSecret(…)")
    }
}

/// A new tenant as asked for, before identifiers are given.
#[derive(Debug, Clone)]
pub struct TenantSpec {
    pub slug: TenantSlug,
    pub display_name: DisplayName,
}
