//! The sequencer: takes what was appended into the tree, and signs its new head.
//!
//! Any number of replicas may try; the store lets one lead at a time. A step is one transaction,
//! guarded by the fence of the lead and by the size it starts from, and keeps nothing in memory, so
//! that it can be broken off anywhere: the next one, here or elsewhere, begins from what is stored.
//! Since leaves have their places before they are sequenced, whatever size it signs has one root.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Instant;

use sentinel_core::log::{Advance, LogHead, StoredTile};
use sentinel_core::store::StoreError;
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{Checkpoint, Frontier, Growth, Tile, growth_tiles, leaf_hash};

use super::shards::{Shard, broken, open_checkpoint};
use super::{INTERVAL, LEASE, STEP, TransparencyLog};
use crate::ServiceError;

/// Rounds after which a replica looks what the others did: some two seconds.
const LOOK_EVERY: u32 = 8;

/// Sequences until the log is dropped.
pub async fn follow(log: Weak<TransparencyLog>) {
    let mut lead = Lead::default();
    let mut failure: Option<String> = None;
    for round in 0_u32.. {
        let Some(log) = log.upgrade() else { return };
        // A notification ends the wait before the interval is over.
        drop(tokio::time::timeout(INTERVAL, log.wake.notified()).await);
        let sequenced = log.sequence(&mut lead).await;
        if sequenced.is_err() && lead.fence.take().is_some() {
            // Another one may be able to. When this fails, the lead runs out.
            drop(log.resign().await);
        }
        let looked = if round.is_multiple_of(LOOK_EVERY) { log.look().await } else { Ok(()) };
        match sequenced.and(looked) {
            Ok(()) => {
                if failure.take().is_some() {
                    tracing::info!("the transparency log goes on");
                }
            }
            Err(error) => {
                let error = error.cause();
                if failure.as_ref() != Some(&error) {
                    tracing::error!(error, "the transparency log does not go on; trying again");
                    failure = Some(error);
                }
            }
        }
    }
}

/// Whether this process leads, as far as it knows.
#[derive(Debug, Default)]
struct Lead {
    fence: Option<(u64, Instant)>,
}

impl TransparencyLog {
    /// Sequences everything that was appended so far, if this process leads.
    ///
    /// # Errors
    /// When the store is away, what is stored contradicts itself, or no key can sign.
    pub async fn sequence_now(&self) -> Result<(), ServiceError> {
        self.sequence(&mut Lead::default()).await
    }

    /// Takes or keeps the lead; `None` while another process holds it. For those who send the log
    /// to other places, which one process at a time should do.
    ///
    /// # Errors
    /// When the store is away, or this process could not go on with the log: a leader that cannot
    /// keeps those from it that can.
    pub async fn lead(&self) -> Result<Option<u64>, ServiceError> {
        if let Some(open) = self.shards().last() {
            self.require_signer(open)?;
        }
        Ok(self.store.lead(self.holder, LEASE).await?)
    }

