//! Upstreams, and what their tools are pinned to.

use sentinel_core::id::{TenantId, UpstreamId};
use sentinel_core::pin::{DefinitionDigest, Pin, Quarantine};
use sentinel_core::ports::StoreError;
use sentinel_core::upstream::Upstream;

use crate::columns::Column::{self, Json, Plain};
use crate::row::{Columns, Row};
use crate::stored::{Stored, Writable};
use crate::value::{Value, json};

impl Stored for Upstream {
    const TABLE: &'static str = "upstreams";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("tenant_id"),
        Plain("name"),
        Json("transport"),
        Plain("created_by"),
        Plain("created_at"),
        Plain("removed_at"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: UpstreamId(columns.uuid()?),
            tenant_id: TenantId(columns.uuid()?),
            name: columns.parse()?,
            transport: columns.json()?,
            created_by: columns.text()?,
            created_at: columns.time()?,
            removed_at: columns.time_optional()?,
        })
    }
}

impl Writable for Upstream {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::uuid(self.tenant_id.0),
            Value::text(&self.name),
            json(&self.transport)?.into(),
            Value::text(&self.created_by),
            Value::time(self.created_at),
            Value::time(self.removed_at),
        ]);
        Ok(())
    }
}

/// The columns of `tools` that hold a pin, as [`read_pin`] takes and [`PinRow`] fills them.
pub(crate) const PIN: [Column; 5] = [
    Plain("upstream_id"),
    Plain("pin_approved"),
    Plain("pin_cause"),
    Plain("pin_offered"),
    Plain("pin_since"),
];

pub(crate) fn read_pin<R: Row>(columns: &mut Columns<R>) -> Result<Option<Pin>, StoreError> {
    let upstream = columns.uuid_optional()?.map(UpstreamId);
    let approved = read_digest(columns)?;
    let cause = columns.parse_optional()?;
    let offered = read_digest(columns)?;
    let since = columns.time_optional()?;
    let quarantine = match (cause, since) {
        (Some(cause), Some(since)) => Some(Quarantine { cause, offered, since }),
        (None, None) => None,
        _ => return Err(columns.wrong("a quarantine has both a cause and a time")),
    };
    Ok(upstream.map(|upstream| Pin { upstream, approved, quarantine }))
}

fn read_digest<R: Row>(columns: &mut Columns<R>) -> Result<Option<DefinitionDigest>, StoreError> {
    let Some(bytes) = columns.bytes_optional()? else { return Ok(None) };
    let digest = bytes.try_into().map_err(|_| columns.wrong("not a digest of 32 bytes"))?;
    Ok(Some(DefinitionDigest(digest)))
}

/// A pin, each field as its column holds it.
#[derive(Debug)]
pub struct PinRow<'p> {
    pub upstream: Option<uuid::Uuid>,
    pub approved: Option<&'p [u8]>,
    pub cause: Option<&'static str>,
    pub offered: Option<&'p [u8]>,
    pub since: Option<jiff::Timestamp>,
}

impl<'p> PinRow<'p> {
    #[must_use]
    pub fn of(pin: Option<&'p Pin>) -> Self {
        let quarantine = pin.and_then(|pin| pin.quarantine.as_ref());
        let bytes = |digest: &'p DefinitionDigest| digest.0.as_slice();
        Self {
            upstream: pin.map(|pin| pin.upstream.0),
            approved: pin.and_then(|pin| pin.approved.as_ref()).map(bytes),
            cause: quarantine.map(|quarantine| quarantine.cause.as_str()),
            offered: quarantine.and_then(|quarantine| quarantine.offered.as_ref()).map(bytes),
            since: quarantine.map(|quarantine| quarantine.since),
        }
    }

    pub(crate) fn values(self) -> [Value<'p>; 5] {
        [
            Value::uuid(self.upstream),
            Value::Bytes(self.approved),
            self.cause.into(),
            Value::Bytes(self.offered),
            Value::time(self.since),
        ]
    }
}
