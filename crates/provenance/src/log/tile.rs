//! Coordinates and paths of tiles (C2SP tlog-tiles).

use std::fmt;
use std::fmt::Write as _;

use thiserror::Error;

use crate::digest::Sha256Digest;

/// Hashes in a full tile, and entries in a full entry bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of tiles in the largest tree: the highest holds trees of 2^56 leaves.
pub(super) const LEVELS: u8 = 8;

/// Longest path in bytes; seven groups of digits have fewer.
const MAX_PATH_BYTES: usize = 64;

/// Why something is not a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TileError {
    /// No tree has a tile there.
    #[error("no tree has such a tile")]
    OutOfRange,
    /// The text is not the path of a tile.
    #[error("not the path of a tile")]
    Path,
    /// The content is not as long as the tile is wide.
    #[error("tile has {actual} bytes, expected {expected}")]
    Length {
        /// Thirty-two bytes for each hash.
        expected: usize,
        /// The content's length.
        actual: usize,
    },
}

/// Where a tile of hashes is, and how wide.
///
/// At level 0 are the hashes of leaves; above, each hash is the root over one
/// full tile of the level below.
///
/// ```
/// use sentinel_provenance::log::{Tile, TilePath};
///
/// let tile = Tile::in_tree(0, 1_234_067, 315_921_157).expect("it is the last one");
/// assert_eq!(tile.to_string(), "tile/0/x001/x234/067.p/5");
/// assert_eq!(TilePath::parse("tile/0/x001/x234/067.p/5"), Ok(TilePath::Hashes(tile)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// The tile at `level` and `index` that is `width` hashes wide.
    ///
    /// # Errors
    /// [`TileError::OutOfRange`] when no tree has it.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        let within = |limit: u64| limit >> 8 >= index;
        if level >= LEVELS
            || !within((i64::MAX as u64) >> (8 * u32::from(level)))
            || !(1..=TILE_WIDTH).contains(&width)
        {
            return Err(TileError::OutOfRange);
        }
        Ok(Self { level, index, width })
    }

    /// The tile at `level` and `index`, as wide as it is in a tree of `size`
    /// leaves; `None` when that tree has no such tile.
    #[must_use]
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(8 * u32::from(level))?;
        let left = hashes.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
        let width = u16::try_from(left.min(u64::from(TILE_WIDTH))).ok()?;
        Self::new(level, index, width).ok()
    }

    /// The level, 0 being that of the leaves.
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The number of the tile within its level.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes it has, 1 to [`TILE_WIDTH`].
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it will not grow any more.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Reads the tile's content.
    ///
    /// # Errors
    /// [`TileError::Length`] when it is not 32 bytes for each hash.
    pub fn parse_hashes(&self, bytes: &[u8]) -> Result<Vec<Sha256Digest>, TileError> {
        let expected = 32 * usize::from(self.width);
        if bytes.len() != expected {
            return Err(TileError::Length { expected, actual: bytes.len() });
        }
        let (hashes, _) = bytes.as_chunks::<32>();
        Ok(hashes.iter().copied().map(Sha256Digest::from_bytes).collect())
    }

    /// Writes a tile's content.
    #[must_use]
    pub fn write_hashes(hashes: &[Sha256Digest]) -> Vec<u8> {
        hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, place(self.index, self.width))
    }
}

/// Where a bundle of entries is, and how many it has. It holds the leaves whose
/// hashes are in the tile of level 0 with the same index.
///
/// ```
/// use sentinel_provenance::log::EntryTile;
///
/// let last = EntryTile::in_tree(1, 300).expect("300 entries are in two bundles");
/// assert_eq!(last.to_string(), "tile/entries/001.p/44");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryTile {
    index: u64,
    width: u16,
}

impl EntryTile {
    /// The bundle at `index` with `width` entries.
    ///
    /// # Errors
    /// [`TileError::OutOfRange`] when no log has it.
    pub fn new(index: u64, width: u16) -> Result<Self, TileError> {
        Tile::new(0, index, width).map(|tile| Self { index: tile.index, width: tile.width })
    }

