//! Tenants and tools: registered, changed, listed, retired.

use std::sync::Arc;

use sentinel_core::clock::Clock;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event, RegistryChange, RegistryEvent};
use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::kill::{Call, Caller, Kill};
use sentinel_core::name::TenantSlug;
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{Registered, RegistryStore};
use sentinel_core::principal::Principal;
use sentinel_core::self_test;
use sentinel_core::tenant::{Tenant, TenantSecret, TenantSpec};
use sentinel_core::tool::{Health, Tool, ToolChange, ToolSpec};
use uuid::Uuid;

use crate::ServiceError;
use crate::control::Control;
use crate::keys::random_bytes;
use crate::kill::UNBOUND_REQUIRED;
use crate::upstreams::METADATA;

/// Most scopes a tool may have, and the longest of them in bytes.
const MAX_SCOPES: usize = 64;
const MAX_SCOPE: usize = 128;
/// Longest address, and largest metadata as JSON, in bytes.
const MAX_URL: usize = 2048;
const MAX_METADATA: usize = 16 * 1024;

/// The tool and tenant registry.
#[derive(Debug)]
pub struct Registry {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn RegistryStore>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A tool with what is shown beside it.
#[derive(Debug, Clone)]
pub struct ToolView {
    pub tool: Tool,
    pub tenant: TenantSlug,
    /// Registered, not retired or quarantined, and covered by no kill of it, of a scope or tag that
    /// it has, of its tenant, or everything.
    pub is_active: bool,
    pub health: Option<Health>,
}

impl Registry {
    /// Registers a tool, and its tenant when the slug is new; a principal that is bound to a
    /// tenant cannot create another.
    ///
    /// # Errors
    /// When the name is taken or confusable, a field is out of bounds, or the store is away.
    pub async fn register(
        &self,
        principal: &Principal,
        tenant: TenantSpec,
        tool: ToolSpec,
    ) -> Result<ToolView, ServiceError> {
        validate(
            Some(&tool.url),
            Some(&tool.scopes),
            Some(&tool.metadata),
            tool.healthcheck.as_ref(),
        )?;
        refuse_reserved(&tenant.slug)?;
        if principal.tenant().is_some() {
            self.control.tenant_for(principal, &tenant.slug).await?;
        }
        let now = self.clock.now();
        let tenant = new_tenant(tenant, now)?;
        let tool = Tool {
            id: ToolId(Uuid::now_v7()),
            tenant_id: tenant.id,
            name: tool.name,
            url: tool.url,
            owner: tool.owner,
            scopes: tool.scopes,
            metadata: tool.metadata,
            healthcheck: tool.healthcheck,
            created_at: now,
            updated_at: now,
            retired_at: None,
            pin: None,
        };
        let registered = self.store.register_tool(tenant, tool).await?;
        self.control.refresh_after("registration of a tool").await;
        self.announce(principal, &registered);
        // The tenant may be new, and not be heard of here yet.
        Ok(self.view_of(registered.tool, registered.tenant.slug, None))
    }

    fn announce(&self, principal: &Principal, registered: &Registered) {
        let Registered { tenant, tenant_created, tool, epoch } = registered;
        if *tenant_created {
            let kind = RegistryChange::TenantCreated;
            self.publish(principal, kind, tenant.id, tenant.slug.to_string(), *epoch);
        }
        let kind = RegistryChange::ToolRegistered;
        self.publish(principal, kind, tenant.id, tool.name.to_string(), *epoch);
    }

    /// Creates a tenant without tools.
    ///
    /// # Errors
    /// When the principal is bound to a tenant, the slug is taken, or the store is away.
    pub async fn create_tenant(
        &self,
        principal: &Principal,
        spec: TenantSpec,
    ) -> Result<Tenant, ServiceError> {
        if principal.tenant().is_some() {
            return Err(ServiceError::tenant_forbidden());
        }
        refuse_reserved(&spec.slug)?;
        let tenant = new_tenant(spec, self.clock.now())?;
        let epoch = self.store.create_tenant(tenant.clone()).await?;
        self.control.refresh_after("creation of a tenant").await;
        let kind = RegistryChange::TenantCreated;
        self.publish(principal, kind, tenant.id, tenant.slug.to_string(), epoch);
        Ok(tenant)
    }

