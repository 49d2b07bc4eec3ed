//! Outlets that take leaves one by one and return receipts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use sentinel_core::log::{LogPlace, LogReceipt, ReceiptKind};
use sentinel_provenance::log::HashedRekord;

use super::{Outlet, OutletCounts, OutletError, Shard, Step};
use crate::rekor::Rekor;
use crate::timestamp::Timestamper;

const PAUSE: Duration = Duration::from_secs(1);
/// Leaves in progress at a time. Rekor responds to all of them with its next checkpoint.
const AT_ONCE: u32 = 32;

enum Peer {
    Rekor(Rekor),
    Timestamper(Timestamper),
}

pub(super) struct Entries {
    peer: Peer,
    /// The cursor of a new peer starts at zero.
    cursor: String,
    counts: Arc<OutletCounts>,
}

impl Entries {
    pub(super) fn of_rekor(rekor: Rekor, counts: Arc<OutletCounts>) -> Self {
        let cursor = format!("rekor {}", rekor.url());
        Self { peer: Peer::Rekor(rekor), cursor, counts }
    }

    pub(super) fn of_timestamper(timestamper: Timestamper, counts: Arc<OutletCounts>) -> Self {
        let cursor = format!("timestamps {}", timestamper.url());
        Self { peer: Peer::Timestamper(timestamper), cursor, counts }
    }

    /// The verified receipt for the leaf at a place.
    async fn receipt(&self, place: LogPlace, leaf: &[u8]) -> Result<LogReceipt, OutletError> {
        let index = place.index;
        let broken =
            |error: &dyn std::fmt::Display| OutletError::Log(format!("leaf {index}: {error}"));
        let leaf = HashedRekord::parse(leaf).map_err(|error| broken(&error))?;
        let (kind, content) = match &self.peer {
            Peer::Rekor(rekor) => {
                let entry = rekor.enter(&leaf).await;
                let entry = entry.map_err(|error| OutletError::Rekor { index, error })?;
                (ReceiptKind::Rekor, entry.to_json().map_err(|error| broken(&error))?)
            }
            Peer::Timestamper(timestamper) => {
                let stamped = timestamper.stamp(&leaf).await;
                let stamped = stamped.map_err(|error| OutletError::Timestamp { index, error })?;
                (ReceiptKind::Timestamp, stamped.0)
            }
        };
        Ok(LogReceipt { place, kind, content })
    }
}

#[async_trait]
impl Outlet for Entries {
    fn counts(&self) -> &Arc<OutletCounts> {
        &self.counts
    }

    fn pause(&self) -> Duration {
        PAUSE
    }

    async fn done(&self, shard: &Shard) -> Result<u64, OutletError> {
        Ok(shard.store.log_cursor(&self.cursor, shard.ordinal).await?)
    }

    async fn step(&self, shard: &Shard, done: u64) -> Result<Step, OutletError> {
        let left = u32::try_from(shard.size().saturating_sub(done)).unwrap_or(u32::MAX);
        if left == 0 {
            return Ok(Step::Idle);
        }
        let leaves = shard.store.leaves(shard.ordinal, done, left.min(AT_ONCE)).await?;
        let places = (done..).map(|index| LogPlace { shard: shard.ordinal, index });
        let asked = places.zip(&leaves).map(|(place, leaf)| self.receipt(place, leaf));
        let mut receipts = Vec::new();
        let mut failed = None;
        for receipt in join_all(asked).await {
            match receipt {
                Ok(receipt) => receipts.push(receipt),
                // Later leaves are submitted again, because the cursor has no gaps.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if !receipts.is_empty() {
            let to = done + receipts.len() as u64;
            shard.store.move_log_cursor(&self.cursor, shard.ordinal, to, receipts).await?;
        }
        failed.map_or(Ok(Step::Moved), Err)
    }
}
