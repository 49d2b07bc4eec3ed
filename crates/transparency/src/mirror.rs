//! Copying the log to object storage, in the layout of tlog-tiles.
//!
//! `<folder>/<origin>/` contains `tile/…` and `checkpoint`, as our server serves them. A tile is
//! written once and never replaced. The checkpoint is written last, and replaced only by a larger
//! one. A reader of a checkpoint therefore finds everything below it, and after a crash the next
//! run continues with what is there.

mod checkpoint;
mod evidence;
mod growth;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, PutMode, PutPayload};
use sentinel_objects::{AddressError, Folder, Got, get, told};
use sentinel_provenance::log::{KeyName, SignedCheckpoint, TilePath, VerifierKey};

use crate::remote::MAX_TILE;
use crate::tiles::{SourceError, TileSource};

/// Why the log was not mirrored.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    #[error("the object storage failed: {}", told(.0))]
    Storage(#[from] Error),
    #[error("the directory of the mirror failed: {0}")]
    Directory(#[from] std::io::Error),
    #[error("the log cannot be read: {0}")]
    Source(#[from] SourceError),
    /// Our own tiles do not lead to the checkpoint. Nothing was published.
    #[error("`{0}` does not lead to the checkpoint that was signed: the log is damaged")]
    Damaged(TilePath),
    /// The mirror has another tile than we have, so one of the two logs is not the published one.
    /// Both tiles are kept.
    #[error(
        "the mirror has another `{path}` than the log: THE LOG WAS FORKED OR REWRITTEN; both are \
         kept in the mirror below `{evidence}`"
    )]
    ForkedTile { path: TilePath, evidence: Path },
    /// The mirror has another checkpoint of the same log that contradicts ours. Both are kept.
    #[error(
        "the checkpoint of {theirs} leaves in the mirror contradicts that of {ours}: THE LOG WAS \
         FORKED OR REWRITTEN; both are kept in the mirror below `{evidence}`"
    )]
    Forked { theirs: u64, ours: u64, evidence: Path },
    #[error("the mirror has a checkpoint that log `{0}` did not sign; it is another log's place")]
    Foreign(KeyName),
    /// Another process replaced it repeatedly.
    #[error("the checkpoint of the mirror changes all the time")]
    Busy,
    /// The runtime is shutting down.
    #[error("the work was broken off")]
    BrokenOff,
}

impl MirrorError {
    /// Whether it proves that the log showed another tree to someone. Trying again is then useless.
    #[must_use]
    pub const fn is_fork(&self) -> bool {
        matches!(self, Self::ForkedTile { .. } | Self::Forked { .. })
    }
}

/// What the mirror has after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirrored {
    /// The checkpoint.
    Published,
    /// One of the same size, from before.
    Before,
    /// A larger one. That is harmless if another leader has written it. If no server has a larger
    /// checkpoint, the log was rolled back.
    Ahead {
        /// Its size.
        size: u64,
    },
}

/// How a checkpoint is replaced without losing that of another process.
#[derive(Debug, Clone)]
enum Swap {
    /// By compare-and-swap of the object storage.
    Tag,
    /// Under a lock of the directory: a file system has no such operation.
    Lock(PathBuf),
}

/// The copy of one log.
#[derive(Debug, Clone)]
pub struct Mirror {
    storage: Arc<dyn ObjectStore>,
    folder: Path,
    swap: Swap,
    log: VerifierKey,
}

impl Mirror {
    /// The mirror of the log with key `log` at `url`, `file:///directory` or `s3://bucket/folder`;
    /// see [`Folder::open`]. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn open(
        url: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        log: VerifierKey,
    ) -> Result<Self, AddressError> {
        Ok(Self::at(&Folder::open(url, environment)?, log))
    }

    /// The mirror in a folder.
    #[must_use]
    pub fn at(folder: &Folder, log: VerifierKey) -> Self {
        let mirror = Self::within(Arc::clone(&folder.storage), &folder.path, log);
        match &folder.directory {
            Some(directory) => {
                let place = directory.join(mirror.log.name().as_str());
                Self { swap: Swap::Lock(place), ..mirror }
            }
            None => mirror,
        }
    }

    /// The mirror in a storage that can compare and swap.
    #[must_use]
    pub fn within(storage: Arc<dyn ObjectStore>, folder: &Path, log: VerifierKey) -> Self {
        let folder = folder.clone().join(log.name().as_str());
        Self { storage, folder, swap: Swap::Tag, log }
    }

    /// Copies what `checkpoint` has and the tree of `from` leaves has not, then the checkpoint.
    /// Copying again what is there changes nothing, so `from` may be too small, as after a crash.
    ///
    /// Everything is verified on the way: the mirror has a checkpoint only with the tiles and
    /// entries that lead to it.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn publish(
        &self,
        from: u64,
        checkpoint: &SignedCheckpoint,
        source: &dyn TileSource,
    ) -> Result<Mirrored, MirrorError> {
        self.copy_growth(from, checkpoint, source).await?;
        self.put_checkpoint(checkpoint, source).await
    }

    /// The size of the existing checkpoint, if there is one.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn size(&self) -> Result<Option<u64>, MirrorError> {
        Ok(self.checkpoint().await?.map(|(checkpoint, _)| checkpoint.size()))
    }

    fn path_of(&self, name: &str) -> Path {
        name.split('/').fold(self.folder.clone(), |path, part| path.join(part))
    }

    /// Writes a tile unless it exists.
    async fn put_tile(&self, path: TilePath, bytes: Bytes) -> Result<(), MirrorError> {
        let place = self.path_of(&path.to_string());
        match self.create(&place, bytes.clone()).await {
            Ok(()) => return Ok(()),
            Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match get(&*self.storage, &place, MAX_TILE as u64).await? {
            Got::Bytes(there, _) if there == bytes => Ok(()),
            there => {
                let there = if let Got::Bytes(there, _) = there { there } else { Bytes::new() };
                let name = path.to_string().replace('/', "-");
                let evidence = self.keep_evidence(&name, [("mirror", there), ("log", bytes)]);
                Err(MirrorError::ForkedTile { path, evidence: evidence.await? })
            }
        }
    }

    async fn create(&self, place: &Path, bytes: Bytes) -> Result<(), Error> {
        let options = PutMode::Create.into();
        self.storage.put_opts(place, PutPayload::from(bytes), options).await.map(|_| ())
    }
}
