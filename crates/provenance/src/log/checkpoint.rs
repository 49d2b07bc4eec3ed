//! Checkpoints: signed heads of a log (C2SP tlog-checkpoint).

use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::encoding::{from_padded_base64, to_base64};
use crate::log::merkle::{MAX_TREE_SIZE, empty_root};
use crate::log::note::{Note, NoteError};
use crate::log::note_key::{KeyName, NoteSigner, VerifierKey};
use crate::log::witness::{Cosignature, WitnessPolicy, WitnessPolicyError};
use crate::signer::SignError;

/// Why something is not a checkpoint of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// It is not a note, or not one that the log signed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not an origin, a size and a root, each on its line.
    #[error("not a checkpoint: origin, size and root, each on its line")]
    Malformed,
    /// It names another log than the one whose key signed it.
    #[error("checkpoint names another log")]
    Origin,
}

/// The state of a log: how many leaves, under which root.
///
/// ```text
/// log.example
/// 42
/// kn8Uv2+hQCVGYHmfqKOqYZfkLNaZ5BJJrRAZQXZKi0g=
/// ```
///
/// The specification allows more lines. They are refused: what they say could
/// not be checked, and would be signed all the same.
///
/// ```
/// use sentinel_provenance::log::{Checkpoint, Ed25519NoteSigner, NoteSigner as _, leaf_hash};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let signer = Ed25519NoteSigner::generate("log.example")?;
/// let checkpoint = Checkpoint::new("log.example", 1, leaf_hash(b"the only leaf"))?;
/// let published = checkpoint.sign(&signer)?.to_string();
/// let opened = Checkpoint::open(&published, signer.verifier_key())?;
/// assert_eq!(opened.checkpoint(), &checkpoint);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: KeyName,
    size: u64,
    root: Sha256Digest,
}

impl Checkpoint {
    /// States the size and root of the log called `origin`.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] when the origin is not the name of a key,
    /// the size is beyond that of any tree, or the root is not that of its size.
    pub fn new(origin: &str, size: u64, root: Sha256Digest) -> Result<Self, CheckpointError> {
        let origin = KeyName::new(origin).map_err(|_| CheckpointError::Malformed)?;
        if size > MAX_TREE_SIZE || (size == 0) != (root == empty_root()) {
            return Err(CheckpointError::Malformed);
        }
        Ok(Self { origin, size, root })
    }

    /// Reads the text of a note. Each checkpoint has exactly one.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let lines = text.strip_suffix('\n').ok_or(malformed)?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed);
        };
        let size = size.parse().map_err(|_| malformed)?;
        let root = from_padded_base64(root).ok_or(malformed)?;
        let root = root.try_into().map_err(|_| malformed)?;
        let parsed = Self::new(origin, size, Sha256Digest::from_bytes(root))?;
        // The size could have been spelt `007`.
        if parsed.to_text() == text { Ok(parsed) } else { Err(malformed) }
    }

    /// The text to sign.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, to_base64(self.root.as_bytes()))
    }

    /// Signs the checkpoint. Before that its tree must be on disk: a signed
    /// checkpoint cannot be taken back.
    ///
    /// # Errors
    /// [`SignError`] when the signer is another log's, or fails.
    pub fn sign(&self, signer: &dyn NoteSigner) -> Result<Note, SignError> {
        if *signer.verifier_key().name() != self.origin {
            return Err(SignError::Signer("note key has another name than the log".to_owned()));
        }
        Note::sign(self.to_text(), signer)
    }

    /// Reads a signed checkpoint of the log whose key is `key`. Its origin must
    /// be the key's name.
    ///
    /// # Errors
    /// [`CheckpointError`] when it is anything else.
    pub fn open(note: &str, key: &VerifierKey) -> Result<SignedCheckpoint, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != *key.name() {
            return Err(CheckpointError::Origin);
        }
        Ok(SignedCheckpoint { checkpoint, note })
    }

    /// Name of the log.
    #[must_use]
    pub fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    #[must_use]
    pub const fn root(&self) -> Sha256Digest {
        self.root
    }
}

/// A checkpoint with a verified signature of its log: the log has committed to it.
/// Only witnesses can confirm that the log shows the same to every reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// What was signed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, with all its signatures.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// Root of the tree.
    #[must_use]
    pub const fn root(&self) -> Sha256Digest {
        self.checkpoint.root
    }

    /// The cosignatures by witnesses of `policy`.
    ///
    /// # Errors
    /// [`WitnessPolicyError::Quorum`] when there are fewer than it demands.
    pub fn cosignatures(
        &self,
        policy: &WitnessPolicy,
    ) -> Result<Vec<Cosignature>, WitnessPolicyError> {
        policy.check(&self.note)
    }
}
