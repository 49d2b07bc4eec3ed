//! The keys with which a replica signs.
//!
//! Either one key signs everything, or a longer-lived key, which may be far away and slow,
//! certifies a key that a replica makes in its own memory: nothing remote is then on the path of a
//! manifest.
//!
//! - A key signs nothing before its certificate is stored and logged: the reader of a manifest can
//!   find out who vouched for its key.
//! - At half of its time a key is replaced. When that fails, the old one signs on until its time is
//!   over, and then nothing is signed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use jiff::{Timestamp, TimestampRound, Unit};
use sentinel_core::clock::Clock;
use sentinel_core::id::StatementId;
use sentinel_core::log::{LogStatement, NewStatement, StatementKind};
use sentinel_core::ports::LogStore;
use sentinel_provenance::{
    Bundle, EcdsaP256Signer, Envelope, KeyCertificate, KeyEventKind, Predicate, PublicKey,
    Sha256Digest, SignError, Signer, SigningKeyEvent, Statement,
};
use uuid::Uuid;

use crate::ServiceError;
use crate::log::SignedStatement;

/// Longest pause before a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// A key that signs rarely, wherever it is held: statements about keys and logs.
#[async_trait]
pub trait Certifier: Send + Sync + fmt::Debug {
    /// What verifies its signatures.
    fn public_key(&self) -> &PublicKey;

    /// Signs the payload, and gives an envelope that verifies.
    ///
    /// # Errors
    /// [`SignError`] when there is no signature.
    async fn sign(&self, payload: Vec<u8>) -> Result<Envelope, SignError>;
}

/// How this replica signs.
#[derive(Debug, Clone)]
pub enum Signing {
    /// With this key.
    Direct(Arc<dyn Signer>),
    /// With keys of its own, each certified for that long.
    Certified { certifier: Arc<dyn Certifier>, lifetime: Duration },
}

impl Signing {
    fn public_key(&self) -> &PublicKey {
        match self {
            Self::Direct(signer) => signer.public_key(),
            Self::Certified { certifier, .. } => certifier.public_key(),
        }
    }
}

/// What is known of the key that a bundle names.
#[derive(Debug, Clone)]
pub enum KnownKey {
    /// It is trusted itself.
    Trusted(PublicKey),
    /// A trusted key certified it.
    Certified(KeyCertificate),
}

impl KnownKey {
    /// The key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Trusted(key) => key,
            Self::Certified(certificate) => certificate.public_key(),
        }
    }
}

/// The key in use.
#[derive(Debug)]
struct ReplicaKey {
    signer: Arc<EcdsaP256Signer>,
    from: Timestamp,
    until: Timestamp,
}

/// The keys of this replica, and those of others as they are met.
#[derive(Debug)]
pub struct SigningKeys {
    signing: Signing,
    /// Keys that signed or certified before, and are trusted still.
    retired: Vec<PublicKey>,
    store: Arc<dyn LogStore>,
    clock: Arc<dyn Clock>,
    current: ArcSwapOption<ReplicaKey>,
    /// Certificates by the hint of their key.
    known: ArcSwap<HashMap<String, KeyCertificate>>,
}

impl SigningKeys {
    /// The keys of a replica that signs like that; `retired` are trusted still.
    #[must_use]
    pub fn new(
        signing: Signing,
        retired: Vec<PublicKey>,
        store: Arc<dyn LogStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (current, known) = (ArcSwapOption::empty(), ArcSwap::default());
        Self { signing, retired, store, clock, current, known }
    }

    /// The key that is to be trusted: the one that signs, or certifies those that do.
    #[must_use]
    pub fn trusted(&self) -> &PublicKey {
        self.signing.public_key()
    }

    /// Whether this replica signs with the key of that hint, or has its keys certified by it.
    pub(crate) fn is_in_use(&self, hint: &str) -> bool {
        let current = self.current.load();
        let leaf = current.as_ref().map(|key| key.signer.public_key());
        self.trusted().hint() == hint || leaf.is_some_and(|key| key.hint() == hint)
    }

    /// What signs now.
    ///
    /// # Errors
    /// When the time of this replica's key is over and it could not be replaced.
    pub fn current(&self) -> Result<Arc<dyn Signer>, ServiceError> {
        match &self.signing {
            Signing::Direct(signer) => Ok(Arc::clone(signer)),
            Signing::Certified { .. } => {
                let now = self.clock.now();
                let key = self.current.load_full();
                let key = key.filter(|key| (key.from..key.until).contains(&now));
                key.map(|key| key.signer.clone() as Arc<dyn Signer>).ok_or_else(expired)
            }
        }
    }

