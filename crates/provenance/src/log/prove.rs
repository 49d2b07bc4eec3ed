//! Merkle proofs from tiles.
//!
//! Each function that makes a proof takes a closure that reads a tile, and has
//! a sibling that lists the tiles beforehand, for callers who must fetch them
//! first. Each tile is read once; the reader may return a wider one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::log::frontier::Frontier;
use crate::log::merkle::{MAX_TREE_SIZE, fold, perfect_root};
use crate::log::tile::{TILE_WIDTH, Tile};

/// Why there is no proof. `E` is the error of the tile reader.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// No tree has such leaves.
    #[error("leaf or earlier size is beyond the tree")]
    OutOfRange,
    /// A tile could not be read.
    #[error("tile `{tile}` could not be read: {reason}")]
    Read {
        /// The tile.
        tile: Tile,
        /// Why.
        reason: E,
    },
    /// A tile has fewer hashes than it must have.
    #[error("tile `{tile}` is too short")]
    TooShort {
        /// The tile.
        tile: Tile,
    },
}

/// Proves that the leaf at `index` is in the tree of `size` leaves. The hashes
/// go from the leaf upwards. Verify the proof before publishing it, because damaged
/// tiles give an invalid one. Each tile is read once; a wider one is accepted.
///
/// ```
/// use std::collections::BTreeMap;
/// use sentinel_provenance::log::{
///     Frontier, Growth, inclusion_tiles, leaf_hash, prove_inclusion, verify_inclusion,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let leaves = [leaf_hash(b"leaf"); 300];
/// # let growth = Growth::of(&Frontier::new(), &leaves, |_| Err("none"))?;
/// # let stored: BTreeMap<_, _> = growth.tiles.into_iter().collect();
/// // Where tiles are fetched asynchronously: first all of them, then the proof.
/// let mut fetched = BTreeMap::new();
/// for tile in inclusion_tiles(7, 300).ok_or("there is no such leaf")? {
///     fetched.insert(tile, stored.get(&tile).cloned().ok_or("it was not stored")?);
/// }
/// let proof = prove_inclusion(7, 300, |tile| fetched.get(&tile).cloned().ok_or("unplanned"))?;
/// verify_inclusion(7, 300, &leaf_hash(b"leaf"), &proof, &growth.frontier.root())?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ProveError`] when there is no such leaf, or a tile is absent.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    read_tile: impl FnMut(Tile) -> Result<Vec<Sha256Digest>, E>,
) -> Result<Vec<Sha256Digest>, ProveError<E>> {
    let spans = inclusion_spans(index, size).ok_or(ProveError::OutOfRange)?;
    hash_all(&spans, size, read_tile)
}

/// The tiles that [`prove_inclusion`] will read; `None` when there is no such leaf.
#[must_use]
pub fn inclusion_tiles(index: u64, size: u64) -> Option<BTreeSet<Tile>> {
    tiles_of(&inclusion_spans(index, size)?, size)
}

/// Proves that the tree of `new_size` leaves begins with that of `old_size`; see
/// [`prove_inclusion`] about tiles.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use sentinel_provenance::log::{Frontier, Growth, leaf_hash};
/// use sentinel_provenance::log::{prove_consistency, verify_consistency};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let leaves = [leaf_hash(b"leaf"); 300];
/// # let old = Growth::of(&Frontier::new(), &leaves[..10], |_| Err("none"))?.frontier;
/// # let growth = Growth::of(&Frontier::new(), &leaves, |_| Err("none"))?;
/// # let (stored, new): (BTreeMap<_, _>, _) = (growth.tiles.into_iter().collect(), growth.frontier);
/// let proof = prove_consistency(10, 300, |tile| stored.get(&tile).cloned().ok_or("absent"))?;
/// verify_consistency(10, &old.root(), 300, &new.root(), &proof)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ProveError`] when the old tree is larger, or a tile is absent.
pub fn prove_consistency<E>(
    old_size: u64,
    new_size: u64,
    read_tile: impl FnMut(Tile) -> Result<Vec<Sha256Digest>, E>,
) -> Result<Vec<Sha256Digest>, ProveError<E>> {
    let spans = consistency_spans(old_size, new_size).ok_or(ProveError::OutOfRange)?;
    hash_all(&spans, new_size, read_tile)
}

/// The tiles that [`prove_consistency`] will read; `None` when the old tree is
/// larger.
#[must_use]
pub fn consistency_tiles(old_size: u64, new_size: u64) -> Option<BTreeSet<Tile>> {
    tiles_of(&consistency_spans(old_size, new_size)?, new_size)
}

/// Rebuilds the frontier of the tree of `size` leaves. Compare its root with a
/// checkpoint's before building on it.
///
/// # Errors
/// [`ProveError`] when the size is too large, or a tile is absent.
pub fn load_frontier<E>(
    size: u64,
    read_tile: impl FnMut(Tile) -> Result<Vec<Sha256Digest>, E>,
) -> Result<Frontier, ProveError<E>> {
    let spans = frontier_spans(size).ok_or(ProveError::OutOfRange)?;
    let subtrees = hash_all(&spans, size, read_tile)?;
    Frontier::from_subtrees(size, subtrees).map_err(|_| ProveError::OutOfRange)
}

