//! Keys of tenants, and the payloads sealed with them.

use sentinel_core::id::TenantId;
use sentinel_core::payload::{PayloadKey, SealedPayload};
use sentinel_core::ports::StoreError;

use crate::columns::Column::{self, Plain};
use crate::row::{Columns, Row};
use crate::stored::Stored;

impl Stored for PayloadKey {
    const TABLE: &'static str = "payload_keys";
    const COLUMNS: &'static [Column] = &[
        Plain("tenant_id"),
        Plain("generation"),
        Plain("wrapped"),
        Plain("created_at"),
        Plain("destroyed_at"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            tenant_id: TenantId(columns.uuid()?),
            generation: columns.small()?,
            wrapped: columns.bytes_optional()?,
            created_at: columns.time()?,
            destroyed_at: columns.time_optional()?,
        })
    }
}

impl Stored for SealedPayload {
    const TABLE: &'static str = "payloads";
    const COLUMNS: &'static [Column] = &[Plain("generation"), Plain("sealed")];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self { generation: columns.small()?, sealed: columns.bytes()? })
    }
}
