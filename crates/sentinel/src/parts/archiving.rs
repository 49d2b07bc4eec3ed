//! Moving past months of decisions from the database to their archive, as housekeeping.

use std::sync::Arc;

use sentinel_archive::{AddressError, Archive, Published};
use sentinel_core::clock::Clock;
use sentinel_store_postgres::{ArchivedMonth, ClosedMonth, PostgresStore};

use crate::runtime::node::HOUSEKEEPING;

/// Program and version, as a manifest names them.
const BY: &str = concat!("sentinel ", env!("CARGO_PKG_VERSION"));
/// Months kept besides the current one, unless stated.
const KEEP_MONTHS: u32 = 12;

/// Where past months of decisions go, and how many stay.
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

    /// Looks for months to archive from time to time. Ends only when it is broken off, which is
    /// safe at any moment.
    pub(crate) async fn run(self, store: Arc<PostgresStore>, clock: Arc<dyn Clock>) {
        let mut ticks = tokio::time::interval(HOUSEKEEPING);
        loop {
            ticks.tick().await;
            match store.closed_months(self.keep_months, clock.now()).await {
                Ok(months) => {
                    for month in months {
                        if !self.archive(&store, month, &*clock).await {
                            break;
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "no month of decisions could be archived"),
            }
        }
    }

    /// Answers whether to go on with the next month. Another replica that is at this one goes on
    /// itself; two that pass each other by would leave months to the next look.
    async fn archive(&self, store: &PostgresStore, closed: ClosedMonth, clock: &dyn Clock) -> bool {
        let month = closed.month();
        tracing::info!(%month, "archiving a month of decisions");
        match store.archive_month(closed, &self.archive, clock.now(), BY).await {
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
