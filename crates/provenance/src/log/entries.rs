//! Entry bundles: the leaves themselves, each after its length.

use thiserror::Error;

use crate::log::tile::{EntryTile, TILE_WIDTH};

/// Longest leaf in bytes: its length is written in 16 bits.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// Why there is no such entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EntriesError {
    /// A leaf is too long.
    #[error("entry has {actual} bytes, the limit is {MAX_ENTRY_BYTES}")]
    TooLong {
        /// Its length in bytes.
        actual: usize,
    },
    /// The bytes are not that many entries and nothing else.
    #[error("not a bundle of {expected} entries")]
    Malformed {
        /// How many were expected.
        expected: u16,
    },
    /// The log has as many entries as a log can have.
    #[error("log is full")]
    Full,
}

/// Writes entries one after the other. What is written for more entries begins
/// with what is written for fewer, so a bundle grows by appending.
///
/// # Errors
/// [`EntriesError::TooLong`].
pub fn encode_entries<T: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = T>,
) -> Result<Vec<u8>, EntriesError> {
    let mut bytes = Vec::new();
    for entry in entries {
        push(&mut bytes, entry.as_ref())?;
    }
    Ok(bytes)
}

/// Reads a bundle of exactly `width` entries.
///
/// ```
/// use sentinel_provenance::log::{encode_entries, parse_entries};
///
/// let bytes = encode_entries(["one", "three"]).expect("they are short");
/// assert_eq!(bytes, b"\0\x03one\0\x05three");
/// assert_eq!(parse_entries(&bytes, 2), Ok(vec![&b"one"[..], b"three"]));
/// ```
///
/// # Errors
/// [`EntriesError::Malformed`] when there are more, fewer, or a part of one.
pub fn parse_entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, EntriesError> {
    let malformed = EntriesError::Malformed { expected: width };
    let mut entries = Vec::new();
    let mut rest = bytes;
    for _ in 0..width {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(malformed)?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(malformed) }
}

/// The bundles that change when `entries` are appended to a log of `size`
/// entries, whose last bundle is `partial` (empty when there is none).
///
/// ```
/// use sentinel_provenance::log::{encode_entries, grow_entries};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let partial = encode_entries(["a"; 255])?;
/// let changed = grow_entries(255, &partial, &["b", "c"])?;
/// let paths: Vec<String> = changed.iter().map(|(tile, _)| tile.to_string()).collect();
/// assert_eq!(paths, ["tile/entries/000", "tile/entries/001.p/1"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`EntriesError`] when an entry is too long or `partial` is another bundle.
pub fn grow_entries<T: AsRef<[u8]>>(
    size: u64,
    partial: &[u8],
    entries: &[T],
) -> Result<Vec<(EntryTile, Vec<u8>)>, EntriesError> {
    let full = u64::from(TILE_WIDTH);
    let width = u16::try_from(size % full).map_err(|_| EntriesError::Full)?;
    parse_entries(partial, width)?;
    let (mut index, mut width, mut bytes) = (size / full, width, partial.to_vec());
    let mut changed = Vec::new();
    let mut tile = |index, width, bytes| {
        let tile = EntryTile::new(index, width).map_err(|_| EntriesError::Full)?;
        changed.push((tile, bytes));
        Ok(())
    };
    for entry in entries {
        push(&mut bytes, entry.as_ref())?;
        width += 1;
        if width == TILE_WIDTH {
            tile(index, width, std::mem::take(&mut bytes))?;
            (index, width) = (index + 1, 0);
        }
    }
    if width > 0 && !entries.is_empty() {
        tile(index, width, bytes)?;
    }
    Ok(changed)
}

fn push(bytes: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntriesError> {
    let length =
        u16::try_from(entry.len()).map_err(|_| EntriesError::TooLong { actual: entry.len() })?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(entry);
    Ok(())
}
