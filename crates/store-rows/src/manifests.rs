//! Provenance manifests.

use sentinel_core::id::{DecisionId, ManifestId, TenantId};
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::Manifest;
use sentinel_core::ports::StoreError;

use crate::columns::Column::{self, Plain};
use crate::row::{Columns, Row};
use crate::stored::{Stored, Writable};
use crate::value::Value;

impl Stored for Manifest {
    const TABLE: &'static str = "manifests";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("tenant_id"),
        Plain("tool_name"),
        Plain("action"),
        Plain("purpose"),
        Plain("decision_id"),
        Plain("payload_digest"),
        Plain("bundle"),
        Plain("created_at"),
        Plain("phase"),
        Plain("key_generation"),
        Plain("log_shard"),
        Plain("log_index"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: ManifestId(columns.uuid()?),
            tenant_id: TenantId(columns.uuid()?),
            tool: columns.parse()?,
            action: columns.parse()?,
            purpose: columns.parse_optional()?,
            decision_id: columns.uuid_optional()?.map(DecisionId),
            payload_digest: columns.array()?,
            bundle: columns.text()?,
            created_at: columns.time()?,
            phase: columns.parse()?,
            key_generation: columns.small_optional()?,
            place: columns
                .small_optional()?
                .zip(columns.count_optional()?)
                .map(|(shard, index)| LogPlace { shard, index }),
        })
    }
}

impl Writable for Manifest {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::uuid(self.tenant_id.0),
            Value::text(&self.tool),
            Value::text(&self.action),
            Value::text_optional(self.purpose.as_ref()),
            Value::uuid(self.decision_id.map(|id| id.0)),
            Value::bytes(&self.payload_digest),
            Value::text(&self.bundle),
            Value::time(self.created_at),
            Value::text(self.phase.as_str()),
            Value::small(self.key_generation),
            Value::small(self.place.map(|place| place.shard)),
            Value::count(self.place.map(|place| place.index)),
        ]);
        Ok(())
    }
}
