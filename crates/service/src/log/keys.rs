//! The keys that sign manifests, as far as the log knows them: introduced, certified, retired,
//! revoked. A bundle names its key by the hint; verifiers look here for it.

use std::collections::BTreeMap;

use sentinel_core::id::StatementId;
use sentinel_core::log::{LogPlace, LogStatement, NewStatement, StatementKind};
use sentinel_provenance::{
    Bundle, KeyEventKind, PublicKey, Revocation, RevokedAt, Sha256Digest, SigningKeyEvent,
    Statement,
};
use uuid::Uuid;

use super::TransparencyLog;
use super::shards::{SignedStatement, broken};
use crate::ServiceError;

/// A key, and what became of it.
#[derive(Debug, Clone)]
pub struct LoggedKey {
    pub hint: String,
    pub key: PublicKey,
    /// PEM.
    pub pem: String,
    pub events: Vec<KeyEvent>,
}

/// Something that happened to a key, logged.
#[derive(Debug, Clone)]
pub struct KeyEvent {
    pub event: SigningKeyEvent,
    pub statement: LogStatement,
}

impl LoggedKey {
    /// The place of the leaf from which on nothing of this key is worth anything.
    #[must_use]
    pub fn revoked_at(&self) -> Option<LogPlace> {
        let revoked = self.events.iter().filter(|one| one.event.event == KeyEventKind::Revoked);
        revoked.filter_map(|one| one.statement.place).min()
    }

    /// Whether it signs no more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.events
            .iter()
            .any(|one| matches!(one.event.event, KeyEventKind::Retired | KeyEventKind::Revoked))
    }
}

impl TransparencyLog {
    /// Every key that ever signed here, by hint.
    ///
    /// # Errors
    /// When the store is away, or a statement cannot be read.
    pub async fn keys(&self) -> Result<BTreeMap<String, LoggedKey>, ServiceError> {
        let mut keys = BTreeMap::<String, LoggedKey>::new();
        for statement in self.store.statements(StatementKind::SigningKey).await? {
            let event = read(&statement)?;
            let mut known = match keys.remove(&event.hint) {
                Some(known) => known,
                None => LoggedKey::of(&event)?,
            };
            known.events.push(KeyEvent { event, statement });
            keys.insert(known.hint.clone(), known);
        }
        Ok(keys)
    }

    /// What is said of keys that were revoked. Believed as it is stored: one more can only make
    /// verification stricter.
    pub(crate) async fn revocations(&self) -> Result<Vec<Revocation>, ServiceError> {
        let keys = self.keys().await?;
        let mut revocations = Vec::new();
        for known in keys.into_values() {
            let Some(place) = known.revoked_at() else { continue };
            // An unknown shard is an error: a revocation must not go unnoticed for it.
            let shard = self.shard_by(|shard| shard.shard.ordinal == place.shard).await?;
            let shard =
                shard.ok_or_else(|| broken("a revocation is in a shard that is not there"))?;
            let places = vec![RevokedAt { log: shard.key.id_hash(), index: place.index }];
            revocations.push(Revocation { key: known.hint, places });
        }
        Ok(revocations)
    }

    /// Logs the key of this server, unless it is known.
    pub(super) async fn introduce(&self) -> Result<(), ServiceError> {
        let (key, keys) = (self.statements.trusted(), self.keys().await?);
        match keys.get(key.hint()) {
            Some(known) if known.is_over() => {
                let hint = key.hint();
                Err(broken(&format!(
                    "the signing key `{hint}` was retired or revoked; use another"
                )))
            }
            Some(_) => Ok(()),
            None => {
                let pem = key.to_spki_pem().map_err(|error| broken(&error.to_string()))?;
                let hint = key.hint().to_owned();
                self.log_key_event(KeyEventKind::Introduced, hint, pem, None).await.map(drop)
            }
        }
    }

