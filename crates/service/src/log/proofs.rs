//! What is handed out of the log: entries for bundles, and its files.

use std::time::Duration;

use sentinel_core::log::{LogHead, LogPlace, ReceiptKind};
use sentinel_provenance::Bundle;
use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Checkpoint, HashedRekord, SignedCheckpoint, TILE_WIDTH, Tile, TilePath, TrustedRoot,
    encode_entries, inclusion_tiles, prove_inclusion,
};

use super::TransparencyLog;
use super::shards::{Shard, broken};
use crate::ServiceError;

/// How long a bundle is waited for, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(40);

/// A file of the log, as C2SP's tlog-tiles lays it out.
#[derive(Debug)]
pub struct LogFile {
    pub content: Vec<u8>,
    pub life: CacheLife,
}

/// Whether a file may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheLife {
    /// Never: a tile of one width has one content.
    Forever,
    /// With every step of the log.
    Moment,
}

impl TransparencyLog {
    /// Puts the place in the log into `bundle`, once a checkpoint covers it.
    ///
    /// # Errors
    /// `log_behind` when none does in time; when the store is away, or what it has contradicts
    /// itself.
    pub async fn complete(&self, bundle: Bundle, place: LogPlace) -> Result<Bundle, ServiceError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let (shard, head) = loop {
            let (shard, head) = self.shard_and_head(place.shard).await?;
            if head.size > place.index {
                break (shard, head);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(ServiceError::LogBehind { index: place.index });
            }
            tokio::time::sleep(GLANCE).await;
        };
        let entry = self.entry(&shard, &head, place.index).await?;
        let failed = |error: &dyn std::fmt::Display| broken(&error.to_string());
        let mut bundle = bundle.with_log_entry(entry).map_err(|error| failed(&error))?;
        for receipt in self.store.receipts(place).await? {
            bundle = match receipt.kind {
                ReceiptKind::Rekor => {
                    let entry = serde_json::from_slice(&receipt.content);
                    let entry = entry.map_err(|error| failed(&error))?;
                    bundle.with_log_entry(entry).map_err(|error| failed(&error))?
                }
                ReceiptKind::Timestamp => {
                    bundle.with_timestamp(receipt.content).map_err(|error| failed(&error))?
                }
            };
        }
        Ok(bundle)
    }

    async fn shard_and_head(&self, ordinal: u32) -> Result<(Shard, LogHead), ServiceError> {
        let shard = self.shard_by(|shard| shard.shard.ordinal == ordinal).await?;
        let shard = shard.ok_or_else(|| broken("a leaf is in a shard that is not there"))?;
        let head = self.store.log_head(ordinal).await?;
        Ok((shard, head.ok_or_else(|| broken("a shard has no head"))?))
    }

    pub(super) async fn shard_by(
        &self,
        wanted: impl Fn(&Shard) -> bool,
    ) -> Result<Option<Shard>, ServiceError> {
        if let Some(shard) = self.shards().iter().find(|shard| wanted(shard)) {
            return Ok(Some(shard.clone()));
        }
        Ok(self.refresh_shards().await?.iter().find(|shard| wanted(shard)).cloned())
    }

    /// The entry of one leaf, under the newest checkpoint that witnesses saw, if that covers it,
    /// and else under the newest.
    async fn entry(
        &self,
        shard: &Shard,
        head: &LogHead,
        index: u64,
    ) -> Result<TransparencyLogEntry, ServiceError> {
        let leaves = self.store.leaves(shard.shard.ordinal, index, 1).await?;
        let leaf = leaves.first().ok_or_else(|| broken("a leaf is missing"))?;
        let leaf = HashedRekord::parse(leaf).map_err(|error| broken(&error.to_string()))?;
        let checkpoint = newest(shard, head, index)?;
        let size = checkpoint.size();
        let wanted =
            inclusion_tiles(index, size).ok_or_else(|| broken("a leaf is out of range"))?;
        let tiles = self.read_tiles(shard.shard.ordinal, wanted).await?;
        let read = |tile: Tile| tiles.get(&(tile.level(), tile.index())).cloned().ok_or("missing");
        let proof =
            prove_inclusion(index, size, read).map_err(|error| broken(&error.to_string()))?;
        TransparencyLogEntry::new(&shard.key, &leaf, index, proof, &checkpoint)
            .map_err(|error| broken(&error.to_string()))
    }

    /// The newest checkpoint of a shard, the open one's unless an origin is named; `None` when
    /// there is no such shard, or nothing is signed yet.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn checkpoint(&self, origin: Option<&str>) -> Result<Option<LogFile>, ServiceError> {
        let Some(shard) = self.shard_named(origin).await? else { return Ok(None) };
        let head = self.store.log_head(shard.shard.ordinal).await?;
        let Some(head) = head else { return Ok(None) };
        // The same state, with the cosignatures.
        let note = match head.witnessed {
            Some((size, witnessed)) if size == head.size => Some(witnessed),
            _ => head.checkpoint,
        };
        let file = |note: String| LogFile { content: note.into_bytes(), life: CacheLife::Moment };
        Ok(note.map(file))
    }

    async fn shard_named(&self, origin: Option<&str>) -> Result<Option<Shard>, ServiceError> {
        match origin {
            None => Ok(self.shards().last().cloned()),
            Some(origin) => self.shard_by(|shard| shard.shard.origin == origin).await,
        }
    }

    /// A tile of hashes or of entries; `None` when the log has not grown so far.
    ///
    /// # Errors
    /// When the store is away, or holds less than its checkpoint says.
    pub async fn tile(
        &self,
        origin: Option<&str>,
        path: TilePath,
    ) -> Result<Option<LogFile>, ServiceError> {
        let Some(shard) = self.shard_named(origin).await? else { return Ok(None) };
        let ordinal = shard.shard.ordinal;
        let content = match path {
            TilePath::Hashes(tile) => {
                let place = (tile.level(), tile.index());
                let found = self.store.tiles(ordinal, vec![place]).await?;
                let length = usize::from(tile.width()) * 32;
                let found = found.into_iter().next().flatten();
                found.and_then(|hashes| hashes.get(..length).map(<[u8]>::to_vec))
            }
            TilePath::Entries(tile) => {
                let from = tile.index() * u64::from(TILE_WIDTH);
                let width = u32::from(tile.width());
                let head = self.store.log_head(ordinal).await?;
                if head.is_none_or(|head| head.size < from + u64::from(width)) {
                    return Ok(None);
                }
                let leaves = self.store.leaves(ordinal, from, width).await?;
                if leaves.len() != usize::from(tile.width()) {
                    return Err(broken("leaves are missing below a checkpoint"));
                }
                Some(encode_entries(&leaves).map_err(|error| broken(&error.to_string()))?)
            }
        };
        Ok(content.map(|content| LogFile { content, life: CacheLife::Forever }))
    }

    /// What verifiers need to trust every shard.
    ///
    /// # Errors
    /// When an origin is not a host name.
    pub fn trusted_root(&self) -> Result<TrustedRoot, ServiceError> {
        let shards = self.shards();
        let logs = shards.iter().map(Shard::trusted).collect::<Result<Vec<_>, _>>()?;
        Ok(TrustedRoot { logs })
    }
}

fn newest(shard: &Shard, head: &LogHead, index: u64) -> Result<SignedCheckpoint, ServiceError> {
    let witnessed = head.witnessed.as_ref().filter(|(size, _)| *size > index);
    let note = witnessed.map(|(_, note)| note).or(head.checkpoint.as_ref());
    let note = note.ok_or_else(|| broken("a shard has no checkpoint"))?;
    Checkpoint::open(note, &shard.key).map_err(|error| broken(&error.to_string()))
}
