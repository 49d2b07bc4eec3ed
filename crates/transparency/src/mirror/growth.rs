//! Verifies and copies the tiles that a larger tree has in addition to a smaller one.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{
    EntryTile, Frontier, SignedCheckpoint, TILE_WIDTH, Tile, TilePath, frontier_tiles, leaf_hash,
    load_frontier, parse_entries,
};

use super::{Mirror, MirrorError};
use crate::tiles::{TileSource, all_hashes};

/// Tiles copied at one time.
const AT_ONCE: usize = 8;

impl Mirror {
    pub(super) async fn copy_growth(
        &self,
        from: u64,
        checkpoint: &SignedCheckpoint,
        source: &dyn TileSource,
    ) -> Result<(), MirrorError> {
        let size = checkpoint.size();
        let Some(edge) = frontier_tiles(size) else { return Ok(()) };
        let hashes = all_hashes(source, edge).await?;
        let frontier = load_frontier(size, |tile| hashes.get(&tile).cloned().ok_or("not planned"));
        if frontier.map(|frontier| frontier.root()).ok() != Some(checkpoint.root()) {
            let last = Tile::in_tree(0, size.saturating_sub(1) / u64::from(TILE_WIDTH), size);
            let Some(last) = last else { return Ok(()) };
            return Err(MirrorError::Damaged(TilePath::Hashes(last)));
        }
        // The roots over the full tiles of the level below that were copied, from which index on.
        let mut below: Option<(u64, Vec<Sha256Digest>)> = None;
        for level in 0..=u8::MAX {
            let count = |size: u64| size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            if count(size) <= count(from) {
                break;
            }
            let first = count(from) / u64::from(TILE_WIDTH);
            let tiles = (first..).map_while(|index| Tile::in_tree(level, index, size));
            let copied = stream::iter(tiles)
                .map(|tile| self.copy(tile, below.as_ref(), source))
                .buffered(AT_ONCE)
                .try_collect::<Vec<_>>()
                .await?;
            below = Some((first, copied.into_iter().flatten().collect()));
        }
        Ok(())
    }

    /// Copies a tile, and at level 0 the entries below it. Returns the root over a full tile.
    async fn copy(
        &self,
        tile: Tile,
        below: Option<&(u64, Vec<Sha256Digest>)>,
        source: &dyn TileSource,
    ) -> Result<Option<Sha256Digest>, MirrorError> {
        let path = TilePath::Hashes(tile);
        let bytes = source.read(path).await?;
        let damaged = |_| MirrorError::Damaged(path);
        let hashes = tile.parse_hashes(&bytes).map_err(damaged)?;
        if tile.level() == 0 {
            self.copy_entries(tile, &hashes, source).await?;
        } else if let Some((first, roots)) = below {
            let at = tile.index() * u64::from(TILE_WIDTH);
            let is_so = (at..).zip(&hashes).all(|(index, hash)| {
                let root = index.checked_sub(*first).and_then(|n| usize::try_from(n).ok());
                root.and_then(|n| roots.get(n)).is_none_or(|root| root == hash)
            });
            if !is_so {
                return Err(MirrorError::Damaged(path));
            }
        }
        self.put_tile(path, bytes).await?;
        Ok(tile.is_full().then(|| root_over(&hashes)).flatten())
    }

    async fn copy_entries(
        &self,
        tile: Tile,
        hashes: &[Sha256Digest],
        source: &dyn TileSource,
    ) -> Result<(), MirrorError> {
        let hashes_path = TilePath::Hashes(tile);
        let damaged = || MirrorError::Damaged(hashes_path);
        let entries = EntryTile::new(tile.index(), tile.width()).map_err(|_| damaged())?;
        let path = TilePath::Entries(entries);
        let bytes: Bytes = source.read(path).await?;
        let leaves =
            parse_entries(&bytes, entries.width()).map_err(|_| MirrorError::Damaged(path))?;
        if !leaves.iter().map(|leaf| leaf_hash(leaf)).eq(hashes.iter().copied()) {
            return Err(MirrorError::Damaged(path));
        }
        self.put_tile(path, bytes).await
    }
}

fn root_over(hashes: &[Sha256Digest]) -> Option<Sha256Digest> {
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.append(*hash).ok()?;
    }
    Some(frontier.root())
}
