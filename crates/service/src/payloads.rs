//! Payloads that are kept, sealed with a key of their tenant, and destroyed by destroying that key.
//!
//! With a key for the deployment, each tenant has a key of its own, wrapped by that one. It seals
//! the payloads that are to be kept and makes the salts of all manifests. Destroying it takes both:
//! no payload can be read any more, and no commitment can be tested against a guess. A tombstone in
//! the log says so. The next manifest begins another key.

mod ring;
mod seal;
mod wrap;

use std::sync::{Arc, Weak};
use std::time::Duration;

use sentinel_core::clock::Clock;
use sentinel_core::id::{StatementId, TenantId};
use sentinel_core::log::{LogPlace, LogStatement, NewStatement, StatementKind};
use sentinel_core::manifest::Manifest;
use sentinel_core::name::{Reason, TenantSlug};
use sentinel_core::payload::PayloadKey;
use sentinel_core::ports::PayloadStore;
use sentinel_core::principal::Principal;
use sentinel_core::tenant::Tenant;
use sentinel_provenance::{Bundle, PayloadDestroyed, Salt, Sha256Digest, Statement};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use wrap::{KeyWrapper, LocalKeyWrapper, RawKey, WrapError};

pub(crate) use seal::DataKey;

use crate::ServiceError;
use crate::control::Control;
use crate::error::PAYLOAD_DESTROYED;
use crate::log::TransparencyLog;
use crate::provenance::salt_of;
use crate::signing::SigningKeys;
use ring::{KeyRing, cipher};

/// How often keys are looked for that were destroyed elsewhere.
const SWEEP: Duration = Duration::from_secs(10);

/// Keeps payloads, and destroys them.
#[derive(Debug)]
pub struct Payloads {
    store: Arc<dyn PayloadStore>,
    /// `None` keeps nothing.
    ring: Option<KeyRing>,
    control: Arc<Control>,
    log: Arc<TransparencyLog>,
    keys: Arc<SigningKeys>,
    clock: Arc<dyn Clock>,
}

/// What is there of a manifest's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It was never given to be kept.
    No,
    Payload(KeptPayload),
    /// Its key was destroyed.
    Destroyed {
        tombstone: Option<StatementId>,
    },
    /// Something is there that was not sealed for this manifest.
    Broken,
}

/// A payload, for callers that may see it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptPayload {
    /// Exactly as it was given.
    pub bytes: Zeroizing<Vec<u8>>,
    pub(crate) salt: Salt,
}

impl KeptPayload {
    /// What the manifest commits to.
    pub(crate) fn artifact(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.salt.artifact(&self.bytes))
    }
}

impl std::fmt::Debug for KeptPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptPayload(..)")
    }
}

/// What destroying a tenant's key did.
#[derive(Debug, Clone)]
pub struct Destruction {
    pub tombstone: Tombstone,
    /// Payloads that were kept under it.
    pub payloads: u64,
}

/// The signed statement that a key was destroyed.
#[derive(Debug, Clone)]
pub struct Tombstone {
    pub id: StatementId,
    pub tenant_id: TenantId,
    pub said: PayloadDestroyed,
    pub place: LogPlace,
    bundle: String,
}

