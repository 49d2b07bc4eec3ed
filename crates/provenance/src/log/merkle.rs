//! Hashing of RFC 6962 Merkle trees (section 2.1).

use crate::digest::{Sha256, Sha256Digest};

/// Most leaves in a tree: Sigstore writes sizes as signed 64-bit integers.
pub const MAX_TREE_SIZE: u64 = i64::MAX as u64;

/// Hash of a leaf. Its prefix differs from that of [`node_hash`], so no leaf can
/// pass for a node.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Sha256Digest {
    let mut context = Sha256::new();
    context.update(&[0]);
    context.update(leaf);
    context.finish()
}

/// Hash of a node above two others.
#[must_use]
pub fn node_hash(left: &Sha256Digest, right: &Sha256Digest) -> Sha256Digest {
    let mut context = Sha256::new();
    context.update(&[1]);
    context.update(left.as_bytes());
    context.update(right.as_bytes());
    context.finish()
}

/// Root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Sha256Digest {
    Sha256Digest::of(b"")
}

/// Root above neighbouring subtrees, the largest first; `None` above none.
pub(super) fn fold(subtrees: &[Sha256Digest]) -> Option<Sha256Digest> {
    let (last, rest) = subtrees.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// Root of a perfect subtree over `hashes`, whose number is a power of two.
pub(super) fn perfect_root(hashes: &[Sha256Digest]) -> Option<Sha256Digest> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                _ => None,
            })
            .collect();
    }
    row.first().copied()
}
