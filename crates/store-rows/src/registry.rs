//! Tenants, tools and API keys.

use sentinel_core::id::{KeyId, TenantId, ToolId};
use sentinel_core::ports::StoreError;
use sentinel_core::principal::{ApiKey, KeyHash};
use sentinel_core::tenant::{Tenant, TenantSecret};
use sentinel_core::tool::{Health, Tool};

use crate::columns::Column::{self, Json, Plain};
use crate::row::{Columns, Row};
use crate::stored::{Stored, Writable};
use crate::upstreams::{PIN, PinRow, read_pin};
use crate::value::{Value, json};

impl Stored for Tenant {
    const TABLE: &'static str = "tenants";
    const COLUMNS: &'static [Column] =
        &[Plain("id"), Plain("slug"), Plain("display_name"), Plain("created_at"), Plain("secret")];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: TenantId(columns.uuid()?),
            slug: columns.parse()?,
            display_name: columns.parse()?,
            created_at: columns.time()?,
            secret: TenantSecret(columns.array()?),
        })
    }
}

impl Writable for Tenant {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::text(&self.slug),
            Value::text(&self.display_name),
            Value::time(self.created_at),
            Value::bytes(&self.secret.0),
        ]);
        Ok(())
    }
}

impl Stored for Tool {
    const TABLE: &'static str = "tools";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("tenant_id"),
        Plain("name"),
        Plain("url"),
        Plain("owner"),
        Json("scopes"),
        Json("extra_metadata"),
        Plain("healthcheck"),
        Plain("created_at"),
        Plain("updated_at"),
        Plain("retired_at"),
        PIN[0],
        PIN[1],
        PIN[2],
        PIN[3],
        PIN[4],
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: ToolId(columns.uuid()?),
            tenant_id: TenantId(columns.uuid()?),
            name: columns.parse()?,
            url: columns.parse()?,
            owner: columns.parse()?,
            scopes: columns.json()?,
            metadata: columns.json()?,
            healthcheck: columns.parse_optional()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
            retired_at: columns.time_optional()?,
            pin: read_pin(columns)?,
        })
    }
}

impl Writable for Tool {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::uuid(self.tenant_id.0),
            Value::text(&self.name),
            Value::text(self.url.as_str()),
            Value::text(&self.owner),
            json(&self.scopes)?.into(),
            json(&self.metadata)?.into(),
            self.healthcheck.as_ref().map(|url| url.as_str()).into(),
            Value::time(self.created_at),
            Value::time(self.updated_at),
            Value::time(self.retired_at),
        ]);
        values.extend(PinRow::of(self.pin.as_ref()).values());
        Ok(())
    }
}

/// A tool with its last health, which belongs to the store and not to the registration.
impl Stored for (Tool, Option<Health>) {
    const TABLE: &'static str = Tool::TABLE;
    const COLUMNS: &'static [Column] = Tool::COLUMNS;
    const MORE_COLUMNS: &'static [Column] = &[
        Plain("health_status"),
        Plain("health_checked_at"),
        Plain("health_latency_ms"),
        Plain("health_detail"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        let tool = Tool::read(columns)?;
        let Some(status) = columns.parse_optional()? else { return Ok((tool, None)) };
        let health = Health {
            status,
            checked_at: columns.time()?,
            latency_ms: columns.count()?,
            detail: columns.text_optional()?,
        };
        Ok((tool, Some(health)))
    }
}

impl Stored for ApiKey {
    const TABLE: &'static str = "api_keys";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("hash"),
        Plain("name"),
        Plain("role"),
        Plain("tenant_id"),
        Plain("agent"),
        Plain("owner"),
        Plain("created_at"),
        Plain("revoked_at"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: KeyId(columns.uuid()?),
            hash: KeyHash(columns.array()?),
            name: columns.parse()?,
            role: columns.parse()?,
            tenant_id: columns.uuid_optional()?.map(TenantId),
            agent: columns.parse_optional()?,
            owner: columns.parse_optional()?,
            created_at: columns.time()?,
            revoked_at: columns.time_optional()?,
        })
    }
}

impl Writable for ApiKey {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::bytes(&self.hash.0),
            Value::text(&self.name),
            Value::text(self.role.as_str()),
            Value::uuid(self.tenant_id.map(|id| id.0)),
            Value::text_optional(self.agent.as_ref()),
            Value::text_optional(self.owner.as_ref()),
            Value::time(self.created_at),
            Value::time(self.revoked_at),
        ]);
        Ok(())
    }
}
