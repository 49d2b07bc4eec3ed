//! Verification of Merkle proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2).

use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::log::merkle::{empty_root, node_hash};

/// A proof does not show what it is said to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("proof does not lead to the root")]
pub struct ProofMismatch;

/// Verifies that the leaf with `leaf_hash` is the one at `index` in the tree of
/// `size` leaves under `root`.
///
/// # Errors
/// [`ProofMismatch`] when the proof shows anything else.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf_hash: &Sha256Digest,
    proof: &[Sha256Digest],
    root: &Sha256Digest,
) -> Result<(), ProofMismatch> {
    if index >= size {
        return Err(ProofMismatch);
    }
    // The numbers of the node and of the last node of its row, going upwards.
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf_hash;
    for sibling in proof {
        if last == 0 {
            return Err(ProofMismatch);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A last node without a sibling is its own parent.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofMismatch) }
}

/// Verifies that the tree of `new_size` leaves under `new_root` begins with the
/// tree of `old_size` leaves under `old_root`. Every tree begins with the empty
/// one, which needs an empty proof.
///
/// # Errors
/// [`ProofMismatch`] when the proof shows anything else.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Sha256Digest,
    new_size: u64,
    new_root: &Sha256Digest,
    proof: &[Sha256Digest],
) -> Result<(), ProofMismatch> {
    let holds = |condition: bool| if condition { Ok(()) } else { Err(ProofMismatch) };
    if old_size == 0 {
        let new_is_empty = *new_root == empty_root();
        let fits = *old_root == empty_root() && (new_size == 0) == new_is_empty;
        return holds(fits && proof.is_empty());
    }
    if old_size == new_size {
        return holds(old_root == new_root && proof.is_empty());
    }
    if old_size > new_size {
        return Err(ProofMismatch);
    }
    // The old tree is one perfect subtree, so its root is where the proof begins.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(ProofMismatch)?
    };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut old, mut new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofMismatch);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    holds(last == 0 && old == *old_root && new == *new_root)
}
