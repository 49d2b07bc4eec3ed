//! What an auditor keeps between two audits: the last checkpoint of each log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::json::{self, JsonError};
use crate::log::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::log::note::{Note, NoteError};

/// Longest file of this kind in bytes.
pub const MAX_AUDIT_STATE_BYTES: usize = 4 * 1024 * 1024;

const VERSION: u32 = 1;

/// Why a file is not a valid state of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuditStateError {
    /// It is not a JSON document of that shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is of a later version.
    #[error("version is not {VERSION}")]
    Version,
    /// One of the notes is malformed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// One of the notes is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Two notes are about one log.
    #[error("two checkpoints of one log")]
    Twice,
}

/// The last checkpoint of each log that was audited and found sound. Each is signed
/// by its log, which is verified when it is used.
///
/// ```
/// use sentinel_provenance::log::AuditState;
/// # use sentinel_provenance::log::{Checkpoint, Ed25519NoteSigner, NoteSigner as _, leaf_hash};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let log = Ed25519NoteSigner::generate("log.example")?;
/// # let note = Checkpoint::new("log.example", 1, leaf_hash(b"leaf"))?.sign(&log)?.to_string();
/// # let checkpoint = Checkpoint::open(&note, log.verifier_key())?;
/// let mut state = AuditState::default();
/// state.keep(&checkpoint);
/// let read = AuditState::parse(&state.to_json()?)?;
/// assert_eq!(read.note("log.example"), Some(note.as_str()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditState {
    notes: BTreeMap<String, String>,
}

impl AuditState {
    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`AuditStateError`] when it is anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuditStateError> {
        let wire: Wire = json::read(bytes, MAX_AUDIT_STATE_BYTES)?;
        if wire.version != VERSION {
            return Err(AuditStateError::Version);
        }
        let mut notes = BTreeMap::new();
        for text in wire.checkpoints {
            let note = Note::parse(&text)?;
            let origin = Checkpoint::parse(note.text())?.origin().as_str().to_owned();
            if notes.insert(origin, text).is_some() {
                return Err(AuditStateError::Twice);
            }
        }
        Ok(Self { notes })
    }

    /// Writes the state, as JSON.
    ///
    /// # Errors
    /// [`JsonError`] when it would not be read back.
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        let checkpoints = self.notes.values().cloned().collect();
        json::write(&Wire { version: VERSION, checkpoints }, MAX_AUDIT_STATE_BYTES)
    }

    /// The note that was kept of a log, to be verified.
    #[must_use]
    pub fn note(&self, origin: &str) -> Option<&str> {
        self.notes.get(origin).map(String::as_str)
    }

    /// Keeps a checkpoint of a log that was found to continue the one before.
    pub fn keep(&mut self, checkpoint: &SignedCheckpoint) {
        let origin = checkpoint.checkpoint().origin().as_str().to_owned();
        self.notes.insert(origin, checkpoint.note().to_string());
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    checkpoints: Vec<String>,
}