/// The tiles that [`load_frontier`] will read; `None` when the size is too large.
#[must_use]
pub fn frontier_tiles(size: u64) -> Option<BTreeSet<Tile>> {
    tiles_of(&frontier_spans(size)?, size)
}

/// Leaves `start` up to before `end`, whose hash is one of a proof. `start` is a
/// multiple of every power of two up to their number.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// Splits as RFC 6962 does: the left part is the largest power of two that
    /// leaves something to the right.
    fn halves(self) -> Option<(Self, Self)> {
        let last = (self.end - self.start).checked_sub(1)?;
        let middle = self.start + (1 << last.checked_ilog2()?);
        Some((Self { end: middle, ..self }, Self { start: middle, ..self }))
    }

    /// The perfect subtrees that make it up, the largest first.
    fn subtrees(self) -> impl Iterator<Item = Subtree> {
        let mut start = self.start;
        std::iter::from_fn(move || {
            let height = (self.end - start).checked_ilog2()?;
            let subtree = Subtree { height, index: start >> height };
            start += 1 << height;
            Some(subtree)
        })
    }
}

/// The perfect tree over leaves `index << height` up to before
/// `(index + 1) << height`.
#[derive(Clone, Copy)]
struct Subtree {
    height: u32,
    index: u64,
}

impl Subtree {
    /// The tile that has it, and which of its hashes are below it.
    fn place(self, size: u64) -> Option<(Tile, usize, usize)> {
        let within = self.height % 8;
        let first = self.index << within;
        let level = u8::try_from(self.height / 8).ok()?;
        let tile = Tile::in_tree(level, first / u64::from(TILE_WIDTH), size)?;
        let offset = usize::try_from(first % u64::from(TILE_WIDTH)).ok()?;
        Some((tile, offset, 1 << within))
    }
}

fn inclusion_spans(index: u64, size: u64) -> Option<Vec<Span>> {
    if index >= size || size > MAX_TREE_SIZE {
        return None;
    }
    let mut at = Span { start: 0, end: size };
    let mut spans = Vec::new();
    while let Some((left, right)) = at.halves() {
        let (inside, beside) = if index < left.end { (left, right) } else { (right, left) };
        spans.push(beside);
        at = inside;
    }
    spans.reverse();
    Some(spans)
}

fn consistency_spans(old_size: u64, new_size: u64) -> Option<Vec<Span>> {
    if old_size > new_size || new_size > MAX_TREE_SIZE {
        return None;
    }
    let mut spans = Vec::new();
    if old_size == 0 {
        return Some(spans);
    }
    let mut at = Span { start: 0, end: new_size };
    // Whether the verifier knows the hash of `at` already: it is the old root.
    let mut known = true;
    while at.end != old_size {
        let (left, right) = at.halves()?;
        if old_size <= left.end {
            spans.push(right);
            at = left;
        } else {
            spans.push(left);
            at = right;
            known = false;
        }
    }
    if !known {
        spans.push(at);
    }
    spans.reverse();
    Some(spans)
}

fn frontier_spans(size: u64) -> Option<Vec<Span>> {
    if size > MAX_TREE_SIZE {
        return None;
    }
    let whole = Span { start: 0, end: size };
    let span = |subtree: Subtree| Span {
        start: subtree.index << subtree.height,
        end: (subtree.index + 1) << subtree.height,
    };
    Some(whole.subtrees().map(span).collect())
}

fn tiles_of(spans: &[Span], size: u64) -> Option<BTreeSet<Tile>> {
    let subtrees = spans.iter().flat_map(|span| span.subtrees());
    subtrees.map(|subtree| subtree.place(size).map(|(tile, ..)| tile)).collect()
}

fn hash_all<E>(
    spans: &[Span],
    size: u64,
    mut read_tile: impl FnMut(Tile) -> Result<Vec<Sha256Digest>, E>,
) -> Result<Vec<Sha256Digest>, ProveError<E>> {
    let mut tiles: BTreeMap<Tile, Vec<Sha256Digest>> = BTreeMap::new();
    let mut proof = Vec::with_capacity(spans.len());
    for span in spans {
        let mut roots = Vec::new();
        for subtree in span.subtrees() {
            let (tile, offset, count) = subtree.place(size).ok_or(ProveError::OutOfRange)?;
            let hashes = match tiles.entry(tile) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let read = read_tile(tile);
                    unknown.insert(read.map_err(|reason| ProveError::Read { tile, reason })?)
                }
            };
            let below = hashes.get(offset..offset + count);
            roots.push(below.and_then(perfect_root).ok_or(ProveError::TooShort { tile })?);
        }
        proof.push(fold(&roots).ok_or(ProveError::OutOfRange)?);
    }
    Ok(proof)
}
