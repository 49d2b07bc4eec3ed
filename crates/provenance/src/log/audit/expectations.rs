//! What an auditor knows about a log before reading it.

use crate::bundle::{Bundle, TransparencyLogEntry};
use crate::digest::Sha256Digest;
use crate::log::audit::finding::{Contradiction, Finding};
use crate::log::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::log::leaf::HashedRekord;
use crate::log::merkle::leaf_hash;
use crate::log::note_key::VerifierKey;
use crate::log::proof::verify_inclusion;
use crate::log::witness::WitnessPolicy;

/// Label of the checkpoint that the log serves.
pub(super) const SERVED: &str = "checkpoint";

/// What the log must agree with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    /// The witnesses that must have seen the checkpoint; `None` requires none.
    pub witnesses: Option<WitnessPolicy>,
    /// Keys that were revoked.
    pub revoked: Vec<Revoked>,
    pub(super) retained: Vec<Retained>,
    pub(super) entries: Vec<KnownEntry>,
    /// Problems with what was kept.
    pub(super) findings: Vec<Finding>,
}

/// A checkpoint that was kept, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// The checkpoint, signed by the log.
    pub checkpoint: SignedCheckpoint,
    /// Where it comes from, for people.
    pub label: String,
}

/// A revoked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Fingerprint of the key.
    pub key: String,
    /// Index of the revocation in this log. Entries from there on are rejected.
    pub since: u64,
}

/// An entry that a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownEntry {
    pub(super) index: u64,
    pub(super) hash: Sha256Digest,
    pub(super) label: String,
}

impl Retained {
    pub(super) fn against(&self, other: &Self) -> Contradiction {
        Contradiction {
            one: self.checkpoint.clone(),
            one_label: self.label.clone(),
            other: other.checkpoint.clone(),
            other_label: other.label.clone(),
        }
    }
}

impl Contradiction {
    pub(super) fn fork(self) -> Finding {
        Finding::Fork(Box::new(self))
    }
}

impl Expectations {
    /// A checkpoint that was kept.
    ///
    /// # Errors
    /// [`CheckpointError`] when the log did not sign it.
    pub fn retain(
        &mut self,
        note: &str,
        key: &VerifierKey,
        label: &str,
    ) -> Result<(), CheckpointError> {
        let checkpoint = Checkpoint::open(note, key)?;
        self.retained.push(Retained { checkpoint, label: label.to_owned() });
        Ok(())
    }

    /// A bundle that was kept: its entry must be in the log, and its checkpoint must be
    /// valid. An invalid bundle is a finding. Returns how many of the bundle's entries
    /// are in this log.
    pub fn keep_bundle(&mut self, json: &[u8], key: &VerifierKey, label: &str) -> usize {
        match self.bundle(json, key, label) {
            Ok(count) => count,
            Err(reason) => {
                self.findings.push(Finding::Bundle { label: label.to_owned(), reason });
                0
            }
        }
    }

    /// Adds a problem with what was kept.
    pub fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn bundle(&mut self, json: &[u8], key: &VerifierKey, label: &str) -> Result<usize, String> {
        let bundle = Bundle::parse(json).map_err(|error| error.to_string())?;
        let ours = |entry: &&TransparencyLogEntry| entry.log_id.key_id == key.id_hash();
        let mut count = 0;
        for entry in bundle.verification_material.tlog_entries.iter().filter(ours) {
            let proof = &entry.inclusion_proof;
            let envelope = &proof.checkpoint.envelope;
            let checkpoint = Checkpoint::open(envelope, key).map_err(|error| error.to_string())?;
            if (checkpoint.size(), checkpoint.root()) != (proof.tree_size, proof.root_hash) {
                return Err("proof leads to another state than the log signed".to_owned());
            }
            let leaf = HashedRekord::parse(&entry.canonicalized_body)
                .map_err(|error| error.to_string())?;
            let about = HashedRekord::of(&bundle.envelope, leaf.key());
            if about != leaf || leaf.key().hint() != bundle.hint() || leaf.verify().is_err() {
                return Err("log entry is about another envelope".to_owned());
            }
            if entry.log_index != proof.log_index {
                return Err("entry and proof name different indexes".to_owned());
            }
            let hash = leaf_hash(&entry.canonicalized_body);
            let (size, root) = (checkpoint.size(), checkpoint.root());
            verify_inclusion(entry.log_index, size, &hash, &proof.hashes, &root)
                .map_err(|error| error.to_string())?;
            let label = label.to_owned();
            self.entries.push(KnownEntry { index: entry.log_index, hash, label: label.clone() });
            self.retained.push(Retained { checkpoint, label });
            count += 1;
        }
        Ok(count)
    }

    /// How many checkpoints were kept.
    #[must_use]
    pub fn retained(&self) -> usize {
        self.retained.len()
    }

    /// How many bundles are invalid.
    #[must_use]
    pub fn findings(&self) -> usize {
        self.findings.len()
    }

    /// How many entries bundles prove.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn sort(&mut self) {
        self.retained.sort_by_key(|kept| kept.checkpoint.size());
        self.entries.sort_by_key(|entry| entry.index);
    }
}
