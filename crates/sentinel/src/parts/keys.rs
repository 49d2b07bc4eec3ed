//! The keys of a server that sign.

use std::sync::Arc;

use sentinel_provenance::PublicKey;
use sentinel_service::log::{CheckpointSigner, CheckpointSigners};
use sentinel_service::signing::Signing;

use crate::failure::Outcome;
use crate::parts::database::Opened;
use crate::parts::log_key::LogKeys;
use crate::parts::signing_key::{Prepared, SigningKeyError, Source};

/// The keys of a server. None is open yet.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) signing: Source,
    /// Keys that signed or certified before, and are still trusted.
    pub(crate) retired: Vec<PublicKey>,
    pub(crate) log: LogKeys,
}

/// Keys that were opened. One that was made is not on disk yet.
#[derive(Debug)]
pub(crate) struct OpenedKeys {
    signing: Prepared,
    log_key: Option<Arc<dyn CheckpointSigner>>,
    log: LogKeys,
    retired: Vec<PublicKey>,
}

/// Keys that sign.
#[derive(Debug)]
pub(crate) struct Signers {
    pub(crate) signing: Signing,
    pub(crate) retired: Vec<PublicKey>,
    pub(crate) checkpoints: CheckpointSigners,
}

impl Keys {
    /// Opens the keys. Nothing is written, so the database need not be held.
    ///
    /// # Errors
    /// When one of them cannot be opened or made.
    pub(crate) async fn open(self) -> Result<OpenedKeys, SigningKeyError> {
        let Self { signing, retired, log } = self;
        let (signing, log_key) = tokio::try_join!(signing.prepare(), log.open())?;
        Ok(OpenedKeys { signing, log_key, log, retired })
    }
}

impl OpenedKeys {
    /// Writes what is not on disk, and reads what the database keeps. To be called once the
    /// database is held: of two processes that start in the same directory, only one makes its key.
    ///
    /// # Errors
    /// When a key cannot be written, or the database does not answer.
    pub(crate) async fn settle(self, database: &Opened) -> Outcome<Signers> {
        let signing = self.signing.settle().map_err(|error| error.failure())?;
        let checkpoints = self.log.signers(self.log_key, database).await?;
        Ok(Signers { signing, retired: self.retired, checkpoints })
    }
}