    /// Changes or retires a tool; `None` when the principal sees no such tool.
    ///
    /// # Errors
    /// When a field is out of bounds or the store is away.
    pub async fn update(
        &self,
        principal: &Principal,
        id: ToolId,
        change: ToolChange,
    ) -> Result<Option<ToolView>, ServiceError> {
        validate(
            change.url.as_ref(),
            change.scopes.as_ref(),
            change.metadata.as_ref(),
            change.healthcheck.as_ref().and_then(Option::as_ref),
        )?;
        let Some(ToolView { tool, .. }) = self.tool(principal, id).await? else { return Ok(None) };
        let change = keeping_pinned(change, &tool);
        self.refuse_to_shed_kills(principal, &tool, &change).await?;
        let kind =
            if change.retire { RegistryChange::ToolRetired } else { RegistryChange::ToolUpdated };
        let Some((tool, epoch)) = self.store.update_tool(id, change, self.clock.now()).await?
        else {
            return Ok(None);
        };
        self.control.refresh_after("change of a tool").await;
        self.publish(principal, kind, tool.tenant_id, tool.name.to_string(), epoch);
        self.view(tool, None).map(Some)
    }

    /// Refuses a change by which a tool would no longer be covered by a kill of one of its scopes
    /// or tags that only a principal bound to no tenant may restore.
    async fn refuse_to_shed_kills(
        &self,
        principal: &Principal,
        tool: &Tool,
        change: &ToolChange,
    ) -> Result<(), ServiceError> {
        let keeps_labels = change.scopes.is_none() && change.metadata.is_none();
        if principal.tenant().is_none() || keeps_labels {
            return Ok(());
        }
        let mut after = tool.clone();
        after.scopes = change.scopes.clone().unwrap_or(after.scopes);
        after.metadata = change.metadata.clone().unwrap_or(after.metadata);
        let control = self.control.refresh().await?;
        let sheds = |kill: &&Arc<Kill>| {
            kill.by_platform && kill.scope.has_tool(tool) && !kill.scope.has_tool(&after)
        };
        control.kills().all().find(sheds).map_or(Ok(()), |kill| {
            let detail = format!(
                "kill `{}` covers the tool by a scope or tag that this would take away ({}): only \
                 a principal that is bound to no tenant may do that",
                kill.id, kill.reason,
            );
            Err(ServiceError::Forbidden { code: UNBOUND_REQUIRED, detail })
        })
    }

    /// One tool; `None` when there is none that the principal may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn tool(
        &self,
        principal: &Principal,
        id: ToolId,
    ) -> Result<Option<ToolView>, ServiceError> {
        let found = self.store.tool(id).await?;
        found
            .filter(|(tool, _)| principal.may_access(tool.tenant_id) && tool.id != self_test::TOOL)
            .map(|(tool, health)| self.view(tool, health))
            .transpose()
    }

    /// Tools of one tenant, or of every tenant the principal may see.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, or the store is away.
    pub async fn tools(
        &self,
        principal: &Principal,
        tenant: Option<&TenantSlug>,
        page: Page,
    ) -> Result<Paged<ToolView>, ServiceError> {
        let tenant = self.tenant_filter(principal, tenant).await?;
        let found = self.store.tools(tenant, page).await?;
        let views = found.items.into_iter().map(|(tool, health)| self.view(tool, health));
        Ok(Paged { items: views.collect::<Result<_, _>>()?, next_cursor: found.next_cursor })
    }

