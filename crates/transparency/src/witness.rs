//! Asks a witness to cosign (C2SP tlog-witness).

use std::time::Duration;

use sentinel_provenance::log::{
    AddCheckpoint, AddCheckpointError, KeyKind, KeyName, MAX_NOTE_BYTES, Note, NoteError,
    NoteSignature, SignedCheckpoint, VerifierKey, add_checkpoint_body,
};

use crate::peer::{Peer, PeerError, PeerUrlError};
use crate::tiles::{SourceError, TileSource, consistency};

/// Time limit of one response.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How often a witness may name another size than expected. Other servers ask for the same log only
/// while leadership changes.
const ATTEMPTS: usize = 3;

/// Why a witness did not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    #[error("witness `{0}`: {1}")]
    Peer(KeyName, PeerError),
    #[error("witness `{0}` was not asked: {1}")]
    Source(KeyName, SourceError),
    #[error("witness `{0}` was not asked: {1}")]
    Request(KeyName, AddCheckpointError),
    /// The response does not follow the protocol.
    #[error("witness `{0}` answered nonsense: {1}")]
    Nonsense(KeyName, AddCheckpointError),
    /// It signed another checkpoint, or with another key.
    #[error("witness `{0}` sent no valid cosignature: {1}")]
    Forged(KeyName, NoteError),
    /// It saw more leaves than the checkpoint has. That is harmless if another leader has asked it.
    /// If no server has a larger checkpoint, the log was rolled back.
    #[error("witness `{witness}` has seen {theirs} leaves, the checkpoint has {ours}")]
    Ahead { witness: KeyName, theirs: u64, ours: u64 },
    /// This tree does not begin with what it saw before. Asking again is useless.
    #[error(
        "witness `{witness}` has seen another tree than the one of {size} leaves: THE LOG WAS \
         FORKED OR REWRITTEN"
    )]
    Forked { witness: KeyName, size: u64 },
    #[error("witness `{0}` does not know the log; its operator has to add it")]
    UnknownLog(KeyName),
    #[error("witness `{0}` does not trust the key of the log")]
    UntrustedKey(KeyName),
    #[error("witness `{0}` named one size after another and cosigned none")]
    Unsteady(KeyName),
    #[error("witness `{0}` answered with status {1}")]
    Status(KeyName, u16),
}

impl WitnessError {
    /// Whether it proves that the log showed another tree to someone. For [`WitnessError::Ahead`],
    /// the caller of [`Witness::cosign`] must find out.
    #[must_use]
    pub const fn is_fork(&self) -> bool {
        matches!(self, Self::Forked { .. })
    }
}

/// A cosignature, verified against the key of the witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint with this one signature added.
    pub note: Note,
    /// The line that was added.
    pub signature: NoteSignature,
    /// Seconds since 1970, by the clock of the witness.
    pub time: u64,
}

/// A witness at an address.
#[derive(Debug, Clone)]
pub struct Witness {
    peer: Peer,
    key: VerifierKey,
}

/// Why `url key` does not name a witness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessUrlError {
    #[error("it is not an address and a key, `https://witness.example name+id+key`")]
    Shape,
    #[error("the key of the witness: {0}")]
    Key(sentinel_provenance::log::NoteKeyError),
    #[error("the key of `{0}` is not for cosignatures")]
    Kind(KeyName),
    #[error("the address of the witness: {0}")]
    Url(#[from] PeerUrlError),
}

impl Witness {
    /// Reads `https://witness.example name+id+key`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`WitnessUrlError`].
    pub fn parse(text: &str, patience: Duration) -> Result<Self, WitnessUrlError> {
        let mut words = text.split_whitespace();
        let (Some(url), Some(key), None) = (words.next(), words.next(), words.next()) else {
            return Err(WitnessUrlError::Shape);
        };
        let key = VerifierKey::parse(key).map_err(WitnessUrlError::Key)?;
        if key.kind() != KeyKind::CosignatureV1 {
            return Err(WitnessUrlError::Kind(key.name().clone()));
        }
        Ok(Self { peer: Peer::new(url, patience)?, key })
    }

    /// Its key, whose name is that of the witness.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Asks it to cosign `checkpoint`. As far as we know, it has last seen `known` leaves. If it
    /// reports another size, asks again from there. `tiles` are those of the log.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub async fn cosign(
        &self,
        checkpoint: &SignedCheckpoint,
        known: u64,
        tiles: &dyn TileSource,
    ) -> Result<Cosigned, WitnessError> {
        let (name, size) = (self.key.name(), checkpoint.size());
        let mut known = known.min(size);
        for _ in 0..ATTEMPTS {
            match self.add(checkpoint, known, tiles).await? {
                AddCheckpoint::Cosigned(lines) => return self.verified(checkpoint.note(), lines),
                AddCheckpoint::Conflict { size: theirs } if theirs > size => {
                    return Err(WitnessError::Ahead { witness: name.clone(), theirs, ours: size });
                }
                // It was asked from the size that it reports, and has another root there.
                AddCheckpoint::Conflict { size: theirs } if theirs == known => {
                    return Err(WitnessError::Forked { witness: name.clone(), size });
                }
                AddCheckpoint::Conflict { size: theirs } => known = theirs,
                AddCheckpoint::Inconsistent => {
                    return Err(WitnessError::Forked { witness: name.clone(), size });
                }
                AddCheckpoint::UnknownLog => return Err(WitnessError::UnknownLog(name.clone())),
                AddCheckpoint::UntrustedKey => {
                    return Err(WitnessError::UntrustedKey(name.clone()));
                }
                AddCheckpoint::Failed { status } => {
                    return Err(WitnessError::Status(name.clone(), status));
                }
            }
        }
        Err(WitnessError::Unsteady(name.clone()))
    }

    async fn add(
        &self,
        checkpoint: &SignedCheckpoint,
        known: u64,
        tiles: &dyn TileSource,
    ) -> Result<AddCheckpoint, WitnessError> {
        let name = || self.key.name().clone();
        let proof = consistency(tiles, known, checkpoint.size()).await;
        let proof = proof.map_err(|error| WitnessError::Source(name(), error))?;
        let body = add_checkpoint_body(known, &proof, checkpoint.note())
            .map_err(|error| WitnessError::Request(name(), error))?;
        let answer = self
            .peer
            .post("add-checkpoint", "text/plain", body.into_bytes(), None, MAX_NOTE_BYTES)
            .await
            .map_err(|error| WitnessError::Peer(name(), error))?;
        AddCheckpoint::parse(answer.status, &answer.body)
            .map_err(|error| WitnessError::Nonsense(name(), error))
    }

    /// Keeps the line in the name of the witness, if it is valid. A witness may also sign with
    /// other keys. They are not configured, so their signatures are dropped.
    fn verified(
        &self,
        checkpoint: &Note,
        lines: Vec<NoteSignature>,
    ) -> Result<Cosigned, WitnessError> {
        let forged = |error| WitnessError::Forged(self.key.name().clone(), error);
        let ours =
            |line: &NoteSignature| line.name() == self.key.name() && line.id() == self.key.id();
        let signature = lines.into_iter().find(ours).ok_or_else(|| forged(NoteError::Unsigned))?;
        // On its own, because otherwise an earlier cosignature would be verified.
        let alone = Note::parse(&format!("{}\n{signature}", checkpoint.text())).map_err(forged)?;
        let time = alone.verify_cosignature(&self.key).map_err(forged)?;
        let note = checkpoint.with_signatures(vec![signature.clone()]).map_err(forged)?;
        Ok(Cosigned { note, signature, time })
    }
}
