//! The logs: every state to which a bundle proves must be continued by the newest checkpoint.

use std::collections::BTreeMap;

use sentinel_provenance::log::{
    Checkpoint, MAX_TRUSTED_ROOT_BYTES, SignedCheckpoint, TrustedRoot, TrustedRootError,
    WitnessPolicy, verify_consistency,
};
use sentinel_provenance::{Bundle, LogTrust, Sha256Digest};

use super::problems::{Check, Problems};
use crate::layout::Consistency;

#[derive(Debug)]
pub(super) struct Logs {
    /// The trusted logs: those that were given, or those in the archive.
    pub(super) trust: Option<LogTrust>,
    witnesses: Option<WitnessPolicy>,
    /// States to which bundles prove, by origin and size.
    states: BTreeMap<(String, u64), Sha256Digest>,
    /// The newest checkpoint of each log.
    pub(super) checkpoints: BTreeMap<String, String>,
    pub(super) consistency: Vec<Consistency>,
    problems: Problems,
}

impl Logs {
    pub(super) fn new(root: Option<TrustedRoot>, witnesses: Option<WitnessPolicy>) -> Self {
        Self {
            trust: root.map(|root| LogTrust { root, witnesses: witnesses.clone() }),
            witnesses,
            states: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            consistency: Vec::new(),
            problems: Problems::default(),
        }
    }

    /// The trusted root in the archive, which counts unless one was given.
    pub(super) fn root(&mut self, bytes: &[u8]) -> Result<(), TrustedRootError> {
        if self.trust.is_none() {
            let root = bytes.get(..bytes.len().min(MAX_TRUSTED_ROOT_BYTES + 1));
            let root = TrustedRoot::parse(root.unwrap_or_default())?;
            self.trust = Some(LogTrust { root, witnesses: self.witnesses.clone() });
        }
        Ok(())
    }

    /// Takes the states to which a bundle proves that was verified.
    pub(super) fn prove(&mut self, bundle: &Bundle) {
        let Some(trust) = &self.trust else { return };
        for entry in &bundle.verification_material.tlog_entries {
            let Some(log) = trust.root.log(&entry.log_id.key_id) else { continue };
            let proof = &entry.inclusion_proof;
            let state = (log.origin().to_owned(), proof.tree_size);
            let known = self.states.insert(state, proof.root_hash);
            if known.is_some_and(|root| root != proof.root_hash) {
                let (origin, size) = (log.origin(), proof.tree_size);
                self.problems.add(format!(
                    "log `{origin}` signed two states of {size} entries: it has forked"
                ));
            }
        }
    }

    pub(super) fn compare(&mut self) {
        let states = std::mem::take(&mut self.states);
        for ((origin, earlier), earlier_root) in &states {
            let Some(checkpoint) = self.checkpoint(origin) else {
                self.problems.add(format!("there is no checkpoint that log `{origin}` signed"));
                continue;
            };
            let (size, root) = (checkpoint.size(), checkpoint.root());
            let of_it = |proof: &&Consistency| proof.origin == *origin && proof.size == *earlier;
            let holds = self.consistency.iter().find(of_it).is_some_and(|found| {
                verify_consistency(*earlier, earlier_root, size, &root, &found.proof).is_ok()
            });
            if !holds {
                self.problems.add(format!(
                    "nothing shows that log `{origin}` of {size} entries continues that of {earlier}"
                ));
            }
        }
        self.states = states;
    }

    fn checkpoint(&self, origin: &str) -> Option<SignedCheckpoint> {
        let (note, trust) = (self.checkpoints.get(origin)?, self.trust.as_ref()?);
        let mut of_it = trust.root.logs.iter().filter(|log| log.origin() == origin);
        of_it.find_map(|log| Checkpoint::open(note, log.key()).ok())
    }

    pub(super) fn check(self) -> Check {
        let passed = format!("{} states, each continued by the checkpoint", self.states.len());
        self.problems.check("log", passed)
    }
}
