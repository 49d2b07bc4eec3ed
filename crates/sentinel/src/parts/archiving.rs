//! Past months of decisions, moved from the database to their archive.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_archive::{AddressError, Archive, ArchivedMonth, ClosedMonth, MonthStore, Published};
use sentinel_core::clock::Clock;

use crate::parts::partitions::INTERVAL;
use crate::parts::task::{Shutdown, Task};

/// Program and version, as a manifest names them.
const BY: &str = concat!("sentinel ", env!("CARGO_PKG_VERSION"));
/// Months kept besides the current one by default.
const KEEP_MONTHS: u32 = 12;

/// Where past months of decisions go, and how many stay in the database.
#[derive(Debug, Clone)]
pub(crate) struct Archiving {
    archive: Archive,
    pub(crate) keep_months: u32,
}

impl Archiving {
    /// # Errors
    /// When the address cannot be used.
    pub(crate) fn of(
        url: &str,
        keep_months: Option<u32>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, AddressError> {
        let archive = Archive::open(url, environment)?;
        Ok(Self { archive, keep_months: keep_months.unwrap_or(KEEP_MONTHS) })
    }
}

/// Moves each month to the archive once it is old enough.
pub(crate) struct Archiver {
    pub(crate) archiving: Archiving,
    pub(crate) store: Arc<dyn MonthStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Task for Archiver {
    fn name(&self) -> &'static str {
        "archiving"
    }

    /// Breaking it off is safe: the next look goes on with a month that was begun.
    async fn run(self: Box<Self>, shutdown: Shutdown) {
        shutdown.ends(self.keep_archiving()).await;
    }
}

impl Archiver {
    async fn keep_archiving(&self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            ticks.tick().await;
            match self.store.closed_months(self.archiving.keep_months, self.clock.now()).await {
                Ok(months) => {
                    for month in months {
                        if !self.archive(month).await {
                            break;
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "no month of decisions could be archived"),
            }
        }
    }

    /// Returns whether to go on with the next month. Another server that archives this one goes on
    /// itself; two that took turns would leave months to the next look.
    async fn archive(&self, closed: ClosedMonth) -> bool {
        let month = closed.month();
        tracing::info!(%month, "archiving a month of decisions");
        let Archiving { archive, .. } = &self.archiving;
        match self.store.archive_month(closed, archive, self.clock.now(), BY).await {
            Ok(Some(ArchivedMonth { manifest, published })) => tracing::info!(
                %month,
                decisions = manifest.content.count,
                parts = manifest.parts.len(),
                bytes = manifest.content.bytes,
                sha256 = manifest.content.sha256,
                resumed = published == Published::Before,
                "a month of decisions was archived, verified, and removed from the database"
            ),
            Ok(None) => {
                tracing::debug!(%month, "another replica is archiving");
                return false;
            }
            Err(error) => tracing::error!(
                %error,
                %month,
                "a month of decisions was not archived and stays in the database; see \
                 docs/scaling.md"
            ),
        }
        true
    }
}
