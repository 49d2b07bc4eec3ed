//! Witnesses: which to trust, and how to ask one (C2SP tlog-cosignature and
//! tlog-witness). The request itself is made elsewhere.

use std::fmt::Write as _;

use thiserror::Error;

use crate::bundle::MAX_PROOF_HASHES;
use crate::digest::Sha256Digest;
use crate::encoding::to_base64;
use crate::log::note::{MAX_NOTE_BYTES, Note, NoteError, NoteSignature};
use crate::log::note_key::{KeyKind, KeyName, VerifierKey};

/// Why a policy is invalid or not satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WitnessPolicyError {
    /// The quorum is zero, or more than there are witnesses.
    #[error("quorum is {quorum} of {witnesses} witnesses")]
    Unsatisfiable {
        /// How many are required.
        quorum: usize,
        /// How many there are.
        witnesses: usize,
    },
    /// A key is not one of a witness.
    #[error("key of witness `{name}` is not for cosignatures")]
    Kind {
        /// The key's name.
        name: KeyName,
    },
    /// One witness is listed twice, and would count twice.
    #[error("witness `{name}` is listed twice, by name or key")]
    Twice {
        /// The key's name.
        name: KeyName,
    },
    /// Too few witnesses cosigned.
    #[error("cosigned by {actual} witnesses, the quorum is {quorum}")]
    Quorum {
        /// How many are required.
        quorum: usize,
        /// How many cosigned.
        actual: usize,
    },
    /// A cosignature in the name of a witness does not hold.
    #[error("cosignature of witness `{name}` does not match")]
    Mismatch {
        /// The key's name.
        name: KeyName,
    },
}

/// The witnesses of which a quorum must have cosigned a checkpoint.
///
/// ```
/// use sentinel_provenance::log::{VerifierKey, WitnessPolicy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let witness = "witness.example/w+732d8984+BAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";
/// let policy = WitnessPolicy::new(1, vec![VerifierKey::parse(witness)?])?;
/// assert_eq!(policy.quorum(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    quorum: usize,
    witnesses: Vec<VerifierKey>,
}

impl WitnessPolicy {
    /// Requires cosignatures of `quorum` of the `witnesses`.
    ///
    /// # Errors
    /// [`WitnessPolicyError`] when the quorum is zero or cannot be reached.
    pub fn new(quorum: usize, witnesses: Vec<VerifierKey>) -> Result<Self, WitnessPolicyError> {
        if quorum == 0 || quorum > witnesses.len() {
            let witnesses = witnesses.len();
            return Err(WitnessPolicyError::Unsatisfiable { quorum, witnesses });
        }
        let mut rest = witnesses.as_slice();
        while let Some((key, after)) = rest.split_first() {
            let name = || key.name().clone();
            if key.kind() != KeyKind::CosignatureV1 {
                return Err(WitnessPolicyError::Kind { name: name() });
            }
            let same = |other: &VerifierKey| {
                other.name() == key.name() || other.as_bytes() == key.as_bytes()
            };
            if after.iter().any(same) {
                return Err(WitnessPolicyError::Twice { name: name() });
            }
            rest = after;
        }
        Ok(Self { quorum, witnesses })
    }

    /// How many must have cosigned.
    #[must_use]
    pub const fn quorum(&self) -> usize {
        self.quorum
    }

    /// The witnesses' keys.
    #[must_use]
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// Verifies the cosignatures of a note whose log was verified before.
    pub(super) fn check(&self, note: &Note) -> Result<Vec<Cosignature>, WitnessPolicyError> {
        let mut cosignatures = Vec::new();
        for key in &self.witnesses {
            let name = key.name().clone();
            match note.verify_cosignature(key) {
                Ok(time) => cosignatures.push(Cosignature { witness: name, time }),
                // The specification requires that one bad signature by a known key
                // invalidates the note.
                Err(NoteError::Mismatch) => return Err(WitnessPolicyError::Mismatch { name }),
                Err(_) => {}
            }
        }
        if cosignatures.len() < self.quorum {
            let actual = cosignatures.len();
            return Err(WitnessPolicyError::Quorum { quorum: self.quorum, actual });
        }
        Ok(cosignatures)
    }
}

