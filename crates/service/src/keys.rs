//! API keys: made, listed, revoked, and recognised.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::clock::Clock;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event, RegistryChange, RegistryEvent};
use sentinel_core::id::KeyId;
use sentinel_core::name::{AgentName, DisplayName, Owner, TenantSlug};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::RegistryStore;
use sentinel_core::principal::{ApiKey, KeyHash, Principal, Role};
use sentinel_core::store::Store;
use uuid::Uuid;

use crate::ServiceError;
use crate::bus::InProcessBus;
use crate::control::Control;

/// Issues and recognises API keys.
#[derive(Debug)]
pub struct Keys {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn RegistryStore>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct KeySpec {
    pub name: DisplayName,
    pub role: Role,
    /// Binds the key to one tenant; `None` binds it to all.
    pub tenant: Option<TenantSlug>,
    /// Binds the key to one agent.
    pub agent: Option<AgentName>,
    /// The person or service that holds it.
    pub owner: Option<Owner>,
}

/// A key just made: the only moment at which it can be shown.
pub struct NewKey {
    pub key: ApiKey,
    /// `snt_<role>_<random>`.
    pub secret: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Keys {
    /// Makes keys in a store that no server is needed for: others hear of them by its epoch.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn offline(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let control = Arc::new(Control::load(store.clone()).await?);
        Ok(Self { control, store, bus: Arc::new(InProcessBus::default()), clock })
    }

    /// The principal that presents this key; `None` when there is no such key or it is revoked.
    #[must_use]
    pub fn authenticate(&self, presented: &str) -> Option<Principal> {
        let control = self.control.current();
        control.key(&KeyHash::of(presented)).map(|key| Principal::of_key(Arc::clone(key)))
    }

    /// Makes a key. A principal bound to a tenant makes keys of that tenant only.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, or the store is away.
    pub async fn create(&self, actor: &Principal, spec: KeySpec) -> Result<NewKey, ServiceError> {
        let tenant_id = match &spec.tenant {
            Some(slug) => Some(self.control.tenant_for(actor, slug).await?.1.id),
            None if actor.tenant().is_some() => return Err(ServiceError::tenant_forbidden()),
            None => None,
        };
        let owner = spec.owner.map(|owner| qualified(owner, spec.tenant.as_ref())).transpose()?;
        let random = URL_SAFE_NO_PAD.encode(random_bytes()?);
        let secret = format!("snt_{}_{random}", spec.role.as_str());
        let key = ApiKey {
            id: KeyId(Uuid::now_v7()),
            hash: KeyHash::of(&secret),
            name: spec.name,
            role: spec.role,
            tenant_id,
            agent: spec.agent,
            owner,
            created_at: self.clock.now(),
            revoked_at: None,
        };
        let epoch = self.store.create_key(key.clone()).await?;
        self.control.refresh_after("creation of a key").await;
        self.publish(actor, RegistryChange::KeyCreated, &key, epoch);
        Ok(NewKey { key, secret })
    }

    /// Revokes a key at once; `None` when the actor sees no such key.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn revoke(
        &self,
        actor: &Principal,
        id: KeyId,
    ) -> Result<Option<ApiKey>, ServiceError> {
        let control = self.control.refresh().await?;
        let visible = |key: &&Arc<ApiKey>| {
            key.id == id && actor.tenant().is_none_or(|bound| key.tenant_id == Some(bound))
        };
        if control.keys().find(visible).is_none() {
            return Ok(None);
        }
        let Some((key, epoch)) = self.store.revoke_key(id, self.clock.now()).await? else {
            return Ok(None);
        };
        let heard = self.control.refresh().await;
        self.publish(actor, RegistryChange::KeyRevoked, &key, epoch);
        // Callers are known from memory: until this server has refreshed it, the key can still
        // read.
        heard?;
        Ok(Some(key))
    }

    /// The keys that the actor may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn list(&self, actor: &Principal, page: Page) -> Result<Paged<ApiKey>, ServiceError> {
        Ok(self.store.keys(actor.tenant(), page).await?)
    }

    fn publish(&self, actor: &Principal, kind: RegistryChange, key: &ApiKey, epoch: Epoch) {
        let control = self.control.current();
        let tenant = key.tenant_id.and_then(|id| control.tenant_by_id(id));
        self.bus.publish(vec![Event::Registry(Arc::new(RegistryEvent {
            kind,
            tenant_id: key.tenant_id,
            tenant: tenant.map(|tenant| tenant.slug.clone()),
            subject: key.name.to_string(),
            actor: actor.id(),
            epoch,
            at: self.clock.now(),
        }))]);
    }
}

/// The owner with its tenant, so that the keys of a tenant can never make the principal of another.
fn qualified(owner: Owner, tenant: Option<&TenantSlug>) -> Result<Owner, ServiceError> {
    let Some(tenant) = tenant else { return Ok(owner) };
    let owner = format!("{tenant}/{owner}").parse();
    owner.map_err(|_| {
        let detail =
            "`owner` is too long together with the tenant's slug; 64 characters always fit";
        ServiceError::invalid("owner_too_long", detail)
    })
}

/// 32 bytes from the operating system's generator.
pub(crate) fn random_bytes() -> Result<[u8; 32], ServiceError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        ServiceError::Unavailable(format!("the operating system gave no randomness: {error}"))
    })?;
    Ok(bytes)
}
