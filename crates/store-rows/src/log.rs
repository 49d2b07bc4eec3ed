//! The transparency log.

use sentinel_core::id::{StatementId, TenantId};
use sentinel_core::log::{LogHead, LogPlace, LogReceipt, LogShard, LogStatement};
use sentinel_core::ports::StoreError;

use crate::columns::Column::{self, Plain};
use crate::row::{Columns, Row};
use crate::stored::{Stored, Writable};
use crate::value::Value;

impl Stored for LogShard {
    const TABLE: &'static str = "log_shards";
    const COLUMNS: &'static [Column] = &[
        Plain("ordinal"),
        Plain("origin"),
        Plain("verifier_key"),
        Plain("started_at"),
        Plain("sealed_at"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            ordinal: columns.small()?,
            origin: columns.text()?,
            verifier_key: columns.text()?,
            started_at: columns.time()?,
            sealed_at: columns.time_optional()?,
        })
    }
}

impl Stored for LogHead {
    const TABLE: &'static str = "log_heads";
    const COLUMNS: &'static [Column] = &[
        Plain("shard"),
        Plain("size"),
        Plain("frontier"),
        Plain("checkpoint"),
        Plain("witnessed_size"),
        Plain("witnessed"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            shard: columns.small()?,
            size: columns.count()?,
            frontier: columns.bytes()?,
            checkpoint: columns.text_optional()?,
            witnessed: columns.count_optional()?.zip(columns.text_optional()?),
        })
    }
}

impl Stored for LogStatement {
    const TABLE: &'static str = "log_statements";
    const COLUMNS: &'static [Column] = &[
        Plain("id"),
        Plain("kind"),
        Plain("tenant_id"),
        Plain("subject"),
        Plain("bundle"),
        Plain("created_at"),
        Plain("log_shard"),
        Plain("log_index"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        Ok(Self {
            id: StatementId(columns.uuid()?),
            kind: columns.parse()?,
            tenant_id: columns.uuid_optional()?.map(TenantId),
            subject: columns.text()?,
            bundle: columns.text()?,
            created_at: columns.time()?,
            place: Some(LogPlace { shard: columns.small()?, index: columns.count()? }),
        })
    }
}

impl Writable for LogStatement {
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError> {
        values.extend([
            Value::uuid(self.id.0),
            Value::text(self.kind.as_str()),
            Value::uuid(self.tenant_id.map(|id| id.0)),
            Value::text(&self.subject),
            Value::text(&self.bundle),
            Value::time(self.created_at),
            Value::small(self.place.map(|place| place.shard)),
            Value::count(self.place.map(|place| place.index)),
        ]);
        Ok(())
    }
}

impl Stored for LogReceipt {
    const TABLE: &'static str = "log_receipts";
    const COLUMNS: &'static [Column] =
        &[Plain("shard"), Plain("log_index"), Plain("kind"), Plain("content")];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        let place = LogPlace { shard: columns.small()?, index: columns.count()? };
        Ok(Self { place, kind: columns.parse()?, content: columns.bytes()? })
    }
}

/// A row of leaves as a store read it: where the next leaf goes, and the leaf at an index, if there
/// is one.
pub type LeafRow = (u64, Option<(u64, Vec<u8>)>);

/// The leaves from `from`, at most `limit`, out of the `rows` that a store found there in order.
///
/// # Errors
/// [`StoreError::Corrupt`] unless they are just those that were appended.
pub fn whole_leaves(
    shard: u32,
    from: u64,
    limit: u32,
    rows: Vec<LeafRow>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let next = rows.first().map_or(0, |(next, _)| *next);
    let expected = from..next.min(from.saturating_add(u64::from(limit)));
    let mut found = rows.into_iter().filter_map(|(_, leaf)| leaf);
    let mut leaves = Vec::with_capacity(found.size_hint().1.unwrap_or_default());
    for index in expected {
        match found.next() {
            Some((at, leaf)) if at == index => leaves.push(leaf),
            _ => {
                let why = format!("leaf {index} of shard {shard} of the log is missing");
                return Err(StoreError::Corrupt(why));
            }
        }
    }
    match found.next() {
        None => Ok(leaves),
        Some((index, _)) => {
            let why = format!("leaf {index} of shard {shard} of the log was never appended");
            Err(StoreError::Corrupt(why))
        }
    }
}
