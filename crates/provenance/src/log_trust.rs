//! The logs that a verifier knows, and what a bundle proves with them.

use crate::bundle::{Bundle, InclusionProof, KindVersion, TransparencyLogEntry};
use crate::digest::Sha256Digest;
use crate::log::{
    Checkpoint, HashedRekord, LEAF_KIND, LEAF_VERSION, SignedCheckpoint, TrustedLog, TrustedRoot,
    WitnessPolicy, WitnessPolicyError, leaf_hash, verify_inclusion,
};
use crate::public_key::PublicKey;

/// The logs that a verifier trusts, and the witnesses it requires.
///
/// ```
/// use sentinel_provenance::log::TrustedRoot;
/// use sentinel_provenance::{LogTrust, verify_logged_bundle_json};
/// # use sentinel_provenance::{EcdsaP256Signer, Signer as _};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (bundle, signer) = (b"{}", EcdsaP256Signer::generate()?);
/// # let trusted_root = TrustedRoot::default().to_json()?;
/// let logs = LogTrust { root: TrustedRoot::parse(&trusted_root)?, witnesses: None };
/// let verification = verify_logged_bundle_json(bundle, signer.public_key(), &logs, None);
/// for check in verification.checks() {
///     println!("{:?}: {:?}, {}", check.name, check.outcome, check.detail);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTrust {
    /// The logs. With none, no bundle verifies.
    pub root: TrustedRoot,
    /// The witnesses that must have cosigned the checkpoint; `None` requires none.
    pub witnesses: Option<WitnessPolicy>,
}

/// The revocation of a key, from an entry of a log on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Fingerprint of the key.
    pub key: String,
    /// Where it was logged. The same revocation may be in several logs.
    pub places: Vec<RevokedAt>,
}

/// Where a revocation was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedAt {
    /// The log, by the hash of its name and key.
    pub log: Sha256Digest,
    /// The index there. Entries of the key before it stay valid.
    pub index: u64,
}

impl Revocation {
    /// Verifies that entries were made before it. A log that contains both shows which came first.
    /// Otherwise, a log that began after a log with the revocation is later as a whole.
    pub(crate) fn is_after(
        &self,
        entries: &[(Sha256Digest, u64)],
        logs: &LogTrust,
    ) -> Result<(), String> {
        let mut compared = false;
        for (log, index) in entries {
            for since in self.places.iter().filter(|place| place.log == *log) {
                if *index >= since.index {
                    let since = since.index;
                    return Err(format!("key was revoked by entry {since}, this is entry {index}"));
                }
                compared = true;
            }
        }
        let began = |id: &Sha256Digest| logs.root.log(id).map(TrustedLog::valid_from);
        let earlier = |(log, _): &(Sha256Digest, u64)| {
            self.places.iter().any(|place| began(&place.log) <= began(log))
        };
        if !compared && entries.iter().any(earlier) {
            return Err("key was revoked in an earlier log".to_owned());
        }
        Ok(())
    }
}

/// An entry of a trusted log with a valid checkpoint, which is that of its proof.
pub(crate) struct Logged<'a> {
    entry: &'a TransparencyLogEntry,
    checkpoint: SignedCheckpoint,
}

impl<'a> Logged<'a> {
    /// The entries of trusted logs, at least one; or why they are invalid.
    pub(crate) fn find(bundle: &'a Bundle, logs: &LogTrust) -> Result<Vec<Self>, String> {
        let entries = &bundle.verification_material.tlog_entries;
        let mut found = Vec::new();
        for entry in entries {
            let Some(log) = logs.root.log(&entry.log_id.key_id) else { continue };
            let proof = &entry.inclusion_proof;
            let checkpoint = Checkpoint::open(&proof.checkpoint.envelope, log.key())
                .map_err(|error| format!("{error}, log `{}`", log.origin()))?;
            if (checkpoint.size(), checkpoint.root()) != (proof.tree_size, proof.root_hash) {
                let origin = log.origin();
                return Err(format!("proof leads to another state than log `{origin}` signed"));
            }
            found.push(Self { entry, checkpoint });
        }
        if found.is_empty() {
            return Err(match entries.len() {
                0 => "bundle has no log entry".to_owned(),
                _ => "bundle has no entry of a trusted log".to_owned(),
            });
        }
        Ok(found)
    }

    /// The state of the log, in words.
    pub(crate) fn state(&self) -> String {
        let checkpoint = self.checkpoint.checkpoint();
        format!("log `{}` of {} entries", checkpoint.origin(), checkpoint.size())
    }

    /// The log and the entry, in words.
    pub(crate) fn place(&self) -> (Sha256Digest, u64) {
        (self.entry.log_id.key_id, self.entry.log_index)
    }

    /// The place of the envelope in the log; or why it is not there.
    pub(crate) fn inclusion(&self, bundle: &Bundle, key: &PublicKey) -> Result<String, String> {
        let entry = self.entry;
        let InclusionProof { log_index, hashes, .. } = &entry.inclusion_proof;
        let origin = self.checkpoint.checkpoint().origin();
        if entry.kind_version != KindVersion::hashed_rekord() {
            return Err(format!("entry of log `{origin}` is not a `{LEAF_KIND}` {LEAF_VERSION}"));
        }
        // The entry must be byte for byte what this envelope and key give, so that it
        // cannot mean anything else.
        if entry.canonicalized_body != HashedRekord::of(&bundle.envelope, key).to_bytes() {
            return Err(format!("entry of log `{origin}` is about another envelope"));
        }
        if entry.log_index != *log_index {
            return Err(format!("entry and proof of log `{origin}` name different indexes"));
        }
        let hash = leaf_hash(&entry.canonicalized_body);
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        verify_inclusion(*log_index, size, &hash, hashes, &root)
            .map_err(|error| format!("{error} of log `{origin}`"))?;
        Ok(format!("entry {log_index} of log `{origin}`"))
    }

    /// The witnesses that saw the state of the log; or why they are not enough.
    pub(crate) fn witnessed(&self, policy: &WitnessPolicy) -> Result<String, WitnessPolicyError> {
        let cosignatures = self.checkpoint.cosignatures(policy)?;
        let names = cosignatures.iter().map(|by| format!("`{}`", by.witness));
        let origin = self.checkpoint.checkpoint().origin();
        Ok(format!("log `{origin}` seen by {}", names.collect::<Vec<_>>().join(" and ")))
    }
}

/// Verifies that `key` was not revoked when the entries were made.
pub(crate) fn in_force(
    entries: &[Logged<'_>],
    logs: &LogTrust,
    key: &PublicKey,
    revocations: &[Revocation],
) -> Result<(), String> {
    let places: Vec<_> = entries.iter().map(Logged::place).collect();
    let mut of_key = revocations.iter().filter(|revocation| revocation.key == key.hint());
    of_key.try_for_each(|revocation| revocation.is_after(&places, logs))
}
