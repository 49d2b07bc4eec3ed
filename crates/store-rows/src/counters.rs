//! Quota counters.

use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::ports::StoreError;
use sentinel_core::quota::{Counter, CounterKey, Span};

use crate::columns::Column::{self, Plain};
use crate::row::{Columns, Row};
use crate::stored::Stored;

impl Stored for Counter {
    const TABLE: &'static str = "quota_counters";
    const COLUMNS: &'static [Column] = &[
        Plain("tenant_id"),
        Plain("tool_id"),
        Plain("quota_window"),
        Plain("window_start"),
        Plain("window_end"),
        Plain("used"),
        Plain("quota_limit"),
    ];

    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError> {
        let key = CounterKey {
            tenant_id: TenantId(columns.uuid()?),
            tool_id: ToolId(columns.uuid()?),
            window: columns.parse()?,
            span: Span { start: columns.time()?, end: columns.time()? },
        };
        Ok(Self { key, used: columns.count()?, limit: columns.count_optional()? })
    }
}