    /// Ends a key: what it signed before stays good when it is retired; when it is revoked, its
    /// leaves from here on are worth nothing.
    ///
    /// # Errors
    /// `unknown_signing_key`; `signing_key_in_use` for the key of this server, which would go on
    /// signing; `signing_key_ended` when that was said before; when the store is away.
    pub async fn end_key(
        &self,
        hint: &str,
        kind: KeyEventKind,
        reason: Option<String>,
    ) -> Result<LoggedKey, ServiceError> {
        let keys = self.keys().await?;
        let unknown = || ServiceError::not_found("unknown_signing_key", format!("key `{hint}`"));
        let known = keys.get(hint).ok_or_else(unknown)?;
        if self.statements.is_in_use(hint) {
            let detail = "this server signs with that key; start it with another key first";
            return Err(ServiceError::conflict("signing_key_in_use", detail));
        }
        let said = |of: KeyEventKind| known.events.iter().any(|one| one.event.event == of);
        if said(kind) || said(KeyEventKind::Revoked) {
            let detail = format!("key `{hint}` was retired or revoked before");
            return Err(ServiceError::conflict("signing_key_ended", detail));
        }
        self.log_key_event(kind, known.hint.clone(), known.pem.clone(), reason).await?;
        self.keys().await?.remove(hint).ok_or_else(unknown)
    }

    async fn log_key_event(
        &self,
        kind: KeyEventKind,
        hint: String,
        pem: String,
        reason: Option<String>,
    ) -> Result<LogPlace, ServiceError> {
        let (id, at) = (Uuid::now_v7(), self.clock.now());
        let subject = Sha256Digest::of(pem.as_bytes());
        let event = SigningKeyEvent {
            id,
            timestamp: at,
            event: kind,
            hint: hint.clone(),
            public_key: pem,
            not_after: None,
            reason,
        };
        let SignedStatement { bundle, leaf, .. } =
            self.statements.sign_control(event, subject).await?;
        let statement = LogStatement {
            id: StatementId(id),
            kind: StatementKind::SigningKey,
            tenant_id: None,
            subject: hint,
            bundle,
            created_at: at,
            place: None,
        };
        self.append(NewStatement { statement, leaf }).await
    }

    /// Appends a statement that is signed already.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn append(&self, statement: NewStatement) -> Result<LogPlace, ServiceError> {
        let places = self.store.append_statements(vec![statement]).await?;
        self.note_appended(places.len());
        places.first().copied().ok_or_else(|| broken("a statement got no place"))
    }

    /// The bundle of a statement with its place in the log.
    ///
    /// # Errors
    /// Those of [`TransparencyLog::complete`].
    pub async fn statement_bundle(&self, statement: &LogStatement) -> Result<Bundle, ServiceError> {
        let bundle = Bundle::parse(statement.bundle.as_bytes());
        let bundle = bundle.map_err(|error| broken(&error.to_string()))?;
        let place = statement.place.ok_or_else(|| broken("a statement has no place"))?;
        self.complete(bundle, place).await
    }
}

impl LoggedKey {
    fn of(event: &SigningKeyEvent) -> Result<Self, ServiceError> {
        let key = PublicKey::from_spki_pem(&event.public_key);
        let key = key.map_err(|error| broken(&format!("a logged key: {error}")))?;
        let (hint, pem) = (event.hint.clone(), event.public_key.clone());
        if key.hint() != hint {
            return Err(broken("a logged key has another hint"));
        }
        Ok(Self { hint, key, pem, events: Vec::new() })
    }
}

fn read(statement: &LogStatement) -> Result<SigningKeyEvent, ServiceError> {
    let failed = |error: &dyn std::fmt::Display| broken(&format!("a logged key event: {error}"));
    let bundle = Bundle::parse(statement.bundle.as_bytes()).map_err(|error| failed(&error))?;
    let said = Statement::<SigningKeyEvent>::parse(bundle.envelope.payload());
    Ok(said.map_err(|error| failed(&error))?.predicate().clone())
}