/// What [`Payloads`] needs.
#[derive(Debug)]
pub(crate) struct Foundations {
    pub(crate) store: Arc<dyn PayloadStore>,
    pub(crate) wrapper: Option<Arc<dyn KeyWrapper>>,
    pub(crate) control: Arc<Control>,
    pub(crate) log: Arc<TransparencyLog>,
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Payloads {
    /// Refuses to go on without the key of the deployment that wrapped the keys in the store: what
    /// they sealed could not be read, and what is signed meanwhile would not be erased with it.
    pub(crate) async fn open(on: Foundations) -> Result<Self, ServiceError> {
        let Foundations { store, wrapper, control, log, keys, clock } = on;
        let ring =
            wrapper.map(|wrapper| KeyRing::new(Arc::clone(&store), wrapper, Arc::clone(&clock)));
        let live = store.live_payload_key().await?;
        let wrong = match (&ring, &live) {
            (_, None) => None,
            (None, Some(_)) => Some("none is configured"),
            (Some(ring), Some(key)) => match ring.try_on(key).await {
                Ok(()) => None,
                Err(WrapError::Refused) => Some("the one that is configured is another"),
                Err(error) => return Err(ServiceError::Unavailable(error.to_string())),
            },
        };
        match wrong {
            None => Ok(Self { store, ring, control, log, keys, clock }),
            Some(why) => Err(ServiceError::PayloadKey(why)),
        }
    }

    /// Whether payloads can be kept.
    #[must_use]
    pub const fn are_kept(&self) -> bool {
        self.ring.is_some()
    }

    /// The key for a new manifest of a tenant; `None` when payloads are not kept.
    pub(crate) async fn current(
        &self,
        tenant: TenantId,
    ) -> Result<Option<Arc<DataKey>>, ServiceError> {
        match &self.ring {
            Some(ring) => ring.current(tenant).await.map(Some),
            None => Ok(None),
        }
    }

    /// The store refused what was made with `key`: looks whether it was destroyed.
    pub(crate) async fn look_again(&self, key: &DataKey) -> Result<(), ServiceError> {
        let Some(ring) = &self.ring else { return Ok(()) };
        let stored = self.store.payload_key_of(key.tenant, key.generation).await?;
        if stored.is_none_or(|stored| stored.wrapped.is_none()) {
            ring.forget(key.tenant, key.generation);
        }
        Ok(())
    }

    /// The salt of a manifest's commitment.
    ///
    /// # Errors
    /// `payload_destroyed` when its key was destroyed; when the store or the key of the deployment
    /// is away.
    pub async fn salt(&self, tenant: &Tenant, manifest: &Manifest) -> Result<Salt, ServiceError> {
        let Some(generation) = manifest.key_generation else {
            return Ok(salt_of(tenant, manifest.id, None));
        };
        match self.key_of(manifest.tenant_id, generation).await? {
            Some(key) => Ok(key.salt(manifest.id)),
            None => Err(self.gone("salt", manifest, generation).await?),
        }
    }

    /// What is there of a manifest's payload.
    ///
    /// # Errors
    /// When the store or the key of the deployment is away.
    pub async fn kept(&self, manifest: &Manifest) -> Result<Kept, ServiceError> {
        let Some(generation) = manifest.key_generation else { return Ok(Kept::No) };
        // The payload first: who finds the key alive and then no payload, because both were
        // destroyed in between, would say that there never was one.
        let sealed = self.store.payload(manifest.id).await?;
        let Some(key) = self.key_of(manifest.tenant_id, generation).await? else {
            let tombstone = self.tombstone_of(manifest.tenant_id, generation).await?;
            return Ok(Kept::Destroyed { tombstone: tombstone.map(|tombstone| tombstone.id) });
        };
        let Some(sealed) = sealed else { return Ok(Kept::No) };
        let Some(bytes) = key.open(manifest.id, &sealed.sealed) else { return Ok(Kept::Broken) };
        Ok(Kept::Payload(KeptPayload { bytes, salt: key.salt(manifest.id) }))
    }

    /// The payload of a manifest.
    ///
    /// # Errors
    /// `payload_not_kept`, `payload_destroyed`; when the store or the key of the deployment is
    /// away.
    pub async fn payload(&self, manifest: &Manifest) -> Result<KeptPayload, ServiceError> {
        match self.kept(manifest).await? {
            Kept::Payload(payload) => Ok(payload),
            Kept::No => {
                let what = format!("a payload of manifest `{}`", manifest.id);
                Err(ServiceError::not_found("payload_not_kept", what))
            }
            Kept::Destroyed { .. } => {
                let generation = manifest.key_generation.unwrap_or_default();
                Err(self.gone("payload", manifest, generation).await?)
            }
            Kept::Broken => Err(ServiceError::Unavailable(format!(
                "what is kept as the payload of manifest `{}` was not sealed for it",
                manifest.id
            ))),
        }
    }

    async fn gone(
        &self,
        what: &str,
        manifest: &Manifest,
        generation: u32,
    ) -> Result<ServiceError, ServiceError> {
        let tombstone = self.tombstone_of(manifest.tenant_id, generation).await?;
        let tombstone = tombstone.map_or_else(|| "none".to_owned(), |one| one.id.to_string());
        let detail = format!(
            "the {what} of manifest `{}` was destroyed, see tombstone `{tombstone}`",
            manifest.id
        );
        Ok(ServiceError::Gone { code: PAYLOAD_DESTROYED, detail })
    }

    /// Destroys the key of a tenant: every payload and salt of it so far.
    ///
    /// # Errors
    /// `no_payload_key` when there is none that is not destroyed already; when the tenant is
    /// unknown, the principal is bound to one, or the store is away.
    pub async fn destroy(
        &self,
        principal: &Principal,
        slug: &TenantSlug,
        reason: &Reason,
    ) -> Result<Destruction, ServiceError> {
        if principal.tenant().is_some() {
            return Err(ServiceError::tenant_forbidden());
        }
        let (_, tenant) = self.control.tenant_for(principal, slug).await?;
        let live = self.store.payload_key(tenant.id).await?;
        let Some(PayloadKey { generation, .. }) = live.filter(|key| key.wrapped.is_some()) else {
            return Err(no_key(slug));
        };
        let at = self.clock.now();
        let said = PayloadDestroyed {
            id: Uuid::now_v7(),
            timestamp: at,
            tenant: slug.to_string(),
            key_generation: generation,
            principal: principal.id(),
            reason: Some(reason.to_string()),
        };
        let subject = format!("{slug}/{generation}");
        let digest = Sha256Digest::of(subject.as_bytes());
        let id = StatementId(said.id);
        let signed = self.keys.sign_control(said, digest).await?;
        let statement = LogStatement {
            id,
            kind: StatementKind::PayloadDestroyed,
            tenant_id: Some(tenant.id),
            subject,
            bundle: signed.bundle,
            created_at: at,
            place: None,
        };
        let new = NewStatement { statement: statement.clone(), leaf: signed.leaf };
        let destroyed = self.store.destroy_payload_key(tenant.id, generation, at, new).await?;
        // Also when another was faster.
        if let Some(ring) = &self.ring {
            ring.forget(tenant.id, generation);
        }
        let destroyed = destroyed.ok_or_else(|| no_key(slug))?;
        self.log.note_appended(1);
        let payloads = destroyed.payloads;
        tracing::warn!(tenant = %slug, generation, payloads, tombstone = %id, "a payload key was destroyed");
        let place = Some(destroyed.place);
        let tombstone = Tombstone::read(LogStatement { place, ..statement })?;
        Ok(Destruction { tombstone, payloads })
    }

    /// The tombstones that the principal may see, oldest first, of one tenant if it is named.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, or the store is away.
    pub async fn tombstones(
        &self,
        principal: &Principal,
        tenant: Option<&TenantSlug>,
    ) -> Result<Vec<Tombstone>, ServiceError> {
        let tenant = match tenant {
            Some(slug) => Some(self.control.tenant_for(principal, slug).await?.1.id),
            None => principal.tenant(),
        };
        let stored = self.store_of_log().statements(StatementKind::PayloadDestroyed).await?;
        let wanted = stored.into_iter().filter(|one| tenant.is_none() || one.tenant_id == tenant);
        wanted.map(Tombstone::read).collect()
    }

    /// The bundle of a tombstone, with its place in the log; `None` when there is none that the
    /// principal may see.
    ///
    /// # Errors
    /// `log_behind` when no checkpoint covers it in time; when the store is away.
    pub async fn tombstone_bundle(
        &self,
        principal: &Principal,
        id: StatementId,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let found = self.tombstones(principal, None).await?.into_iter().find(|one| one.id == id);
        let Some(tombstone) = found else { return Ok(None) };
        let bundle = Bundle::parse(tombstone.bundle.as_bytes()).map_err(|error| broken(&error))?;
        let bundle = self.log.complete(bundle, tombstone.place).await?;
        bundle.to_json().map(Some).map_err(|error| broken(&error))
    }

    async fn tombstone_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<Tombstone>, ServiceError> {
        let stored = self.store_of_log().statements(StatementKind::PayloadDestroyed).await?;
        let suffix = format!("/{generation}");
        let found = stored
            .into_iter()
            .find(|one| one.tenant_id == Some(tenant) && one.subject.ends_with(&suffix));
        found.map(Tombstone::read).transpose()
    }

    fn store_of_log(&self) -> &dyn sentinel_core::ports::LogStore {
        self.log.store().as_ref()
    }

    /// The key of a generation as the store has it now; `None` when it is destroyed.
    async fn key_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<Arc<DataKey>>, ServiceError> {
        let stored = self.store.payload_key_of(tenant, generation).await?;
        let missing = |why: &str| {
            ServiceError::Unavailable(format!("payload key {generation} of `{tenant}`: {why}"))
        };
        let stored = stored.ok_or_else(|| missing("it is not in the store"))?;
        match &self.ring {
            Some(ring) => ring.unwrap(&stored).await,
            None if stored.wrapped.is_none() => Ok(None),
            None => Err(missing("this server has no key that unwraps it")),
        }
    }
}

impl Tombstone {
    fn read(stored: LogStatement) -> Result<Self, ServiceError> {
        let bundle = Bundle::parse(stored.bundle.as_bytes()).map_err(|error| broken(&error))?;
        let statement = Statement::<PayloadDestroyed>::parse(bundle.envelope.payload());
        let said = statement.map_err(|error| broken(&error))?.predicate().clone();
        let (tenant_id, place) = stored
            .tenant_id
            .zip(stored.place)
            .ok_or_else(|| broken(&"it has no tenant, or no place in the log"))?;
        Ok(Self { id: stored.id, tenant_id, said, place, bundle: stored.bundle })
    }
}

fn broken(why: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::Unavailable(format!("a tombstone cannot be read: {why}"))
}

fn no_key(slug: &TenantSlug) -> ServiceError {
    let detail =
        format!("tenant `{slug}` has no payload key, or its last one is destroyed already");
    ServiceError::conflict("no_payload_key", detail)
}

/// What is sealed of a payload that is to be kept.
pub(crate) fn sealed(
    key: &DataKey,
    id: sentinel_core::id::ManifestId,
    payload: &[u8],
) -> Result<sentinel_core::payload::SealedPayload, ServiceError> {
    key.seal(id, payload).ok_or_else(cipher)
}

/// Drops keys from memory that were destroyed elsewhere, until there are no payloads any more.
pub async fn follow(payloads: Weak<Payloads>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(payloads) = payloads.upgrade() else { return };
        let Some(ring) = &payloads.ring else { return };
        if let Err(error) = ring.sweep().await {
            tracing::debug!(%error, "payload keys were not looked at");
        }
    }
}
