//! Receipts of other logs for our leaves.

use thiserror::Error;

use crate::bundle::{KindVersion, MAX_PROOF_HASHES, TransparencyLogEntry};
use crate::json::{self, JsonError};
use crate::log::{
    Checkpoint, CheckpointError, HashedRekord, ProofMismatch, SignedCheckpoint, VerifierKey,
    verify_inclusion,
};

/// Longest entry in JSON, in bytes: a note, a proof and a leaf.
pub const MAX_LOG_ENTRY_BYTES: usize = 256 * 1024;

/// Why an entry does not show that a log has a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogEntryError {
    /// It names another log than the one whose key is given.
    #[error("entry names another log")]
    Log,
    /// It is of another type.
    #[error("entry is not a hashedrekord 0.0.2")]
    Kind,
    /// It is about another leaf.
    #[error("entry is about another leaf")]
    Leaf,
    /// Entry and proof name different indexes.
    #[error("entry and proof name different indexes")]
    Index,
    /// Its checkpoint is not one of the log.
    #[error("checkpoint of the entry: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The proof leads to another state than the checkpoint.
    #[error("proof and checkpoint state different trees")]
    State,
    /// The proof is invalid.
    #[error(transparent)]
    Proof(#[from] ProofMismatch),
}

impl TransparencyLogEntry {
    /// Reads the JSON of an entry, as Rekor v2 returns it. It is not verified yet.
    ///
    /// # Errors
    /// [`JsonError`] says what is wrong, without repeating the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        json::read(bytes, MAX_LOG_ENTRY_BYTES)
    }

    /// Writes the JSON of the entry, as bundles have it.
    ///
    /// # Errors
    /// [`JsonError`] when the document would not be read back.
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        json::write(self, MAX_LOG_ENTRY_BYTES)
    }

    /// Verifies that the log with the key `log` contains `leaf`, and returns the checkpoint.
    ///
    /// # Errors
    /// [`LogEntryError`] when it shows anything else.
    pub fn verify(
        &self,
        log: &VerifierKey,
        leaf: &HashedRekord,
    ) -> Result<SignedCheckpoint, LogEntryError> {
        let proof = &self.inclusion_proof;
        if self.log_id.key_id != log.id_hash() {
            return Err(LogEntryError::Log);
        }
        if self.kind_version != KindVersion::hashed_rekord() {
            return Err(LogEntryError::Kind);
        }
        if self.canonicalized_body != leaf.to_bytes() {
            return Err(LogEntryError::Leaf);
        }
        if self.log_index != proof.log_index {
            return Err(LogEntryError::Index);
        }
        let signed = Checkpoint::open(&proof.checkpoint.envelope, log)?;
        let stated = (proof.tree_size, proof.root_hash);
        if (signed.size(), signed.root()) != stated || proof.hashes.len() > MAX_PROOF_HASHES {
            return Err(LogEntryError::State);
        }
        verify_inclusion(
            self.log_index,
            signed.size(),
            &leaf.leaf_hash(),
            &proof.hashes,
            &signed.root(),
        )?;
        Ok(signed)
    }
}
