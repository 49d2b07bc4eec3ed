//! The mirror as an outlet.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_objects::Folder;

use super::{Outlet, OutletCounts, OutletError, Shard, Step};
use crate::mirror::{Mirror, Mirrored as Outcome};

/// Pause between two checkpoints: each leaves partial tiles behind, which are kept.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Mirrored {
    /// The cursor of a new mirror starts at zero.
    cursor: String,
    folder: Folder,
    counts: Arc<OutletCounts>,
    /// Shards whose checkpoint there was compared with ours since the start.
    compared: Mutex<BTreeSet<u32>>,
}

impl Mirrored {
    pub(super) fn new(url: &str, folder: Folder, counts: Arc<OutletCounts>) -> Self {
        Self { cursor: format!("mirror {url}"), folder, counts, compared: Mutex::default() }
    }

    fn was_compared(&self, shard: &Shard) -> bool {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner).contains(&shard.ordinal)
    }
}

#[async_trait]
impl Outlet for Mirrored {
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
        // A restored database has an old cursor; the mirror itself is authoritative.
        if done >= shard.size() && self.was_compared(shard) {
            return Ok(Step::Idle);
        }
        let checkpoint = shard.checkpoint()?;
        let mirror = Mirror::at(&self.folder, shard.key.clone());
        if let Outcome::Ahead { size } = mirror.publish(done, &checkpoint, shard).await? {
            shard.explain("the mirror", size).await?;
            return Ok(Step::Idle);
        }
        self.compared.lock().unwrap_or_else(PoisonError::into_inner).insert(shard.ordinal);
        let to = shard.size();
        shard.store.move_log_cursor(&self.cursor, shard.ordinal, to, Vec::new()).await?;
        Ok(Step::Idle)
    }
}
