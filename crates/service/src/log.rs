//! The transparency log of this deployment: what is signed is appended with the transaction that
//! stores it, sequenced into a tree, and proved on request.

mod keys;
mod proofs;
mod sequencer;
mod shards;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use sentinel_core::clock::Clock;
use sentinel_core::ports::{DeploymentStore, LogStore};
use sentinel_provenance::log::{Checkpoint, Ed25519NoteSigner, NoteSigner, VerifierKey};
use sentinel_provenance::{SeenCheckpoint, SignError};
use tokio::sync::Notify;
use uuid::Uuid;

pub use keys::{KeyEvent, LoggedKey};
pub use proofs::{CacheLife, LogFile};
pub use sequencer::follow;
pub use shards::Shard;
pub(crate) use shards::{SignedStatement, sign_statement};

use crate::ServiceError;
use crate::keys::random_bytes;
use crate::signing::SigningKeys;

/// Signs the checkpoints of one log. A key service far away may take its time: nothing waits for it
/// but the next checkpoint.
#[async_trait]
pub trait CheckpointSigner: Send + Sync + std::fmt::Debug {
    /// The key that verifies what is signed; its name is the log's origin.
    fn verifier_key(&self) -> &VerifierKey;

    /// The signed note. Ed25519 is deterministic: signing again gives the same.
    ///
    /// # Errors
    /// [`SignError`] when there is no signature.
    async fn sign(&self, checkpoint: &Checkpoint) -> Result<String, SignError>;
}

#[async_trait]
impl<T: NoteSigner> CheckpointSigner for T {
    fn verifier_key(&self) -> &VerifierKey {
        NoteSigner::verifier_key(self)
    }

    async fn sign(&self, checkpoint: &Checkpoint) -> Result<String, SignError> {
        Ok(checkpoint.sign(self)?.to_string())
    }
}

/// The keys of the log: the first signs; the others are those of shards that are to be ended.
pub type CheckpointSigners = Vec<Arc<dyn CheckpointSigner>>;

/// The key of a deployment that was given none: its store keeps it, and all replicas share it.
///
/// # Errors
/// When the store is away, or `origin` cannot be the name of a log.
pub async fn kept_signer(
    store: &dyn DeploymentStore,
    origin: &str,
) -> Result<Arc<dyn CheckpointSigner>, ServiceError> {
    let seed = store.secret(&format!("log_key {origin}"), random_bytes()?).await?;
    let signer = Ed25519NoteSigner::from_seed(origin, &seed);
    Ok(Arc::new(signer.map_err(|error| shards::broken(&error.to_string()))?))
}

/// Leaves that make the sequencer begin at once.
const BATCH: u64 = 256;
/// How long it waits for so many.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long the lead holds without being renewed, by the clock of the store.
const LEASE: Duration = Duration::from_secs(3);
/// Leaves that one step takes at most.
const STEP: u32 = 8192;

/// The log.
#[derive(Debug)]
pub struct TransparencyLog {
    store: Arc<dyn LogStore>,
    signers: CheckpointSigners,
    /// Signs the statements with which shards begin.
    statements: Arc<SigningKeys>,
    clock: Arc<dyn Clock>,
    /// This process, to the others that would lead.
    holder: Uuid,
    /// Leaves appended by this process since the sequencer last looked.
    appended: AtomicU64,
    wake: Notify,
    shards: ArcSwap<Vec<Shard>>,
    /// The newest checkpoint that is known here.
    seen: ArcSwapOption<SeenCheckpoint>,
}

impl TransparencyLog {
    /// Opens the log, beginning its first shard when there is none.
    ///
    /// # Errors
    /// When the store cannot be read or written, a stored key is not one, or there is no signer.
    pub async fn open(
        store: Arc<dyn LogStore>,
        signers: CheckpointSigners,
        statements: Arc<SigningKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let log = Self {
            store,
            signers,
            statements,
            clock,
            holder: Uuid::now_v7(),
            appended: AtomicU64::new(0),
            wake: Notify::new(),
            shards: ArcSwap::default(),
            seen: ArcSwapOption::empty(),
        };
        log.begin().await?;
        if log.introduce().await.is_err() {
            // Perhaps a rotation was broken off, so that nothing can be appended until it is done.
            log.sequence_now().await?;
            log.introduce().await?;
        }
        log.look().await?;
        Ok(log)
    }

    /// Says that so many leaves were appended.
    pub(crate) fn note_appended(&self, leaves: usize) {
        let leaves = leaves as u64;
        if self.appended.fetch_add(leaves, Ordering::Relaxed) + leaves >= BATCH {
            self.wake.notify_one();
        }
    }

    /// The newest checkpoint that is known here.
    pub(crate) fn seen_checkpoint(&self) -> Option<SeenCheckpoint> {
        self.seen.load().as_deref().cloned()
    }

    /// The shards that are known here, the first first; never empty once opened.
    #[must_use]
    pub fn shards(&self) -> Arc<Vec<Shard>> {
        self.shards.load_full()
    }

    /// Where the log is stored.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn LogStore> {
        &self.store
    }
}
