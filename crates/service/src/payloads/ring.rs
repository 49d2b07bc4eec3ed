//! The keys of tenants, unwrapped once and held in memory, so that nothing is asked for a manifest.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sentinel_core::clock::Clock;
use sentinel_core::id::TenantId;
use sentinel_core::payload::PayloadKey;
use sentinel_core::ports::PayloadStore;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::seal::DataKey;
use super::wrap::{KeyWrapper, RawKey, WrapError};
use crate::ServiceError;
use crate::keys::random_bytes;

/// Times that a key may be destroyed while it is fetched.
const ATTEMPTS: u32 = 3;

/// Keys that are held. Only the newest key of a tenant can be one that is not destroyed: another
/// one is added only after that.
#[derive(Debug)]
pub(super) struct KeyRing {
    pub(super) store: Arc<dyn PayloadStore>,
    pub(super) wrapper: Arc<dyn KeyWrapper>,
    pub(super) clock: Arc<dyn Clock>,
    held: RwLock<HashMap<TenantId, Arc<DataKey>>>,
    /// Held while a key is fetched, so that many callers that want one at once fetch it once.
    fetching: Mutex<()>,
}

impl KeyRing {
    pub(super) fn new(
        store: Arc<dyn PayloadStore>,
        wrapper: Arc<dyn KeyWrapper>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, wrapper, clock, held: RwLock::default(), fetching: Mutex::default() }
    }

    /// The key of a tenant that new payloads are sealed with; made when there is none. It may have
    /// been destroyed elsewhere: the store refuses what is sealed with it.
    pub(super) async fn current(&self, tenant: TenantId) -> Result<Arc<DataKey>, ServiceError> {
        if let Some(key) = self.held(tenant) {
            return Ok(key);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(key) = self.held(tenant) {
            return Ok(key);
        }
        for _ in 0..ATTEMPTS {
            let newest = self.store.payload_key(tenant).await?;
            let stored = match newest {
                Some(key) if key.wrapped.is_some() => key,
                before => self.make(tenant, before.map_or(1, |key| key.generation + 1)).await?,
            };
            if let Some(key) = self.unwrap(&stored).await? {
                return Ok(key);
            }
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    /// A stored key; `None` when it is destroyed.
    pub(super) async fn unwrap(
        &self,
        stored: &PayloadKey,
    ) -> Result<Option<Arc<DataKey>>, ServiceError> {
        let PayloadKey { tenant_id: tenant, generation, wrapped, .. } = stored;
        let Some(wrapped) = wrapped else {
            self.forget(*tenant, *generation);
            return Ok(None);
        };
        if let Some(key) = self.held(*tenant).filter(|key| key.generation == *generation) {
            return Ok(Some(key));
        }
        let key = self.wrapper.unwrap_key(wrapped, &context(*tenant, *generation)).await;
        let key = key.map_err(|error| {
            let which = format!("payload key {generation} of tenant `{tenant}`");
            ServiceError::Unavailable(format!("{which} cannot be unwrapped: {error}"))
        })?;
        let key = DataKey::new(*tenant, *generation, &key).ok_or_else(cipher)?;
        let key = Arc::new(key);
        self.lock().insert(*tenant, Arc::clone(&key));
        Ok(Some(key))
    }

    async fn make(&self, tenant: TenantId, generation: u32) -> Result<PayloadKey, ServiceError> {
        let key: RawKey = Zeroizing::new(random_bytes()?);
        let wrapped = self.wrapper.wrap(&key, &context(tenant, generation)).await;
        let wrapped = wrapped.map_err(|error| ServiceError::Unavailable(error.to_string()))?;
        let key = PayloadKey {
            tenant_id: tenant,
            generation,
            wrapped: Some(wrapped),
            created_at: self.clock.now(),
            destroyed_at: None,
        };
        Ok(self.store.add_payload_key(key).await?)
    }

    fn held(&self, tenant: TenantId) -> Option<Arc<DataKey>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned()
    }

    fn lock(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<TenantId, Arc<DataKey>>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a key that is destroyed.
    pub(super) fn forget(&self, tenant: TenantId, generation: u32) {
        let mut held = self.lock();
        if held.get(&tenant).is_some_and(|key| key.generation <= generation) {
            held.remove(&tenant);
        }
    }

    /// Drops what was destroyed elsewhere. While the store is away all are kept: it takes and gives
    /// nothing then.
    pub(super) async fn sweep(&self) -> Result<(), ServiceError> {
        let held: Vec<_> = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            held.values().map(|key| (key.tenant, key.generation)).collect()
        };
        for (tenant, generation) in held {
            let stored = self.store.payload_key_of(tenant, generation).await?;
            if stored.is_none_or(|key| key.wrapped.is_none()) {
                self.forget(tenant, generation);
            }
        }
        Ok(())
    }

    /// Whether the key of the deployment is the one that `stored` was wrapped with.
    pub(super) async fn try_on(&self, stored: &PayloadKey) -> Result<(), WrapError> {
        let Some(wrapped) = &stored.wrapped else { return Ok(()) };
        let context = context(stored.tenant_id, stored.generation);
        self.wrapper.unwrap_key(wrapped, &context).await.map(drop)
    }
}

/// Whose key it is.
fn context(tenant: TenantId, generation: u32) -> Vec<u8> {
    let domain = b"sentinel-mcp.dev/payload-key/v1".as_slice();
    [domain, tenant.0.as_bytes(), &generation.to_be_bytes()].concat()
}

pub(super) fn cipher() -> ServiceError {
    ServiceError::Unavailable("the cipher failed".to_owned())
}
