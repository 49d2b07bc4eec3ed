//! The port of quota counters. They are counted in the commit of decisions; here they are read.

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::StoreError;
use crate::id::TenantId;
use crate::page::{Page, Paged};
use crate::quota::Counter;

/// Reads quota counters.
#[async_trait]
pub trait QuotaStore: Send + Sync + std::fmt::Debug {
    /// Counters whose window contains `at`, by tenant and tool.
    async fn counters(
        &self,
        tenant: Option<TenantId>,
        at: Timestamp,
        page: Page,
    ) -> Result<Paged<Counter>, StoreError>;
}