    /// The key that a bundle names by its hint; `None` when no trusted key certified one like that.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(&self, hint: &str) -> Result<Option<KnownKey>, ServiceError> {
        let mut trusted = std::iter::once(self.trusted()).chain(&self.retired);
        if let Some(key) = trusted.find(|key| key.hint() == hint) {
            return Ok(Some(KnownKey::Trusted(key.clone())));
        }
        if let Some(certificate) = self.known.load().get(hint) {
            return Ok(Some(KnownKey::Certified(certificate.clone())));
        }
        // Another replica's, or one of before this start.
        self.learn().await?;
        Ok(self.known.load().get(hint).cloned().map(KnownKey::Certified))
    }

    /// Reads the certificates that are stored. Those that no trusted key made say nothing.
    async fn learn(&self) -> Result<(), ServiceError> {
        let stored = self.store.statements(StatementKind::SigningKey).await?;
        let mut known = HashMap::clone(&self.known.load());
        for statement in stored {
            if known.contains_key(&statement.subject) {
                continue;
            }
            let Ok(bundle) = Bundle::parse(statement.bundle.as_bytes()) else { continue };
            let mut trusted = std::iter::once(self.trusted()).chain(&self.retired);
            let by = trusted.find(|key| key.hint() == bundle.hint());
            if let Some(Ok(found)) = by.map(|key| KeyCertificate::verify(&bundle.envelope, key)) {
                known.insert(found.public_key().hint().to_owned(), found);
            }
        }
        self.known.store(Arc::new(known));
        Ok(())
    }

    /// Makes a key, has it certified, and signs with it from now on. Nothing to do for a replica
    /// whose one key signs everything.
    ///
    /// # Errors
    /// When the certifier or the store is away; the key before stays in use.
    pub(crate) async fn renew(&self) -> Result<(), ServiceError> {
        let Signing::Certified { lifetime, .. } = &self.signing else { return Ok(()) };
        let failed = |error: &dyn fmt::Display| ServiceError::Unavailable(error.to_string());
        let signer = EcdsaP256Signer::generate().map_err(|error| failed(&error))?;
        let key = signer.public_key();
        let pem = key.to_spki_pem().map_err(|error| failed(&error))?;
        // Whole seconds, as people write them.
        let now = self.clock.now();
        let round = TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc);
        let from = now.round(round).map_err(|error| failed(&error))?;
        let until = from.checked_add(*lifetime).map_err(|error| failed(&error))?;
        let (id, hint) = (Uuid::now_v7(), key.hint().to_owned());
        let event = SigningKeyEvent {
            id,
            timestamp: from,
            event: KeyEventKind::Certified,
            hint: hint.clone(),
            public_key: pem.clone(),
            not_after: Some(until),
            reason: None,
        };
        let signed = self.sign_control(event, Sha256Digest::of(pem.as_bytes())).await?;
        let statement = LogStatement {
            id: StatementId(id),
            kind: StatementKind::SigningKey,
            tenant_id: None,
            subject: hint.clone(),
            bundle: signed.bundle,
            created_at: from,
            place: None,
        };
        let new = NewStatement { statement, leaf: signed.leaf };
        self.store.append_statements(vec![new]).await?;
        tracing::info!(key = hint, %until, "a key of this replica was certified");
        self.current.store(Some(Arc::new(ReplicaKey { signer: Arc::new(signer), from, until })));
        Ok(())
    }

    /// Signs a statement about a key or a log with the key that is to be trusted itself.
    pub(crate) async fn sign_control<P: Predicate>(
        &self,
        predicate: P,
        subject: Sha256Digest,
    ) -> Result<SignedStatement, ServiceError> {
        let failed = |error: &dyn fmt::Display| ServiceError::Unavailable(error.to_string());
        let statement = Statement::new(predicate, subject).map_err(|error| failed(&error))?;
        let bytes = statement.to_bytes().map_err(|error| failed(&error))?;
        let envelope = match &self.signing {
            Signing::Direct(signer) => Envelope::sign(bytes, signer.as_ref()),
            Signing::Certified { certifier, .. } => certifier.sign(bytes).await,
        };
        let envelope = envelope.map_err(|error| failed(&error))?;
        SignedStatement::of(envelope, self.trusted())
    }

    /// When the key in use is to be replaced; `None` when there is none to replace.
    fn renew_at(&self) -> Option<Timestamp> {
        let key = self.current.load_full()?;
        key.from.checked_add(key.from.duration_until(key.until) / 2).ok()
    }
}

fn expired() -> ServiceError {
    ServiceError::Unavailable(
        "the signing key of this replica has expired, and a new one could not be certified"
            .to_owned(),
    )
}

/// Replaces the key in time, until the services are dropped.
pub async fn follow(keys: Weak<SigningKeys>) {
    loop {
        let wait = {
            let Some(keys) = keys.upgrade() else { return };
            let Some(at) = keys.renew_at() else { return };
            let wait = keys.clock.now().duration_until(at);
            Duration::try_from(wait).unwrap_or_default().min(RETRY)
        };
        // In steps, so that the end of the services, or a clock that was set, is noticed.
        tokio::time::sleep(wait).await;
        let Some(keys) = keys.upgrade() else { return };
        if keys.renew_at().is_none_or(|at| keys.clock.now() < at) {
            continue;
        }
        if let Err(error) = keys.renew().await {
            tracing::error!(
                %error,
                "a new signing key of this replica could not be certified; the one before signs \
                 until it expires"
            );
            tokio::time::sleep(keys.pause()).await;
        }
    }
}

impl SigningKeys {
    /// How long to wait after a failure: a fraction of what is left, and not for ever.
    fn pause(&self) -> Duration {
        let Signing::Certified { lifetime, .. } = &self.signing else { return RETRY };
        (*lifetime / 20).min(RETRY)
    }
}
