//! Kills.

use sentinel_core::epoch::Epoch;
use sentinel_core::id::{KillId, TenantId, ToolId};
use sentinel_core::kill::{Kill, KillScope};
use sentinel_core::ports::StoreError;

use crate::columns::Column::{self, Computed, Plain};
use crate::row::{Columns, Row};
use crate::stored::{Stored, Writable};
use crate::value::Value;

/// Rows of earlier versions lack `by_platform`: their actor is taken to be bound to no tenant
/// unless a key shows the opposite.
const BY_PLATFORM: Column = Computed {
    name: "by_platform",
    sqlite: "ifnull(by_platform, NOT EXISTS (SELECT 1 FROM api_keys AS a \
        WHERE a.tenant_id IS NOT NULL \
        AND 'key:' || lower(hex(a.id)) = replace(kills.actor, '-', '')))",
    postgres: "coalesce(by_platform, NOT EXISTS (SELECT 1 FROM api_keys AS a \
        WHERE a.tenant_id IS NOT NULL AND 'key:' || a.id::text = kills.actor))",
};

impl Stored for Kill {
    const TABLE: &'static str = "kills";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("scope"),
        Plain("tenant_id"),
        Plain("tool_id"),
        Plain("agent"),
        Plain("label"),
        Plain("reason"),
        Plain("actor"),
        BY_PLATFORM,
        Plain("created_at"),
        Plain("starts_at"),
        Plain("begun_at"),
        Plain("expires_at"),
        Plain("killed_epoch"),
        Plain("restored_at"),
        Plain("restored_by"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: KillId(columns.uuid()?),
            scope: read_scope(columns)?,
            reason: columns.parse()?,
            actor: columns.text()?,
            by_platform: columns.boolean()?,
            created_at: columns.time()?,
            starts_at: columns.time_optional()?,
            begun_at: columns.time_optional()?,
            expires_at: columns.time_optional()?,
            epoch: Epoch(columns.count()?),
            restored_at: columns.time_optional()?,
            restored_by: columns.text_optional()?,
        })
    }
}

fn read_scope<R: Row>(columns: &mut Columns<R>) -> Result<KillScope, StoreError> {
    let kind = columns.text()?;
    let tenant = columns.uuid_optional()?.map(TenantId);
    let tool = columns.uuid_optional()?.map(ToolId);
    let agent = columns.parse_optional()?;
    let label = columns.parse_optional()?;
    let scope = KillScope::of_parts(&kind, tenant, tool, agent, label);
    scope.ok_or_else(|| columns.wrong("the columns of the scope do not fit together"))
}

impl Writable for Kill {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::text(self.scope.kind()),
            Value::uuid(self.scope.tenant_id().map(|id| id.0)),
            Value::uuid(self.scope.tool_id().map(|id| id.0)),
            Value::text_optional(self.scope.agent()),
            Value::text_optional(self.scope.label()),
            Value::text(&self.reason),
            Value::text(&self.actor),
            Value::Boolean(self.by_platform),
            Value::time(self.created_at),
            Value::time(self.starts_at),
            Value::time(self.begun_at),
            Value::time(self.expires_at),
            Value::count(self.epoch.0),
            Value::time(self.restored_at),
            Value::text_optional(self.restored_by.as_ref()),
        ]);
        Ok(())
    }
}
