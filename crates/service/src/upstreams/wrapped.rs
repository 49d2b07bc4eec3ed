//! Upstreams that others than an administrator add: `sentinel mcp wrap`, and the configuration.

use std::sync::Arc;

use sentinel_core::name::{TenantSlug, UpstreamName};
use sentinel_core::principal::Principal;
use sentinel_core::tenant::TenantSpec;
use sentinel_core::upstream::{Transport, Upstream};

use super::offers::Definition;
use super::standing::unknown;
use super::{ToolStanding, UpstreamSpec, Upstreams, Viewer};
use crate::ServiceError;
use crate::registry::{Registry, refuse_reserved};

/// Who added the upstreams that the configuration lists.
const CONFIGURATION: &str = "configuration";

impl Upstreams {
    /// As [`standing`](Self::standing), for a server that the caller runs on its own machine: it is
    /// added when there is none of that name, if the configuration allows that.
    ///
    /// # Errors
    /// As [`standing`](Self::standing), and when the upstream is one that this server connects to:
    /// what that offers is not for an agent to say.
    pub async fn standing_of_wrapped(
        &self,
        viewer: &Viewer,
        slug: &TenantSlug,
        name: &UpstreamName,
        listed: &[Arc<Definition>],
    ) -> Result<Vec<ToolStanding>, ServiceError> {
        refuse_reserved(slug)?;
        let upstream = self.wrapped(&viewer.principal, slug, name).await?;
        if upstream.transport != Transport::Wrapped {
            let detail = format!(
                "upstream `{name}` is connected by the server; wrap under another name (--server)"
            );
            return Err(ServiceError::conflict("upstream_not_wrapped", detail));
        }
        let standings = self.standing_of(viewer, slug, &upstream, listed).await?;
        let tools = standings.get(..listed.len()).unwrap_or_default();
        self.look_for_silence(viewer, slug, name, tools);
        Ok(standings)
    }

    async fn wrapped(
        &self,
        principal: &Principal,
        slug: &TenantSlug,
        name: &UpstreamName,
    ) -> Result<Arc<Upstream>, ServiceError> {
        let (state, tenant) = self.control.tenant_for(principal, slug).await?;
        if let Some(upstream) = state.upstream(tenant.id, name) {
            return Ok(Arc::clone(upstream));
        }
        let state = self.control.refresh().await?;
        if let Some(upstream) = state.upstream(tenant.id, name) {
            return Ok(Arc::clone(upstream));
        }
        if !self.rules.wrap {
            let detail = format!(
                "there is no upstream `{name}`, and the configuration lets only administrators add \
                 one (`gateway_wrap`): `sentinel upstream add --wrapped --name {name}`"
            );
            return Err(ServiceError::Forbidden { code: "wrap_not_allowed", detail });
        }
        let added = self.insert(&tenant, name.clone(), Transport::Wrapped, principal.id()).await;
        // Another wrap may have added it just now.
        if let Err(ServiceError::Conflict { code: "upstream_exists", .. }) = &added {
            let state = self.control.refresh().await?;
            return state.upstream(tenant.id, name).cloned().ok_or_else(|| unknown(name));
        }
        Ok(Arc::new(added?.upstream))
    }

    /// Adds the upstreams that the configuration lists, replaces those that have changed, and
    /// removes those that it listed before.
    ///
    /// # Errors
    /// When one cannot be added, or the store is away.
    pub async fn configure(
        &self,
        registry: &Registry,
        listed: &[UpstreamSpec],
    ) -> Result<(), ServiceError> {
        for spec in listed {
            refuse_reserved(&spec.tenant)?;
            self.rules.check_configured(&spec.transport)?;
            self.configure_one(registry, spec).await?;
        }
        let control = self.control.current();
        let is_listed = |upstream: &Upstream| {
            let tenant = control.tenant_by_id(upstream.tenant_id);
            tenant.is_some_and(|tenant| {
                listed.iter().any(|spec| spec.tenant == tenant.slug && spec.name == upstream.name)
            })
        };
        let gone = control
            .upstreams()
            .filter(|upstream| upstream.created_by == CONFIGURATION && !is_listed(upstream));
        for upstream in gone {
            self.take_away(upstream, CONFIGURATION.to_owned()).await?;
        }
        Ok(())
    }

    async fn configure_one(
        &self,
        registry: &Registry,
        spec: &UpstreamSpec,
    ) -> Result<(), ServiceError> {
        let mut control = self.control.refresh().await?;
        if control.tenant(&spec.tenant).is_none() {
            let display_name = spec.tenant.as_str().parse();
            let display_name = display_name.map_err(|error| super::unnameable(&error))?;
            let tenant = TenantSpec { slug: spec.tenant.clone(), display_name };
            // Another replica may have created it just now.
            match registry.create_tenant(&Principal::LOCAL, tenant).await {
                Ok(_) | Err(ServiceError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
            control = self.control.refresh().await?;
        }
        let (_, tenant) = self.control.tenant_for(&Principal::LOCAL, &spec.tenant).await?;
        if let Some(known) = control.upstream(tenant.id, &spec.name) {
            if known.transport == spec.transport {
                return Ok(());
            }
            self.take_away(known, CONFIGURATION.to_owned()).await?;
        }
        let (name, transport) = (spec.name.clone(), spec.transport.clone());
        match self.insert(&tenant, name, transport, CONFIGURATION.to_owned()).await {
            Ok(_) | Err(ServiceError::Conflict { code: "upstream_exists", .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