/// The fact that a witness saw a checkpoint, and when. The log had all its leaves by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// Name of the witness.
    pub witness: KeyName,
    /// Seconds since 1970, by the clock of the witness.
    pub time: u64,
}

/// Why there is no request, or the response does not follow the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddCheckpointError {
    /// The proof is longer than any valid one.
    #[error("consistency proof has {actual} hashes, the limit is {MAX_PROOF_HASHES}")]
    ProofTooLong {
        /// How many hashes it has.
        actual: usize,
    },
    /// The witness reported success, but sent no signature lines.
    #[error("answer of the witness: {0}")]
    Lines(#[from] NoteError),
    /// The response is longer than any valid one, or not text.
    #[error("answer of the witness is not text of at most {MAX_NOTE_BYTES} bytes")]
    Answer,
}

/// The body of a request to cosign `checkpoint`: that the witness last saw
/// `old_size` leaves, and the proof that they are still the first ones.
///
/// ```
/// use sentinel_provenance::log::{AddCheckpoint, add_checkpoint_body};
/// # use sentinel_provenance::log::{Checkpoint, Ed25519NoteSigner, leaf_hash};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let signer = Ed25519NoteSigner::generate("log.example")?;
/// # let note = Checkpoint::new("log.example", 1, leaf_hash(b"leaf"))?.sign(&signer)?;
/// // The first checkpoint that a witness sees needs no proof.
/// let body = add_checkpoint_body(0, &[], &note)?;
/// // …POST it to `<witness>/add-checkpoint`; the answer was 409, `7\n`…
/// assert_eq!(AddCheckpoint::parse(409, b"7\n")?, AddCheckpoint::Conflict { size: 7 });
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`AddCheckpointError::ProofTooLong`].
pub fn add_checkpoint_body(
    old_size: u64,
    consistency_proof: &[Sha256Digest],
    checkpoint: &Note,
) -> Result<String, AddCheckpointError> {
    if consistency_proof.len() > MAX_PROOF_HASHES {
        return Err(AddCheckpointError::ProofTooLong { actual: consistency_proof.len() });
    }
    let mut body = format!("old {old_size}\n");
    for hash in consistency_proof {
        // Writing to a string does not fail.
        let _ = writeln!(body, "{}", to_base64(hash.as_bytes()));
    }
    let _ = write!(body, "\n{checkpoint}");
    Ok(body)
}

/// The response of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddCheckpoint {
    /// 200: it cosigned. Add the signatures to the note, then verify them
    /// against a [`WitnessPolicy`]: anyone could have sent them.
    Cosigned(Vec<NoteSignature>),
    /// 409: it last saw another size; ask again with a proof from there. When
    /// that is the size that was sent, it saw another root there: the log has
    /// forked. (Litewitness returns 422 for a fork at the same size.)
    Conflict {
        /// The size that it last cosigned.
        size: u64,
    },
    /// 422: the new tree does not begin with the old one.
    Inconsistent,
    /// 404: it does not know the log.
    UnknownLog,
    /// 403: it does not trust the key that signed.
    UntrustedKey,
    /// Any other status: try again later, or not at all.
    Failed {
        /// The HTTP status.
        status: u16,
    },
}

impl AddCheckpoint {
    /// Reads the status and body of a response.
    ///
    /// # Errors
    /// [`AddCheckpointError`] when a success is not valid.
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, AddCheckpointError> {
        if body.len() > MAX_NOTE_BYTES {
            return Err(AddCheckpointError::Answer);
        }
        Ok(match status {
            200 => {
                let lines = str::from_utf8(body).map_err(|_| AddCheckpointError::Answer)?;
                Self::Cosigned(NoteSignature::parse_lines(lines)?)
            }
            403 => Self::UntrustedKey,
            404 => Self::UnknownLog,
            409 => match size(body) {
                Some(size) => Self::Conflict { size },
                None => Self::Failed { status },
            },
            422 => Self::Inconsistent,
            status => Self::Failed { status },
        })
    }
}

/// A decimal number and a newline, in its one spelling.
fn size(body: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(body).ok()?.strip_suffix('\n')?;
    let size: u64 = digits.parse().ok()?;
    (size.to_string() == digits).then_some(size)
}
