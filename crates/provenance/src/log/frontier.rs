//! The right edge of a tree: all that is needed to append to it.

use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::log::merkle::{MAX_TREE_SIZE, empty_root, fold, node_hash};

/// Why there is no such frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrontierError {
    /// The tree has as many leaves as a tree can have.
    #[error("tree is full")]
    Full,
    /// The bytes are not what [`Frontier::to_bytes`] writes.
    #[error("not a frontier: a size, and one hash for each of its binary ones")]
    Malformed,
}

/// The roots of the perfect subtrees that make up a tree, the largest first:
/// one for each binary one of its size, at most 63.
///
/// ```
/// use sentinel_provenance::log::{Frontier, leaf_hash};
///
/// # fn main() -> Result<(), sentinel_provenance::log::FrontierError> {
/// let mut frontier = Frontier::new();
/// assert_eq!(frontier.append(leaf_hash(b"a leaf"))?, 0);
/// assert_eq!(frontier.root(), leaf_hash(b"a leaf"));
/// // Kept between two runs.
/// assert_eq!(Frontier::from_bytes(&frontier.to_bytes())?, frontier);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Sha256Digest>,
}

impl Frontier {
    /// The frontier of the tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the roots of the perfect subtrees of a tree of `size` leaves, the
    /// largest first. They are not verified: compare [`Self::root`].
    ///
    /// # Errors
    /// [`FrontierError::Malformed`] when their number is not that of the binary
    /// ones of `size`.
    pub fn from_subtrees(size: u64, subtrees: Vec<Sha256Digest>) -> Result<Self, FrontierError> {
        if size > MAX_TREE_SIZE || subtrees.len() as u64 != u64::from(size.count_ones()) {
            return Err(FrontierError::Malformed);
        }
        Ok(Self { size, subtrees })
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FrontierError::Malformed`] when it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, hashes) = bytes.split_first_chunk::<8>().ok_or(FrontierError::Malformed)?;
        let (hashes, rest) = hashes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(FrontierError::Malformed);
        }
        let subtrees = hashes.iter().copied().map(Sha256Digest::from_bytes).collect();
        Self::from_subtrees(u64::from_be_bytes(*size), subtrees)
    }

    /// The size as a 64-bit big-endian integer, and the hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for hash in &self.subtrees {
            bytes.extend_from_slice(hash.as_bytes());
        }
        bytes
    }

    /// Appends a leaf, given by its hash, and gives its index.
    ///
    /// # Errors
    /// [`FrontierError::Full`] when the tree has [`MAX_TREE_SIZE`] leaves.
    pub fn append(&mut self, leaf_hash: Sha256Digest) -> Result<u64, FrontierError> {
        if self.size >= MAX_TREE_SIZE {
            return Err(FrontierError::Full);
        }
        let mut node = leaf_hash;
        // Adding one carries over each trailing one: two equal subtrees become one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.subtrees.push(node);
        let index = self.size;
        self.size += 1;
        Ok(index)
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Sha256Digest {
        fold(&self.subtrees).unwrap_or_else(empty_root)
    }

    /// The roots of the perfect subtrees, the largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[Sha256Digest] {
        &self.subtrees
    }

    /// Of the subtrees, those of `2^from` up to below `2^to` leaves.
    pub(super) fn subtrees_between(&self, from: u32, to: u32) -> &[Sha256Digest] {
        let ones = |from: u32| usize::try_from((self.size >> from.min(63)).count_ones());
        match (ones(to), ones(from)) {
            (Ok(above), Ok(below)) => self.subtrees.get(above..below).unwrap_or_default(),
            _ => &[],
        }
    }
}
