//! Reads a stored shard as tiles.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sentinel_core::log::LogHead;
use sentinel_core::ports::LogStore;
use sentinel_provenance::log::{
    Checkpoint, SignedCheckpoint, TILE_WIDTH, TilePath, VerifierKey, encode_entries,
};

use super::OutletError;
use crate::tiles::{SourceError, TileSource};

/// A shard, up to the size that was sequenced when it was read.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) store: Arc<dyn LogStore>,
    pub(super) ordinal: u32,
    pub(super) key: VerifierKey,
    pub(super) head: LogHead,
}

impl Shard {
    /// All shards, the oldest first.
    pub(super) async fn all(store: &Arc<dyn LogStore>) -> Result<Vec<Self>, OutletError> {
        let mut shards = Vec::new();
        for shard in store.log_shards().await? {
            let key = VerifierKey::parse(&shard.verifier_key)
                .map_err(|error| OutletError::Log(error.to_string()))?;
            let Some(head) = store.log_head(shard.ordinal).await? else { continue };
            shards.push(Self { store: Arc::clone(store), ordinal: shard.ordinal, key, head });
        }
        Ok(shards)
    }

    pub(super) const fn size(&self) -> u64 {
        self.head.size
    }

    /// The newest checkpoint.
    pub(super) fn checkpoint(&self) -> Result<SignedCheckpoint, OutletError> {
        let note = self.head.checkpoint.as_deref().unwrap_or_default();
        let signed = Checkpoint::open(note, &self.key);
        let signed = signed.map_err(|error| OutletError::Log(error.to_string()))?;
        if signed.size() == self.head.size {
            Ok(signed)
        } else {
            Err(OutletError::Log("its checkpoint has another size than its head".to_owned()))
        }
    }

    /// Judges a larger checkpoint of another party. Another leader may have reached that size since
    /// the head was read. If none has, the log was rolled back.
    pub(super) async fn explain(&self, who: &str, theirs: u64) -> Result<(), OutletError> {
        let head = self.store.log_head(self.ordinal).await?;
        let ours = head.map_or(0, |head| head.size);
        if ours >= theirs {
            return Ok(());
        }
        let origin = self.key.name().to_string();
        Err(OutletError::RolledBack { who: who.to_owned(), origin, theirs, ours })
    }
}

#[async_trait]
impl TileSource for Shard {
    async fn read(&self, path: TilePath) -> Result<Bytes, SourceError> {
        let away = |error: &dyn std::fmt::Display| SourceError::Away(path, error.to_string());
        let damaged = |what: &str| SourceError::Damaged(path, what.to_owned());
        match path {
            TilePath::Hashes(tile) => {
                let place = (tile.level(), tile.index());
                let found = self.store.tiles(self.ordinal, vec![place]).await;
                let found = found.map_err(|error| away(&error))?.into_iter().next().flatten();
                // It may have grown since.
                let hashes = found.and_then(|hashes| {
                    hashes.get(..32 * usize::from(tile.width())).map(Bytes::copy_from_slice)
                });
                hashes.ok_or_else(|| damaged("it is not there"))
            }
            TilePath::Entries(tile) => {
                let from = tile.index() * u64::from(TILE_WIDTH);
                let width = u32::from(tile.width());
                let leaves = self.store.leaves(self.ordinal, from, width).await;
                let leaves = leaves.map_err(|error| away(&error))?;
                if leaves.len() != usize::from(tile.width()) {
                    return Err(damaged("leaves are missing"));
                }
                encode_entries(&leaves)
                    .map(Bytes::from)
                    .map_err(|error| damaged(&error.to_string()))
            }
        }
    }
}
