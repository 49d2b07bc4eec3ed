//! Shards: beginning the first, ending one, beginning the next.

use std::sync::Arc;

use sentinel_core::id::StatementId;
use sentinel_core::log::{LogPlace, LogShard, LogStatement, NewShard, NewStatement, StatementKind};
use sentinel_provenance::log::{Checkpoint, HashedRekord, TrustedLog, VerifierKey};
use sentinel_provenance::{
    Bundle, Envelope, LogShardStart, PredecessorLog, PublicKey, SeenCheckpoint, Sha256Digest,
    Signer, Statement,
};
use uuid::Uuid;

use super::{CheckpointSigner, TransparencyLog};
use crate::ServiceError;

/// A shard, with its key.
#[derive(Debug, Clone)]
pub struct Shard {
    pub shard: LogShard,
    pub key: VerifierKey,
}

impl Shard {
    fn of(shard: LogShard) -> Result<Self, ServiceError> {
        let key = VerifierKey::parse(&shard.verifier_key);
        let key =
            key.map_err(|error| broken(&format!("key of log `{}`: {error}", shard.origin)))?;
        Ok(Self { shard, key })
    }

    /// As a trusted root lists it.
    ///
    /// # Errors
    /// When its origin is not a host name.
    pub fn trusted(&self) -> Result<TrustedLog, ServiceError> {
        let trusted = TrustedLog::new(self.key.clone(), self.shard.started_at);
        trusted.map_err(|error| broken(&error.to_string()))
    }
}

pub(super) fn broken(why: &str) -> ServiceError {
    ServiceError::Unavailable(format!("the transparency log cannot be used: {why}"))
}

impl TransparencyLog {
    /// Reads the shards, beginning the first when there is none.
    pub(super) async fn begin(&self) -> Result<(), ServiceError> {
        if self.refresh_shards().await?.is_empty() {
            let first = self.new_shard(self.signer()?.verifier_key(), None).await?;
            if let Some(shard) = self.store.start_shard(first).await? {
                tracing::info!(origin = shard.origin, "the transparency log begins");
            }
            self.refresh_shards().await?;
        }
        match self.shards().last() {
            Some(_) => Ok(()),
            None => Err(broken("it has no shard")),
        }
    }

    pub(super) async fn refresh_shards(&self) -> Result<Arc<Vec<Shard>>, ServiceError> {
        let stored = self.store.log_shards().await?;
        let shards = stored.into_iter().map(Shard::of).collect::<Result<Vec<_>, _>>()?;
        let shards = Arc::new(shards);
        self.shards.store(Arc::clone(&shards));
        Ok(shards)
    }

    /// Reads what is signed by now.
    pub(super) async fn look(&self) -> Result<(), ServiceError> {
        let shards = self.refresh_shards().await?;
        let Some(open) = shards.last() else { return Ok(()) };
        if let Some(note) = &self.head(open).await?.checkpoint {
            self.see(&open_checkpoint(note, &open.key)?);
        }
        Ok(())
    }

    pub(super) fn see(&self, checkpoint: &Checkpoint) {
        self.seen.store(Some(Arc::new(SeenCheckpoint {
            origin: checkpoint.origin().to_string(),
            size: checkpoint.size(),
            root_hash: checkpoint.root(),
        })));
    }

    /// Who signs new checkpoints.
    fn signer(&self) -> Result<&dyn CheckpointSigner, ServiceError> {
        self.signers.first().map(AsRef::as_ref).ok_or_else(|| broken("it has no key"))
    }

    /// Who signs the checkpoints of a shard.
    ///
    /// # Errors
    /// When this server has no such key.
    pub(super) fn require_signer(
        &self,
        shard: &Shard,
    ) -> Result<&dyn CheckpointSigner, ServiceError> {
        let signer = self.signers.iter().find(|signer| *signer.verifier_key() == shard.key);
        signer.map(AsRef::as_ref).ok_or_else(|| {
            let origin = &shard.shard.origin;
            broken(&format!("this server has no key for log `{origin}`, which is open"))
        })
    }

    /// That the next shard would not have the name of an earlier one.
    pub(super) fn require_new_name(&self) -> Result<(), ServiceError> {
        let key = self.signer()?.verifier_key();
        match self.shards().iter().any(|shard| shard.key.name() == key.name()) {
            false => Ok(()),
            true => {
                let name = key.name();
                let why = format!(
                    "`{name}` was the name of another shard, with another key; give the log \
                     another name (`log_origin`)"
                );
                Err(broken(&why))
            }
        }
    }

