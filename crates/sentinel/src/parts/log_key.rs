//! The keys that sign the checkpoints of the transparency log.

use std::sync::Arc;

use async_trait::async_trait;
use sentinel_core::store::Store;
use sentinel_provenance::SignError;
use sentinel_provenance::log::{Checkpoint, VerifierKey};
use sentinel_service::log::{CheckpointSigner, CheckpointSigners, kept_signer};
use sentinel_signers::{KeySource, LogKey};

use crate::failure::{OrFail as _, Outcome};
use crate::parts::database::Opened;
use crate::parts::signing_key::SigningKeyError;

/// The name of the log, and where its keys are.
#[derive(Debug, Clone)]
pub(crate) struct LogKeys {
    /// Name of the log.
    pub(crate) origin: String,
    /// Key of the log; `None` leaves it to the store.
    pub(crate) current: Option<KeySource>,
    /// Key that the log had under its earlier name; `None` leaves that to the store.
    pub(crate) previous: Option<KeySource>,
}

impl LogKeys {
    /// Opens the key that was given, if one was. Nothing is written.
    ///
    /// # Errors
    /// When it cannot be opened, or is of another kind.
    pub(crate) async fn open(&self) -> Result<Option<Arc<dyn CheckpointSigner>>, SigningKeyError> {
        given(self.current.as_ref(), &self.origin).await
    }

    /// The signers of the log: the key that was `opened` or else the one that the store keeps, and,
    /// if the log that is open has another key, that key, which ends it.
    ///
    /// # Errors
    /// When the store does not answer, or one of the keys cannot be opened.
    pub(crate) async fn signers(
        &self,
        opened: Option<Arc<dyn CheckpointSigner>>,
        database: &Opened,
    ) -> Outcome<CheckpointSigners> {
        let store = database.store.as_ref();
        let current = or_kept(opened, store, &self.origin).await?;
        let shards = database.log.log_shards().await.or_fail(doing)?;
        let key = current.verifier_key().to_string();
        let mut signers = vec![current];
        if let Some(open) = shards.last().filter(|open| open.verifier_key != key) {
            let previous = given(self.previous.as_ref(), &open.origin).await;
            let previous = previous.map_err(|error| error.failure())?;
            signers.push(or_kept(previous, store, &open.origin).await?);
        }
        Ok(signers)
    }
}

fn doing() -> String {
    "cannot use the transparency log".to_owned()
}

async fn given(
    source: Option<&KeySource>,
    origin: &str,
) -> Result<Option<Arc<dyn CheckpointSigner>>, SigningKeyError> {
    let Some(source) = source else { return Ok(None) };
    Ok(Some(Arc::new(GivenLogKey(LogKey::new(source.open().await?, origin)?))))
}

/// The signer that was given, or that with the key which the store keeps.
async fn or_kept(
    given: Option<Arc<dyn CheckpointSigner>>,
    store: &dyn Store,
    origin: &str,
) -> Outcome<Arc<dyn CheckpointSigner>> {
    match given {
        Some(signer) => Ok(signer),
        None => kept_signer(store, origin).await.or_fail(doing),
    }
}

/// A key of the log that the configuration names.
#[derive(Debug)]
struct GivenLogKey(LogKey);

#[async_trait]
impl CheckpointSigner for GivenLogKey {
    fn verifier_key(&self) -> &VerifierKey {
        self.0.verifier_key()
    }

    async fn sign(&self, checkpoint: &Checkpoint) -> Result<String, SignError> {
        let note = self.0.sign(checkpoint).await;
        note.map(|note| note.to_string()).map_err(|error| SignError::Signer(error.to_string()))
    }
}
