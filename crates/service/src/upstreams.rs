//! Upstreams: added, removed, listed; and what their tools are pinned to.

mod offers;
mod review;
mod rules;
mod secrets;
mod silence;
mod standing;
mod status;
mod wrapped;

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use sentinel_core::clock::Clock;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event, RegistryChange, RegistryEvent};
use sentinel_core::id::{TenantId, ToolId, UpstreamId};
use sentinel_core::name::{Owner, TenantSlug, UpstreamName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::pin::Pin;
use sentinel_core::ports::UpstreamStore;
use sentinel_core::principal::Principal;
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::Tool;
use sentinel_core::upstream::{Door, Transport, Upstream};
use serde_json::json;
use url::Url;

use self::offers::Refusals;
use self::rules::Budget;
use self::silence::Silences;
use crate::ServiceError;
use crate::check::Checker;
use crate::control::Control;
use crate::ids::new_id;
use crate::registry::refuse_reserved;

pub use self::review::{Drift, PinnedDefinition};
pub use self::rules::{AllowedCommand, NewTools, UpstreamRules};
pub use self::secrets::{SecretUnavailable, secret};
pub use self::standing::{ToolStanding, Viewer};
pub use self::status::{StatusSource, ToolDefect, UpstreamStatus};

/// Upstreams that a tenant may have at one time.
const MAX_UPSTREAMS: usize = 200;

/// The use cases of upstreams.
#[derive(Debug)]
pub struct Upstreams {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn UpstreamStore>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) checker: Arc<Checker>,
    pub(crate) rules: UpstreamRules,
    pub(crate) refusals: Refusals,
    pub(crate) budget: Budget,
    pub(crate) silences: Silences,
    statuses: OnceLock<Arc<dyn StatusSource>>,
}

/// An upstream that is to be added.
#[derive(Debug, Clone)]
pub struct UpstreamSpec {
    pub tenant: TenantSlug,
    pub name: UpstreamName,
    pub transport: Transport,
}

/// An upstream with what is shown beside it.
#[derive(Debug, Clone)]
pub struct UpstreamView {
    pub upstream: Upstream,
    pub tenant: TenantSlug,
    /// Of the connection of this replica, if it has one.
    pub status: Option<UpstreamStatus>,
    /// What is wrong with its tools, as far as this replica has seen them.
    pub defects: Vec<ToolDefect>,
}

impl Upstreams {
    pub(crate) fn new(
        control: Arc<Control>,
        store: Arc<dyn UpstreamStore>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        checker: Arc<Checker>,
        rules: UpstreamRules,
    ) -> Self {
        let (refusals, budget) = (Refusals::default(), Budget::default());
        let silences = Silences::default();
        let statuses = OnceLock::new();
        Self { control, store, bus, clock, checker, rules, refusals, budget, silences, statuses }
    }

    /// Has the status of connections shown beside the upstreams, from now on. Only the first source
    /// counts.
    pub fn show_statuses(&self, source: Arc<dyn StatusSource>) {
        // A second one is dropped: a process has one gateway.
        let _ = self.statuses.set(source);
    }

    /// What the configuration says about upstreams.
    #[must_use]
    pub const fn rules(&self) -> &UpstreamRules {
        &self.rules
    }

    /// Adds an upstream, and registers its doors.
    ///
    /// # Errors
    /// When the transport is not allowed, the tenant is unknown or forbidden, the name is taken or
    /// confusable, or the store is away.
    pub async fn add(
        &self,
        principal: &Principal,
        spec: UpstreamSpec,
    ) -> Result<UpstreamView, ServiceError> {
        refuse_reserved(&spec.tenant)?;
        let (_, tenant) = self.control.tenant_for(principal, &spec.tenant).await?;
        self.rules.check(principal, &spec.transport)?;
        self.insert(&tenant, spec.name, spec.transport, principal.id()).await
    }

    pub(crate) async fn insert(
        &self,
        tenant: &Tenant,
        name: UpstreamName,
        transport: Transport,
        actor: String,
    ) -> Result<UpstreamView, ServiceError> {
        let present = self.control.current().upstreams_of(tenant.id).count();
        if present >= MAX_UPSTREAMS {
            let detail = format!("the tenant has {present} upstreams, which is the most");
            return Err(ServiceError::conflict("too_many_upstreams", detail));
        }
        let now = self.clock.now();
        // To the microsecond, as stores keep it: what is returned is what is read later.
        let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        let upstream = Upstream {
            id: UpstreamId(new_id(now)),
            tenant_id: tenant.id,
            name,
            transport,
            created_by: actor.clone(),
            created_at: now,
            removed_at: None,
        };
        let doors = doors(&upstream, now)?;
        let epoch = self.store.add_upstream(upstream.clone(), doors).await?;
        self.control.refresh_after("addition of an upstream").await;
        let kind = RegistryChange::UpstreamAdded;
        self.publish(actor, kind, tenant.id, upstream.name.to_string(), epoch);
        Ok(UpstreamView {
            upstream,
            tenant: tenant.slug.clone(),
            status: None,
            defects: Vec::new(),
        })
    }