    /// The bundle at `index`, with as many entries as it has in a log of `size`;
    /// `None` when that log has no such bundle.
    #[must_use]
    pub fn in_tree(index: u64, size: u64) -> Option<Self> {
        Tile::in_tree(0, index, size).map(|tile| Self { index: tile.index, width: tile.width })
    }

    /// The number of the bundle.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many entries it has, 1 to [`TILE_WIDTH`].
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it will not grow any more.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }
}

impl fmt::Display for EntryTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/entries/{}", place(self.index, self.width))
    }
}

/// What a path below `tile/` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TilePath {
    /// `tile/L/N` or `tile/L/N.p/W`.
    Hashes(Tile),
    /// `tile/entries/N` or `tile/entries/N.p/W`.
    Entries(EntryTile),
}

impl TilePath {
    /// Reads a path, from `tile/` on. Each tile has exactly one.
    ///
    /// # Errors
    /// [`TileError`] when it is not a tile's.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        if path.len() > MAX_PATH_BYTES {
            return Err(TileError::Path);
        }
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, number(width)?),
            None => (rest, u64::from(TILE_WIDTH)),
        };
        let index = number(&index.replace(['x', '/'], ""))?;
        let width = u16::try_from(width).map_err(|_| TileError::OutOfRange)?;
        let parsed = if level == "entries" {
            Self::Entries(EntryTile::new(index, width)?)
        } else {
            let level = u8::try_from(number(level)?).map_err(|_| TileError::OutOfRange)?;
            Self::Hashes(Tile::new(level, index, width)?)
        };
        // What was read loosely above must be what would be written.
        if parsed.to_string() == path { Ok(parsed) } else { Err(TileError::Path) }
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashes(tile) => tile.fmt(f),
            Self::Entries(tile) => tile.fmt(f),
        }
    }
}

fn number(digits: &str) -> Result<u64, TileError> {
    digits.parse().map_err(|_| TileError::Path)
}

/// `N[.p/W]`: the index in groups of three digits, all but the last marked.
fn place(index: u64, width: u16) -> String {
    let digits = index.to_string();
    let groups = digits.len().div_ceil(3);
    let padded = format!("{digits:0>width$}", width = 3 * groups);
    let mut text = String::new();
    for (position, digit) in padded.chars().enumerate() {
        if position > 0 && position.is_multiple_of(3) {
            text.push('/');
        }
        if position.is_multiple_of(3) && position / 3 + 1 < groups {
            text.push('x');
        }
        text.push(digit);
    }
    if width < TILE_WIDTH {
        // Writing to a string does not fail.
        let _ = write!(text, ".p/{width}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index, width| Tile::new(level, index, width).unwrap().to_string();
        assert_eq!(tile(0, 0, 256), "tile/0/000");
        assert_eq!(tile(1, 67, 1), "tile/1/067.p/1");
        assert_eq!(tile(2, 1_234_067, 256), "tile/2/x001/x234/067");
        assert_eq!(tile(0, 1_000, 255), "tile/0/x001/000.p/255");
        let entries = EntryTile::new(1_234_067, 5).unwrap();
        assert_eq!(entries.to_string(), "tile/entries/x001/x234/067.p/5");
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_that_the_specification_lists() {
        let width = |level, index| Tile::in_tree(level, index, 70_000).map(|tile| tile.width());
        assert_eq!([width(0, 0), width(0, 272)], [Some(256); 2]);
        assert_eq!([width(0, 273), width(0, 274)], [Some(112), None]);
        assert_eq!([width(1, 0), width(1, 1), width(1, 2)], [Some(256), Some(17), None]);
        assert_eq!([width(2, 0), width(2, 1), width(3, 0)], [Some(1), None, None]);
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/00/000",
            "tile/+0/000",
            "tile/8/000",
            "tile/-1/000",
            "tile/0/x000/001",
            "tile/0/001/234",
            "tile/0/x001/x234",
            "tile/0/x001//234",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p/1/",
            "tile/0/000/",
            "/tile/0/000",
            "tile/entry/000",
            "tile/entries/0",
            "tile/0/../000",
            "tile/0/x036/x028/x797/x018/x963/968",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert!(TilePath::parse(path).is_err(), "{path}");
        }
        assert!(TilePath::parse("tile/0/x036/x028/x797/x018/x963/967").is_ok());
    }
}
