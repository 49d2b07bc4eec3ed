//! The files of a log, one by one.

use crate::digest::Sha256Digest;
use crate::log::audit::finding::Finding;
use crate::log::entries::parse_entries;
use crate::log::leaf::HashedRekord;
use crate::log::merkle::leaf_hash;
use crate::log::tile::{EntryTile, LEVELS, TILE_WIDTH, Tile, TilePath};

/// Longest file in bytes: 256 entries of the greatest length.
pub const MAX_LOG_FILE_BYTES: usize = 256 * (2 + u16::MAX as usize);

/// The files of a log of `size` entries, in the order in which an audit takes
/// them: each tile right after what it is computed from, so that none need be kept.
///
/// ```
/// use sentinel_provenance::log::log_files;
///
/// let paths: Vec<String> = log_files(300).map(|path| path.to_string()).collect();
/// assert_eq!(
///     paths,
///     [
///         "tile/entries/000",
///         "tile/0/000",
///         "tile/entries/001.p/44",
///         "tile/0/001.p/44",
///         "tile/1/000.p/1",
///     ]
/// );
/// ```
pub fn log_files(size: u64) -> impl Iterator<Item = TilePath> {
    let bundles = size.div_ceil(u64::from(TILE_WIDTH));
    (0..bundles).flat_map(move |index| {
        let entries = EntryTile::in_tree(index, size).map(TilePath::Entries);
        let lowest = Tile::in_tree(0, index, size);
        let full = lowest.is_some_and(|tile| tile.is_full());
        let last = index + 1 == bundles;
        let above = (1..LEVELS).filter_map(move |level| {
            let below = 1_u64.checked_shl(8 * u32::from(level))?;
            if full && (index + 1).is_multiple_of(below) {
                Tile::in_tree(level, (index + 1) / below - 1, size)
            } else if last {
                Tile::in_tree(level, size.checked_shr(8 * u32::from(level) + 8)?, size)
            } else {
                None
            }
        });
        entries.into_iter().chain(lowest.into_iter().chain(above).map(TilePath::Hashes))
    })
}

/// What a source returned for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFile {
    /// There is no file.
    Absent,
    /// The file.
    Found(Vec<u8>),
    /// The full tile, which replaced the partial one once the log had grown.
    Grown(Vec<u8>),
}

/// A file that was processed on its own: parsed and hashed, with each entry checked.
/// This is the expensive part, and it does not depend on the order.
#[derive(Debug, Clone)]
pub struct ReadFile {
    pub(super) content: Content,
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Entries(Option<Vec<Leaf>>),
    Hashes(Tile, Option<Vec<Sha256Digest>>),
}

#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) hash: Sha256Digest,
    /// Digest of the statement, or of the entry itself if it is invalid.
    pub(super) about: Sha256Digest,
    /// Fingerprint of the signing key, if the entry is valid.
    pub(super) key: Option<String>,
}

impl ReadFile {
    /// Reads the file that belongs under `path`.
    #[must_use]
    pub fn of(path: TilePath, file: &LogFile) -> Self {
        match path {
            TilePath::Entries(tile) => Self::entries(tile, file),
            TilePath::Hashes(tile) => Self::hashes(tile, file),
        }
    }

    fn entries(tile: EntryTile, file: &LogFile) -> Self {
        let path = TilePath::Entries(tile);
        let (bytes, width) = match file {
            LogFile::Absent => return Self::absent(Content::Entries(None), path),
            LogFile::Found(bytes) => (bytes, tile.width()),
            LogFile::Grown(bytes) => (bytes, TILE_WIDTH),
        };
        let entries = match parse_entries(bytes, width) {
            Ok(entries) => entries,
            Err(error) => {
                return Self {
                    content: Content::Entries(None),
                    findings: vec![Finding::Malformed { path, reason: error.to_string() }],
                };
            }
        };
        let mut findings = Vec::new();
        let first = tile.index() * u64::from(TILE_WIDTH);
        let leaves =
            (first..).zip(entries).take(usize::from(tile.width())).map(|(index, entry)| {
                let hash = leaf_hash(entry);
                match sound(entry) {
                    Ok(leaf) => Leaf {
                        hash,
                        about: *leaf.digest(),
                        key: Some(leaf.key().hint().to_owned()),
                    },
                    Err(reason) => {
                        findings.push(Finding::Leaf { index, reason });
                        Leaf { hash, about: hash, key: None }
                    }
                }
            });
        let leaves = leaves.collect();
        Self { content: Content::Entries(Some(leaves)), findings }
    }

    fn hashes(tile: Tile, file: &LogFile) -> Self {
        let path = TilePath::Hashes(tile);
        let width = usize::from(tile.width());
        let read = match file {
            LogFile::Absent => return Self::absent(Content::Hashes(tile, None), path),
            LogFile::Found(bytes) => tile.parse_hashes(bytes),
            LogFile::Grown(bytes) => Tile::new(tile.level(), tile.index(), TILE_WIDTH)
                .and_then(|full| full.parse_hashes(bytes)),
        };
        match read {
            Ok(mut hashes) => {
                hashes.truncate(width);
                Self { content: Content::Hashes(tile, Some(hashes)), findings: Vec::new() }
            }
            Err(error) => Self {
                content: Content::Hashes(tile, None),
                findings: vec![Finding::Malformed { path, reason: error.to_string() }],
            },
        }
    }

    fn absent(content: Content, path: TilePath) -> Self {
        Self { content, findings: vec![Finding::Absent { path }] }
    }
}

fn sound(entry: &[u8]) -> Result<HashedRekord, String> {
    let leaf = HashedRekord::parse(entry).map_err(|error| error.to_string())?;
    leaf.verify().map_err(|error| error.to_string())?;
    Ok(leaf)
}
