//! The one file of the mirror that changes.

use std::fs::{File, OpenOptions};
use std::path::Path;

use bytes::Bytes;
use object_store::{Error, PutMode, PutPayload, UpdateVersion};
use sentinel_objects::{Got, get};
use sentinel_provenance::log::{Checkpoint, MAX_NOTE_BYTES, SignedCheckpoint, verify_consistency};

use super::{Mirror, MirrorError, Mirrored, Swap};
use crate::tiles::{TileSource, consistency};

const NAME: &str = "checkpoint";
/// Attempts while another process is faster.
const ATTEMPTS: usize = 8;

impl Mirror {
    /// Replaces the checkpoint if the existing one is smaller and is continued by it.
    pub(super) async fn put_checkpoint(
        &self,
        checkpoint: &SignedCheckpoint,
        source: &dyn TileSource,
    ) -> Result<Mirrored, MirrorError> {
        // Released at the end of the function or, after a crash, of the process.
        let _lock = match &self.swap {
            Swap::Tag => None,
            Swap::Lock(directory) => {
                let directory = directory.clone();
                let locking = tokio::task::spawn_blocking(move || lock(&directory)).await;
                Some(locking.map_err(|_| MirrorError::BrokenOff)??)
            }
        };
        for _ in 0..ATTEMPTS {
            let there = self.checkpoint().await?;
            let mode = match &there {
                None => PutMode::Create,
                Some((there, version)) => {
                    if let Some(mirrored) = self.compare(there, checkpoint, source).await? {
                        return Ok(mirrored);
                    }
                    match self.swap {
                        Swap::Tag => PutMode::Update(version.clone()),
                        // No other process writes while we hold the lock.
                        Swap::Lock(_) => PutMode::Overwrite,
                    }
                }
            };
            let note = PutPayload::from(checkpoint.note().to_string());
            match self.storage.put_opts(&self.path_of(NAME), note, mode.into()).await {
                Ok(_) => return Ok(Mirrored::Published),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(MirrorError::Busy)
    }

    /// The existing checkpoint, if the log signed it.
    pub(super) async fn checkpoint(
        &self,
    ) -> Result<Option<(SignedCheckpoint, UpdateVersion)>, MirrorError> {
        let foreign = || MirrorError::Foreign(self.log.name().clone());
        match get(&*self.storage, &self.path_of(NAME), MAX_NOTE_BYTES as u64).await? {
            Got::Nothing => Ok(None),
            Got::TooLong => Err(foreign()),
            Got::Bytes(bytes, version) => {
                let text = str::from_utf8(&bytes).map_err(|_| foreign())?;
                let there = Checkpoint::open(text, &self.log).map_err(|_| foreign())?;
                Ok(Some((there, version)))
            }
        }
    }

    /// The existing checkpoint, if it must not be replaced.
    async fn compare(
        &self,
        there: &SignedCheckpoint,
        ours: &SignedCheckpoint,
        source: &dyn TileSource,
    ) -> Result<Option<Mirrored>, MirrorError> {
        if there.size() > ours.size() {
            return Ok(Some(Mirrored::Ahead { size: there.size() }));
        }
        let proof = consistency(source, there.size(), ours.size()).await?;
        let (old, new) = (there.root(), ours.root());
        if verify_consistency(there.size(), &old, ours.size(), &new, &proof).is_err() {
            let kept = [there, ours].map(|it| Bytes::from(it.note().to_string()));
            let [mirror, log] = kept;
            let evidence = self.keep_evidence(NAME, [("mirror", mirror), ("log", log)]).await?;
            let (theirs, ours) = (there.size(), ours.size());
            return Err(MirrorError::Forked { theirs, ours, evidence });
        }
        Ok((there.size() == ours.size()).then_some(Mirrored::Before))
    }
}

/// Waits for the lock of a directory. The lock is a separate file, because the checkpoint is
/// replaced by a new file each time.
fn lock(directory: &Path) -> std::io::Result<File> {
    std::fs::create_dir_all(directory)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("checkpoint.lock"))?;
    file.lock()?;
    Ok(file)
}
