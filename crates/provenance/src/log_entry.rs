//! The place of a bundle in a log.

use crate::bundle::{
    Bundle, BundleError, Checkpoint as CheckpointNote, InclusionProof, KindVersion, LogId,
    Rfc3161Timestamp, TransparencyLogEntry,
};
use crate::digest::Sha256Digest;
use crate::log::{
    HashedRekord, LEAF_KIND, LEAF_VERSION, ProofMismatch, SignedCheckpoint, VerifierKey,
    verify_inclusion,
};

impl TransparencyLogEntry {
    /// States that `leaf` is at `index` of the log whose key is `log`, up to
    /// `checkpoint`. The proof is verified before it is used.
    ///
    /// ```
    /// use sentinel_provenance::bundle::TransparencyLogEntry;
    /// use sentinel_provenance::log::{
    ///     Checkpoint, Ed25519NoteSigner, HashedRekord, NoteSigner as _,
    /// };
    /// use sentinel_provenance::{Bundle, EcdsaP256Signer, Envelope, Signer as _};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let signer = EcdsaP256Signer::generate()?;
    /// # let log = Ed25519NoteSigner::generate("log.example")?;
    /// # let envelope = Envelope::sign(b"{}".to_vec(), &signer)?;
    /// let leaf = HashedRekord::of(&envelope, signer.public_key());
    /// // The first and only entry of the log: its hash is the root, the proof is empty.
    /// let note = Checkpoint::new("log.example", 1, leaf.leaf_hash())?.sign(&log)?.to_string();
    /// let checkpoint = Checkpoint::open(&note, log.verifier_key())?;
    /// let entry = TransparencyLogEntry::new(log.verifier_key(), &leaf, 0, vec![], &checkpoint)?;
    /// let bundle = Bundle::new(envelope, signer.public_key())?.with_log_entry(entry)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ProofMismatch`] when the proof does not lead to the checkpoint's root.
    pub fn new(
        log: &VerifierKey,
        leaf: &HashedRekord,
        index: u64,
        proof: Vec<Sha256Digest>,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Self, ProofMismatch> {
        let (size, root) = (checkpoint.size(), checkpoint.root());
        verify_inclusion(index, size, &leaf.leaf_hash(), &proof, &root)?;
        Ok(Self {
            log_index: index,
            log_id: LogId { key_id: log.id_hash() },
            kind_version: KindVersion::hashed_rekord(),
            inclusion_proof: InclusionProof {
                log_index: index,
                root_hash: root,
                tree_size: size,
                hashes: proof,
                checkpoint: CheckpointNote { envelope: checkpoint.note().to_string() },
            },
            canonicalized_body: leaf.to_bytes(),
        })
    }
}

impl KindVersion {
    /// The one type of leaf that is written.
    pub(crate) fn hashed_rekord() -> Self {
        Self { kind: LEAF_KIND.to_owned(), version: LEAF_VERSION.to_owned() }
    }
}

impl Bundle {
    /// The bundle with one log entry more. That the entry is about this envelope
    /// is for verifiers to check.
    ///
    /// # Errors
    /// [`BundleError::TooMany`] when it has as many as a bundle may have.
    pub fn with_log_entry(mut self, entry: TransparencyLogEntry) -> Result<Self, BundleError> {
        self.verification_material.tlog_entries.push(entry);
        self.validate()?;
        Ok(self)
    }

    /// The bundle with one RFC 3161 timestamp more, DER, of its signature. That it is one is for
    /// verifiers to check.
    ///
    /// # Errors
    /// [`BundleError::TooMany`] when it has as many as a bundle may have.
    pub fn with_timestamp(mut self, signed_timestamp: Vec<u8>) -> Result<Self, BundleError> {
        let data = &mut self.verification_material.timestamp_verification_data;
        let timestamps = &mut data.get_or_insert_default().rfc3161_timestamps;
        timestamps.push(Rfc3161Timestamp { signed_timestamp });
        self.validate()?;
        Ok(self)
    }
}