    /// The tenants the principal may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn tenants(
        &self,
        principal: &Principal,
        page: Page,
    ) -> Result<Paged<Tenant>, ServiceError> {
        let Some(bound) = principal.tenant() else { return Ok(self.store.tenants(page).await?) };
        let own = self.control.current().tenant_by_id(bound).map(|tenant| (**tenant).clone());
        Ok(Paged { items: own.into_iter().collect(), next_cursor: None })
    }

    /// Narrows a query to a tenant: the one asked for, else the one the principal is bound to.
    ///
    /// # Errors
    /// When the tenant asked for is unknown, or not the principal's.
    pub async fn tenant_filter(
        &self,
        principal: &Principal,
        slug: Option<&TenantSlug>,
    ) -> Result<Option<TenantId>, ServiceError> {
        match slug {
            Some(slug) => Ok(Some(self.control.tenant_for(principal, slug).await?.1.id)),
            None => Ok(principal.tenant()),
        }
    }

    fn view(&self, tool: Tool, health: Option<Health>) -> Result<ToolView, ServiceError> {
        let control = self.control.current();
        let tenant = control.tenant_by_id(tool.tenant_id).ok_or_else(|| {
            ServiceError::Unavailable("a tool's tenant is not in memory yet".to_owned())
        })?;
        Ok(self.view_of(tool, tenant.slug.clone(), health))
    }

    fn view_of(&self, tool: Tool, tenant: TenantSlug, health: Option<Health>) -> ToolView {
        let control = self.control.current();
        let call = Call {
            tenant_id: Some(tool.tenant_id),
            tool: Some(&tool),
            agent: None,
            caller: Caller::Anybody,
            at: self.clock.now(),
        };
        let killed = control.kills().covering(&call).is_some();
        let quarantined = tool.pin.is_some_and(|pin| pin.quarantine.is_some());
        let is_active = tool.retired_at.is_none() && !killed && !quarantined;
        ToolView { is_active, tenant, tool, health }
    }

    fn publish(
        &self,
        principal: &Principal,
        kind: RegistryChange,
        tenant_id: TenantId,
        subject: String,
        epoch: Epoch,
    ) {
        let slug = self.control.current().tenant_by_id(tenant_id).map(|tenant| tenant.slug.clone());
        self.bus.publish(vec![Event::Registry(Arc::new(RegistryEvent {
            kind,
            tenant_id: Some(tenant_id),
            tenant: slug,
            subject,
            actor: principal.id(),
            epoch,
            at: self.clock.now(),
        }))]);
    }
}

/// A change that leaves alone what the metadata of a pinned tool says of its definition: policy
/// rests on it.
fn keeping_pinned(mut change: ToolChange, tool: &Tool) -> ToolChange {
    if let (Some(metadata), Some(_)) = (&mut change.metadata, &tool.pin) {
        match tool.metadata.get(METADATA) {
            Some(pinned) => metadata.insert(METADATA.to_owned(), pinned.clone()),
            None => metadata.remove(METADATA),
        };
    }
    change
}

/// The tenant in which replicas test themselves is not for others.
pub(crate) fn refuse_reserved(slug: &TenantSlug) -> Result<(), ServiceError> {
    if slug.as_str() == self_test::SLUG {
        let detail = format!("tenant `{slug}` is the server's own; choose another slug");
        return Err(ServiceError::invalid("reserved_slug", detail));
    }
    Ok(())
}

fn new_tenant(spec: TenantSpec, now: jiff::Timestamp) -> Result<Tenant, ServiceError> {
    Ok(Tenant {
        id: TenantId(Uuid::now_v7()),
        slug: spec.slug,
        display_name: spec.display_name,
        created_at: now,
        secret: TenantSecret(random_bytes()?),
    })
}

fn validate(
    url: Option<&url::Url>,
    scopes: Option<&Vec<String>>,
    metadata: Option<&serde_json::Map<String, serde_json::Value>>,
    healthcheck: Option<&url::Url>,
) -> Result<(), ServiceError> {
    let invalid = |detail: &str| Err(ServiceError::invalid("invalid_tool", detail));
    if url.is_some_and(|url| url.as_str().len() > MAX_URL) {
        return invalid("`url` is longer than 2048 bytes");
    }
    if url
        .into_iter()
        .chain(healthcheck)
        .any(|url| !url.username().is_empty() || url.password().is_some())
    {
        return invalid("an address must not contain credentials; they would be shown to readers");
    }
    if healthcheck.is_some_and(|url| !matches!(url.scheme(), "http" | "https") || !url.has_host()) {
        return invalid("`healthcheck` must be an absolute http or https address");
    }
    if let Some(scopes) = scopes
        && (scopes.len() > MAX_SCOPES
            || scopes.iter().any(|scope| {
                scope.is_empty()
                    || scope.len() > MAX_SCOPE
                    || !scope.bytes().all(|b| b.is_ascii_graphic())
            }))
    {
        return invalid("`scopes` takes at most 64 names of 1 to 128 printable ASCII characters");
    }
    let size = metadata.map_or(0, |m| serde_json::to_vec(m).map_or(usize::MAX, |json| json.len()));
    if size > MAX_METADATA {
        return invalid("`metadata` is larger than 16 KiB");
    }
    Ok(())
}