    /// Removes an upstream; what it offers is quarantined. `None` when the principal sees none.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn remove(
        &self,
        principal: &Principal,
        id: UpstreamId,
    ) -> Result<Option<UpstreamView>, ServiceError> {
        let Some(view) = self.upstream(principal, id).await? else { return Ok(None) };
        self.take_away(&view.upstream, principal.id()).await?;
        Ok(Some(view))
    }

    pub(crate) async fn take_away(
        &self,
        upstream: &Upstream,
        actor: String,
    ) -> Result<(), ServiceError> {
        let removed = self.store.remove_upstream(upstream.id, self.clock.now()).await?;
        self.control.refresh_after("removal of an upstream").await;
        if let Some((upstream, epoch)) = removed {
            let kind = RegistryChange::UpstreamRemoved;
            self.publish(actor, kind, upstream.tenant_id, upstream.name.to_string(), epoch);
        }
        Ok(())
    }

    /// One upstream; `None` when there is none that the principal may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn upstream(
        &self,
        principal: &Principal,
        id: UpstreamId,
    ) -> Result<Option<UpstreamView>, ServiceError> {
        let known = self.control.current().upstream_by_id(id).cloned();
        let upstream = match known {
            Some(upstream) => Some(upstream),
            None => self.control.refresh().await?.upstream_by_id(id).cloned(),
        };
        let seen = upstream.filter(|upstream| principal.may_access(upstream.tenant_id));
        seen.map(|upstream| self.view(Upstream::clone(&upstream))).transpose()
    }

    /// Upstreams of one tenant, or of every tenant that the principal may see.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, or the store is away.
    pub async fn upstreams(
        &self,
        principal: &Principal,
        tenant: Option<&TenantSlug>,
        page: Page,
    ) -> Result<Paged<UpstreamView>, ServiceError> {
        let tenant = match tenant {
            Some(slug) => Some(self.control.tenant_for(principal, slug).await?.1.id),
            None => principal.tenant(),
        };
        let found = self.store.upstreams(tenant, page).await?;
        let views = found.items.into_iter().map(|upstream| self.view(upstream));
        Ok(Paged { items: views.collect::<Result<_, _>>()?, next_cursor: found.next_cursor })
    }

    fn view(&self, upstream: Upstream) -> Result<UpstreamView, ServiceError> {
        let control = self.control.current();
        let tenant = control.tenant_by_id(upstream.tenant_id).ok_or_else(|| {
            ServiceError::Unavailable("an upstream's tenant is not in memory yet".to_owned())
        })?;
        let source = self.statuses.get();
        let status = source.and_then(|source| source.status(upstream.id));
        let mut defects = source.map(|source| source.defects(upstream.id)).unwrap_or_default();
        defects.extend(self.refusals.under(&upstream));
        Ok(UpstreamView { tenant: tenant.slug.clone(), upstream, status, defects })
    }

    fn publish(
        &self,
        actor: String,
        kind: RegistryChange,
        tenant_id: TenantId,
        subject: String,
        epoch: Epoch,
    ) {
        let tenant = self.control.current().tenant_by_id(tenant_id).cloned();
        self.bus.publish(vec![Event::Registry(Arc::new(RegistryEvent {
            kind,
            tenant_id: Some(tenant_id),
            tenant: tenant.map(|tenant| tenant.slug.clone()),
            subject,
            actor,
            epoch,
            at: self.clock.now(),
        }))]);
    }
}

/// What an upstream offers besides tools, as the registry has it.
fn doors(upstream: &Upstream, now: Timestamp) -> Result<Vec<Tool>, ServiceError> {
    let of = |door: Door| {
        let name = door.registered(&upstream.name).map_err(|error| unnameable(&error))?;
        let about = json!({ "kind": "door", "upstream": upstream.name, "name": door.as_str() });
        Ok(Tool {
            id: ToolId(new_id(now)),
            tenant_id: upstream.tenant_id,
            name,
            url: address(upstream)?,
            owner: owner(upstream)?,
            scopes: Vec::new(),
            metadata: std::iter::once((METADATA.to_owned(), about)).collect(),
            healthcheck: None,
            created_at: now,
            updated_at: now,
            retired_at: None,
            pin: Some(Pin::of_door(upstream.id)),
        })
    };
    Door::ALL.into_iter().map(of).collect()
}

/// The member of a tool's metadata that says what it is of which upstream.
pub(crate) const METADATA: &str = "mcp";

/// The address of an upstream's tools in the registry.
fn address(upstream: &Upstream) -> Result<Url, ServiceError> {
    match &upstream.transport {
        Transport::Http(http) | Transport::Sse(http) => Ok(http.url.clone()),
        Transport::Stdio(_) | Transport::Wrapped => Url::parse(&format!("mcp://{}", upstream.name))
            .map_err(|error| ServiceError::invalid("invalid_upstream", error.to_string())),
    }
}

fn owner(upstream: &Upstream) -> Result<Owner, ServiceError> {
    format!("upstream {}", upstream.name).parse().map_err(|error| unnameable(&error))
}

fn unnameable(error: &sentinel_core::name::NameError) -> ServiceError {
    ServiceError::invalid("invalid_name", error.to_string())
}