    /// Whether the open shard is another than the one that this server is told to sign.
    pub(super) fn is_to_rotate(&self, open: &Shard) -> bool {
        self.signers.first().is_some_and(|signer| *signer.verifier_key() != open.key)
    }

    /// Ends `open`, which `sequence` brings to its end, and begins the next shard. It may be
    /// interrupted at any moment: the next leader goes on.
    pub(super) async fn rotate(&self, open: &Shard, fence: u64) -> Result<(), ServiceError> {
        let key = self.signer()?.verifier_key().clone();
        self.store.seal_shard(open.shard.ordinal).await?;
        while self.step(open, fence).await? {}
        let note =
            self.head(open).await?.checkpoint.ok_or_else(|| broken("a shard has no checkpoint"))?;
        let last = open_checkpoint(&note, &open.key)?;
        let predecessor =
            PredecessorLog { origin: open.shard.origin.clone(), checkpoint: note.clone() };
        let end = LogPlace { shard: open.shard.ordinal, index: last.size() };
        let next = self.new_shard(&key, Some((end, predecessor))).await?;
        if let Some(shard) = self.store.start_shard(next).await? {
            let (origin, size) = (&open.shard.origin, last.size());
            tracing::info!(%origin, size, next = shard.origin, "the log goes on in a new shard");
        }
        self.refresh_shards().await?;
        Ok(())
    }

    async fn new_shard(
        &self,
        key: &VerifierKey,
        after: Option<(LogPlace, PredecessorLog)>,
    ) -> Result<NewShard, ServiceError> {
        let (id, at) = (Uuid::now_v7(), self.clock.now());
        let (after, predecessor) = after.unzip();
        let subject = match &predecessor {
            Some(before) => Sha256Digest::of(before.checkpoint.as_bytes()),
            None => Sha256Digest::of(key.to_string().as_bytes()),
        };
        let start = LogShardStart {
            id,
            timestamp: at,
            origin: key.name().to_string(),
            verifier_key: key.to_string(),
            predecessor,
        };
        let signed = self.statements.sign_control(start, subject).await?;
        Ok(NewShard {
            origin: key.name().to_string(),
            verifier_key: key.to_string(),
            at,
            after,
            first: NewStatement {
                statement: LogStatement {
                    id: StatementId(id),
                    kind: StatementKind::LogShard,
                    tenant_id: None,
                    subject: key.name().to_string(),
                    bundle: signed.bundle,
                    created_at: at,
                    place: None,
                },
                leaf: signed.leaf,
            },
        })
    }
}

/// A statement as it is stored and logged.
#[derive(Debug)]
pub(crate) struct SignedStatement {
    pub(crate) bundle: String,
    pub(crate) leaf: Vec<u8>,
    /// The DSSE signature, base64.
    pub(crate) signature: String,
}

impl SignedStatement {
    /// What `key` signed.
    pub(crate) fn of(envelope: Envelope, key: &PublicKey) -> Result<Self, ServiceError> {
        let failed = |error: &dyn std::fmt::Display| ServiceError::Unavailable(error.to_string());
        let signature = envelope.signature().to_base64();
        let leaf = HashedRekord::of(&envelope, key).to_bytes();
        let bundle = Bundle::new(envelope, key)
            .and_then(|bundle| bundle.to_json())
            .map_err(|error| failed(&error))?;
        let bundle = String::from_utf8(bundle).map_err(|error| failed(&error))?;
        Ok(Self { bundle, leaf, signature })
    }
}

/// Signs a statement.
pub(crate) fn sign_statement<P: sentinel_provenance::Predicate>(
    predicate: P,
    subject: Sha256Digest,
    signer: &dyn Signer,
) -> Result<SignedStatement, ServiceError> {
    let invalid = |error: &dyn std::fmt::Display| {
        ServiceError::invalid("invalid_manifest", error.to_string())
    };
    let statement = Statement::new(predicate, subject).map_err(|error| invalid(&error))?;
    let bytes = statement.to_bytes().map_err(|error| invalid(&error))?;
    let envelope = Envelope::sign(bytes, signer);
    let envelope = envelope.map_err(|error| ServiceError::Unavailable(error.to_string()))?;
    SignedStatement::of(envelope, signer.public_key())
}

pub(super) fn open_checkpoint(note: &str, key: &VerifierKey) -> Result<Checkpoint, ServiceError> {
    let opened = Checkpoint::open(note, key);
    let opened = opened.map_err(|error| broken(&format!("a stored checkpoint: {error}")))?;
    Ok(opened.checkpoint().clone())
}
