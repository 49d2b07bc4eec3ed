//! How one log continues another.

use crate::bundle::Bundle;
use crate::log::audit::finding::Finding;
use crate::log::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::log::note_key::VerifierKey;
use crate::statement::{LogShardStart, PredecessorLog, Statement};

/// What the first entry of a log says of the log before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    origin: String,
    predecessor: PredecessorLog,
}

impl Succession {
    /// Reads a bundle that was kept by [`super::Expectations::keep_bundle`], so that its entry is
    /// known to be in the log of `key`; `None` when it is about something else, or the log is the
    /// first one.
    ///
    /// # Errors
    /// [`Finding::Succession`] when it does not belong where it is.
    pub fn read(json: &[u8], key: &VerifierKey) -> Result<Option<Self>, Finding> {
        let Ok(bundle) = Bundle::parse(json) else { return Ok(None) };
        let Ok(start) = Statement::<LogShardStart>::parse(bundle.envelope.payload()) else {
            return Ok(None);
        };
        let start = start.predicate();
        let Some(predecessor) = &start.predecessor else { return Ok(None) };
        let this =
            Self { origin: key.name().as_str().to_owned(), predecessor: predecessor.clone() };
        let mut entries = bundle.verification_material.tlog_entries.iter();
        let Some(entry) = entries.find(|entry| entry.log_id.key_id == key.id_hash()) else {
            return Ok(None);
        };
        if start.verifier_key != key.to_string() {
            return Err(this.broken("its first entry names another log"));
        }
        if entry.log_index != 0 {
            return Err(this.broken("the statement that it does is not its first entry"));
        }
        Ok(Some(this))
    }

    /// The log that is continued.
    #[must_use]
    pub fn predecessor(&self) -> &PredecessorLog {
        &self.predecessor
    }

    /// Whether `last`, the checkpoint that the log before has, is the one that was recorded.
    ///
    /// # Errors
    /// [`Finding::Succession`] when it is another.
    pub fn check(&self, last: &SignedCheckpoint, key: &VerifierKey) -> Result<(), Finding> {
        let recorded = Checkpoint::open(&self.predecessor.checkpoint, key)
            .map_err(|error| self.broken(&error.to_string()))?;
        if recorded.checkpoint() == last.checkpoint() {
            return Ok(());
        }
        let (recorded, last) = (recorded.size(), last.size());
        Err(self.broken(&format!("it was ended with {recorded} entries, and has {last}")))
    }

    fn broken(&self, reason: &str) -> Finding {
        Finding::Succession {
            origin: self.origin.clone(),
            predecessor: self.predecessor.origin.clone(),
            reason: reason.to_owned(),
        }
    }
}
