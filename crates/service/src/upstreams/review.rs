//! Reviewing what is quarantined: the difference is fetched, and approved or rejected.

use std::sync::Arc;

use sentinel_core::control::ControlState;
use sentinel_core::event::RegistryChange;
use sentinel_core::id::ToolId;
use sentinel_core::name::TenantSlug;
use sentinel_core::pin::{DefinitionDigest, Quarantine, Review};
use sentinel_core::ports::{PinChange, PinChanged};
use sentinel_core::principal::Principal;
use sentinel_core::self_test;
use sentinel_core::tool::Tool;

use super::offers::{Definition, about};
use super::{METADATA, Upstreams};
use crate::ServiceError;

/// A pinned tool, with the definitions that its pin is about.
#[derive(Debug, Clone)]
pub struct Drift {
    pub tool: Tool,
    pub tenant: TenantSlug,
    pub quarantine: Option<Quarantine>,
    pub approved: Option<PinnedDefinition>,
    /// What is offered instead.
    pub offered: Option<PinnedDefinition>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PinnedDefinition {
    pub digest: DefinitionDigest,
    pub definition: Definition,
}

impl Upstreams {
    /// What a tool is pinned to, and what is offered instead; `None` when the principal sees no
    /// such tool.
    ///
    /// # Errors
    /// When the tool is not of an upstream, or the store is away.
    pub async fn drift(
        &self,
        principal: &Principal,
        id: ToolId,
    ) -> Result<Option<Drift>, ServiceError> {
        let control = self.control.refresh().await?;
        let Some(tool) = seen(&control, principal, id) else { return Ok(None) };
        let pin = tool.pin.ok_or_else(|| not_pinned(&tool))?;
        let mut kept = self.store.definitions(id).await?;
        let mut take = |digest: Option<DefinitionDigest>| {
            let index = kept.iter().position(|(known, _)| Some(*known) == digest)?;
            let (digest, definition) = kept.swap_remove(index);
            Some(PinnedDefinition { digest, definition })
        };
        let tenant = control.tenant_by_id(tool.tenant_id).map(|tenant| tenant.slug.clone());
        let unknown = || ServiceError::Unavailable("a tool's tenant is not in memory".to_owned());
        Ok(Some(Drift {
            tenant: tenant.ok_or_else(unknown)?,
            quarantine: pin.quarantine,
            approved: take(pin.approved),
            offered: take(pin.quarantine.and_then(|quarantine| quarantine.offered)),
            tool: Tool::clone(&tool),
        }))
    }

    /// Approves or rejects the definition with this digest, which must be the one that is offered;
    /// `None` when the principal sees no such tool.
    ///
    /// # Errors
    /// When another definition is offered by now, the tool is not of an upstream, or the store is
    /// away.
    pub async fn review(
        &self,
        principal: &Principal,
        id: ToolId,
        review: Review,
        digest: DefinitionDigest,
    ) -> Result<Option<Drift>, ServiceError> {
        let Some(drift) = self.drift(principal, id).await? else { return Ok(None) };
        let before = drift.tool.pin;
        let after = before.and_then(|pin| pin.after_review(review, digest));
        let after = after.ok_or_else(|| not_offered(&drift.tool))?;
        let metadata = match review {
            Review::Reject => None,
            Review::Approve => Some(self.approved_metadata(&drift, digest)?),
        };
        let change = PinChange::Move { tool: id, before, after, metadata, definition: None };
        let (changed, epoch) = self.store.change_pins(vec![change], self.clock.now()).await?;
        if changed.first() != Some(&PinChanged::Done) {
            return Err(not_offered(&drift.tool));
        }
        self.control.refresh_after("review of a tool").await;
        let kind = match review {
            Review::Approve => RegistryChange::ToolApproved,
            Review::Reject => RegistryChange::ToolRejected,
        };
        let name = drift.tool.name.to_string();
        self.publish(principal.id(), kind, drift.tool.tenant_id, name, epoch);
        self.drift(principal, id).await
    }

    /// The metadata of the tool once what is offered is approved.
    fn approved_metadata(
        &self,
        drift: &Drift,
        digest: DefinitionDigest,
    ) -> Result<Definition, ServiceError> {
        let offered = drift.offered.as_ref().filter(|offered| offered.digest == digest);
        let gone = || ServiceError::Unavailable("the offered definition is not kept".to_owned());
        let definition = &offered.ok_or_else(gone)?.definition;
        let control = self.control.current();
        let upstream = drift.tool.pin.and_then(|pin| control.upstream_by_id(pin.upstream));
        let upstream = upstream.ok_or_else(|| {
            let detail = "the upstream of the tool was removed; add it again first";
            ServiceError::conflict("upstream_removed", detail)
        })?;
        let mut metadata = drift.tool.metadata.clone();
        metadata.insert(METADATA.to_owned(), about(upstream, definition, digest));
        Ok(metadata)
    }
}

fn seen(control: &ControlState, principal: &Principal, id: ToolId) -> Option<Arc<Tool>> {
    let tool = control.tool_by_id(id).filter(|_| id != self_test::TOOL)?;
    principal.may_access(tool.tenant_id).then(|| Arc::clone(tool))
}

fn not_pinned(tool: &Tool) -> ServiceError {
    let detail = format!("tool `{}` was registered by hand, and is pinned to nothing", tool.name);
    ServiceError::conflict("tool_not_pinned", detail)
}

fn not_offered(tool: &Tool) -> ServiceError {
    let detail = format!(
        "that definition of tool `{}` is not the one that waits for approval; fetch the difference \
         again",
        tool.name
    );
    ServiceError::conflict("definition_not_offered", detail)
}