    /// Gives up the lead, so that another process need not wait until it runs out.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn resign(&self) -> Result<(), ServiceError> {
        Ok(self.store.resign(self.holder).await?)
    }

    async fn sequence(&self, lead: &mut Lead) -> Result<(), ServiceError> {
        self.appended.store(0, Ordering::Relaxed);
        let mut shards = self.shards();
        if shards.last().is_some_and(|open| self.is_to_rotate(open)) {
            // Another process may have begun the next one.
            shards = self.refresh_shards().await?;
        }
        let Some(open) = shards.last() else { return Err(broken("it has no shard")) };
        // Before the lead is taken, which is for those who can go on.
        let rotate = self.is_to_rotate(open);
        self.require_signer(open)?;
        if rotate {
            self.require_new_name()?;
        }
        loop {
            // What is far behind is brought up before it is ended: nothing can be appended
            // meanwhile.
            let rotate = rotate && !self.has_leaf(open, u64::from(STEP)).await?;
            if !rotate && !self.has_leaf(open, 0).await? {
                return Ok(());
            }
            let Some(fence) = self.keep_lead(lead).await? else { return Ok(()) };
            if rotate {
                return self.rotate(open, fence).await;
            }
            if !self.step(open, fence).await? {
                // Another one leads, or took the step: what it did is seen the next time.
                lead.fence = None;
                return Ok(());
            }
        }
    }

    /// Whether so many leaves, and one more, are yet to be sequenced.
    async fn has_leaf(&self, open: &Shard, beyond: u64) -> Result<bool, ServiceError> {
        let head = self.head(open).await?;
        let leaves = self.store.leaves(open.shard.ordinal, head.size + beyond, 1).await?;
        Ok(!leaves.is_empty())
    }

    async fn keep_lead(&self, lead: &mut Lead) -> Result<Option<u64>, ServiceError> {
        match lead.fence {
            Some((fence, since)) if since.elapsed() < LEASE / 3 => Ok(Some(fence)),
            _ => {
                // From before the response: the store counts from a later moment.
                let asked = Instant::now();
                let fence = self.lead().await?;
                lead.fence = fence.map(|fence| (fence, asked));
                Ok(fence)
            }
        }
    }

    /// The head of a shard, which must not be behind what this process has seen: going on from
    /// there would sign what contradicts it.
    pub(super) async fn head(&self, shard: &Shard) -> Result<LogHead, ServiceError> {
        // Read first, since another task may move the head.
        let seen = self.seen_checkpoint().filter(|seen| seen.origin == shard.shard.origin);
        let head = self.store.log_head(shard.shard.ordinal).await?;
        let head = head.ok_or_else(|| broken("a shard has no head"))?;
        let Some(seen) = seen else { return Ok(head) };
        let forked = || {
            let frontier = Frontier::from_bytes(&head.frontier);
            frontier.is_ok_and(|now| now.root() != seen.root_hash)
        };
        if head.size < seen.size || (head.size == seen.size && forked()) {
            let (origin, known, size) = (&shard.shard.origin, seen.size, head.size);
            let why = format!(
                "log `{origin}` had {known} leaves and now has {size}, or others: was the database \
                restored from a backup?"
            );
            return Err(ServiceError::from(StoreError::Corrupt(why)));
        }
        Ok(head)
    }

    /// Takes a number of leaves into the tree; `false` when there are none, or another one did.
    pub(super) async fn step(&self, shard: &Shard, fence: u64) -> Result<bool, ServiceError> {
        let signer = self.require_signer(shard)?;
        let ordinal = shard.shard.ordinal;
        let head = self.head(shard).await?;
        let leaves = self.store.leaves(ordinal, head.size, STEP).await?;
        if leaves.is_empty() {
            return Ok(false);
        }
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let growth = self.grow(shard, &head, &hashes).await?;
        let (size, root) = (growth.frontier.size(), growth.frontier.root());
        let checkpoint = Checkpoint::new(&shard.shard.origin, size, root)
            .map_err(|error| broken(&error.to_string()))?;
        let note = signer.sign(&checkpoint).await;
        let note = note.map_err(|error| ServiceError::Unavailable(error.to_string()))?;
        let step = Advance {
            shard: ordinal,
            fence,
            from: head.size,
            size,
            frontier: growth.frontier.to_bytes(),
            tiles: growth.tiles.iter().map(stored).collect(),
            checkpoint: note,
        };
        let moved = self.store.advance(step).await?;
        if moved {
            self.see(&checkpoint);
        }
        Ok(moved)
    }

    async fn grow(
        &self,
        shard: &Shard,
        head: &LogHead,
        hashes: &[Sha256Digest],
    ) -> Result<Growth, ServiceError> {
        let frontier = frontier(shard, head)?;
        let wanted = growth_tiles(head.size, hashes.len() as u64);
        let tiles = self.read_tiles(shard.shard.ordinal, wanted).await?;
        let read = |tile: Tile| tiles.get(&(tile.level(), tile.index())).cloned().ok_or("missing");
        Growth::of(&frontier, hashes, read).map_err(|error| broken(&error.to_string()))
    }

    /// Tiles as far as they are there, by level and index.
    pub(super) async fn read_tiles(
        &self,
        ordinal: u32,
        wanted: impl IntoIterator<Item = Tile>,
    ) -> Result<BTreeMap<(u8, u64), Vec<Sha256Digest>>, ServiceError> {
        let places: Vec<_> = wanted.into_iter().map(|tile| (tile.level(), tile.index())).collect();
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = self.store.tiles(ordinal, places.clone()).await?;
        places
            .into_iter()
            .zip(found)
            .filter_map(|(place, hashes)| Some((place, hashes?)))
            .map(|(place, hashes)| Ok((place, parse(&hashes)?)))
            .collect()
    }
}

/// The frontier, which must be that of the last checkpoint: going on from another would sign what
/// contradicts it.
fn frontier(shard: &Shard, head: &LogHead) -> Result<Frontier, ServiceError> {
    let frontier =
        Frontier::from_bytes(&head.frontier).map_err(|error| broken(&error.to_string()))?;
    let agrees = match &head.checkpoint {
        Some(note) => {
            let last = open_checkpoint(note, &shard.key)?;
            (last.size(), last.root()) == (frontier.size(), frontier.root())
        }
        None => frontier.size() == 0,
    };
    if agrees && frontier.size() == head.size {
        Ok(frontier)
    } else {
        let origin = &shard.shard.origin;
        let why = format!("the stored tree of log `{origin}` is not that of its last checkpoint");
        Err(ServiceError::from(StoreError::Corrupt(why)))
    }
}

fn stored((tile, hashes): &(Tile, Vec<Sha256Digest>)) -> StoredTile {
    let hashes = Tile::write_hashes(hashes);
    StoredTile { level: tile.level(), index: tile.index(), hashes }
}

fn parse(bytes: &[u8]) -> Result<Vec<Sha256Digest>, ServiceError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(broken("a stored tile is not a number of hashes"));
    }
    Ok(hashes.iter().copied().map(Sha256Digest::from_bytes).collect())
}
