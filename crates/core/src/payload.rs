//! Payloads that are kept, each sealed with a key of its tenant; [`crate::ports::payloads`] has
//! their port.

use jiff::Timestamp;

use crate::id::TenantId;
use crate::log::LogPlace;

/// A payload that cannot be read without the key of its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPayload {
    /// Which key of the tenant, counting from one.
    pub generation: u32,
    /// Nonce, ciphertext and tag.
    pub sealed: Vec<u8>,
}

/// A key of a tenant, wrapped by the key of the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadKey {
    pub tenant_id: TenantId,
    /// Counting from one.
    pub generation: u32,
    /// The wrapped key; `None` once it is destroyed.
    pub wrapped: Option<Vec<u8>>,
    pub created_at: Timestamp,
    pub destroyed_at: Option<Timestamp>,
}

/// What destroying a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestroyedPayloads {
    /// Payloads that were kept under it.
    pub payloads: u64,
    /// Where the tombstone is in the log.
    pub place: LogPlace,
}
