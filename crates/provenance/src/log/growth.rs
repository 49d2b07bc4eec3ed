//! The tiles that change when a tree grows.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::log::frontier::{Frontier, FrontierError};
use crate::log::merkle::perfect_root;
use crate::log::tile::{TILE_WIDTH, Tile};

/// Why a tree could not be grown. `E` is the error of the tile reader.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GrowthError<E> {
    /// A partial tile could not be read.
    #[error("tile `{tile}` could not be read: {reason}")]
    Read {
        /// The tile.
        tile: Tile,
        /// Why.
        reason: E,
    },
    /// A partial tile is not the one that the frontier was made from. Going on
    /// would sign a tree that the earlier checkpoints contradict.
    #[error("tile `{tile}` does not belong to the tree")]
    Corrupt {
        /// The tile.
        tile: Tile,
    },
    /// The tree has as many leaves as a tree can have.
    #[error("tree is full")]
    Full,
}

impl<E> From<FrontierError> for GrowthError<E> {
    fn from(_: FrontierError) -> Self {
        Self::Full
    }
}

/// What appending leaves changes. The earlier tree is left as it was, so that
/// nothing happens when it cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The tiles that are new or wider, with all their hashes, lowest level
    /// first. Full tiles never change again.
    pub tiles: Vec<(Tile, Vec<Sha256Digest>)>,
    /// The frontier of the grown tree.
    pub frontier: Frontier,
}

impl Growth {
    /// Appends leaves, given by their hashes, to the tree of `frontier`.
    /// `read_tile` is asked for at most one partial tile for each level, those of
    /// [`growth_tiles`], and may answer with a wider one.
    ///
    /// ```
    /// use sentinel_provenance::log::{Frontier, Growth, leaf_hash};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let none = |_| Err("an empty tree has no tiles");
    /// let growth = Growth::of(&Frontier::new(), &[leaf_hash(b"leaf"); 257], none)?;
    /// let paths: Vec<String> = growth.tiles.iter().map(|(tile, _)| tile.to_string()).collect();
    /// assert_eq!(paths, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`GrowthError`] when a partial tile is absent or damaged.
    pub fn of<E>(
        frontier: &Frontier,
        leaf_hashes: &[Sha256Digest],
        mut read_tile: impl FnMut(Tile) -> Result<Vec<Sha256Digest>, E>,
    ) -> Result<Self, GrowthError<E>> {
        let mut grown = frontier.clone();
        for hash in leaf_hashes {
            grown.append(*hash)?;
        }
        let mut tiles = Vec::new();
        let (mut level, mut count, mut added) = (0, frontier.size(), leaf_hashes.to_vec());
        while !added.is_empty() {
            let mut hashes = partial(frontier, level, &mut read_tile)?;
            let mut index = count / u64::from(TILE_WIDTH);
            let mut above = Vec::new();
            for hash in added {
                hashes.push(hash);
                if hashes.len() == usize::from(TILE_WIDTH) {
                    above.extend(perfect_root(&hashes));
                    let tile =
                        Tile::new(level, index, TILE_WIDTH).map_err(|_| GrowthError::Full)?;
                    tiles.push((tile, std::mem::take(&mut hashes)));
                    index += 1;
                }
            }
            if !hashes.is_empty() {
                let tile = Tile::in_tree(level, index, grown.size()).ok_or(GrowthError::Full)?;
                tiles.push((tile, hashes));
            }
            (level, count, added) = (level + 1, count / u64::from(TILE_WIDTH), above);
        }
        Ok(Self { tiles, frontier: grown })
    }
}

/// The tiles that [`Growth::of`] will read when `added` leaves are appended to a
/// tree of `size`, for callers who must fetch them first.
///
/// ```
/// use sentinel_provenance::log::growth_tiles;
///
/// let paths: Vec<String> = growth_tiles(700, 100).iter().map(ToString::to_string).collect();
/// assert_eq!(paths, ["tile/0/002.p/188", "tile/1/000.p/2"]);
/// ```
#[must_use]
pub fn growth_tiles(size: u64, added: u64) -> BTreeSet<Tile> {
    let grows = |level: &u8| {
        let hashes = |size: u64| size.checked_shr(8 * u32::from(*level)).unwrap_or(0);
        hashes(size.saturating_add(added)) > hashes(size)
    };
    let last = |level: u8| {
        let index = size.checked_shr(8 * u32::from(level) + 8).unwrap_or(0);
        Tile::in_tree(level, index, size)
    };
    // Once a level does not grow, none above it does.
    (0..=u8::MAX).take_while(grows).filter_map(last).collect()
}

/// The partial tile at the right edge, checked against the frontier; empty when
/// there is none.
fn partial<E>(
    frontier: &Frontier,
    level: u8,
    read_tile: &mut impl FnMut(Tile) -> Result<Vec<Sha256Digest>, E>,
) -> Result<Vec<Sha256Digest>, GrowthError<E>> {
    let from = 8 * u32::from(level);
    let full = u64::from(TILE_WIDTH);
    let index = (frontier.size() >> from) / full;
    let Some(tile) = Tile::in_tree(level, index, frontier.size()) else { return Ok(Vec::new()) };
    let mut hashes = read_tile(tile).map_err(|reason| GrowthError::Read { tile, reason })?;
    let corrupt = GrowthError::Corrupt { tile };
    if hashes.len() < usize::from(tile.width()) {
        return Err(corrupt);
    }
    hashes.truncate(usize::from(tile.width()));
    let mut rest = hashes.as_slice();
    for expected in frontier.subtrees_between(from, from + 8) {
        // The largest power of two that is left: the subtrees come largest first.
        let width = 1 << rest.len().checked_ilog2().unwrap_or_default();
        match rest.split_at_checked(width) {
            Some((subtree, after)) if perfect_root(subtree) == Some(*expected) => rest = after,
            _ => return Err(corrupt),
        }
    }
    if rest.is_empty() { Ok(hashes) } else { Err(corrupt) }
}
