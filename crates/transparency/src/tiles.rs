//! Sources of the tiles of a log.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{ProveError, Tile, TilePath, consistency_tiles, prove_consistency};

/// Why a tile could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("`{0}` cannot be read: {1}")]
    Away(TilePath, String),
    /// The file exists, but is not a tile.
    #[error("`{0}` is damaged: {1}")]
    Damaged(TilePath, String),
    /// There is no such tree, or its tiles do not have its root.
    #[error("there is no proof: {0}")]
    NoProof(String),
}

/// The tiles and entry bundles of one log, either in our database or at an address. They are not
/// trusted; they must lead to a signed root.
#[async_trait]
pub trait TileSource: Send + Sync {
    /// The exact bytes at a path of the tlog-tiles layout.
    ///
    /// # Errors
    /// [`SourceError::Away`].
    async fn read(&self, path: TilePath) -> Result<Bytes, SourceError>;
}

/// The hashes of one tile.
pub(crate) async fn hashes(
    source: &dyn TileSource,
    tile: Tile,
) -> Result<Vec<Sha256Digest>, SourceError> {
    let path = TilePath::Hashes(tile);
    let bytes = source.read(path).await?;
    tile.parse_hashes(&bytes).map_err(|error| SourceError::Damaged(path, error.to_string()))
}

/// The hashes of several.
pub(crate) async fn all_hashes(
    source: &dyn TileSource,
    tiles: BTreeSet<Tile>,
) -> Result<BTreeMap<Tile, Vec<Sha256Digest>>, SourceError> {
    let mut read = BTreeMap::new();
    for tile in tiles {
        read.insert(tile, hashes(source, tile).await?);
    }
    Ok(read)
}

/// The proof that the tree of `new` leaves begins with that of `old`.
pub(crate) async fn consistency(
    source: &dyn TileSource,
    old: u64,
    new: u64,
) -> Result<Vec<Sha256Digest>, SourceError> {
    let no_proof = || SourceError::NoProof(format!("a tree of {new} leaves has none of {old}"));
    let tiles = all_hashes(source, consistency_tiles(old, new).ok_or_else(no_proof)?).await?;
    let proof = prove_consistency(old, new, |tile| tiles.get(&tile).cloned().ok_or("not planned"));
    proof.map_err(|error: ProveError<&str>| SourceError::NoProof(error.to_string()))
}
