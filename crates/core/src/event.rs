//! What happens, as told to subscribers and written to the log.

use std::sync::Arc;

use crate::audit::DecisionRecord;
use crate::epoch::Epoch;
use crate::id::{ManifestId, TenantId};
use crate::kill::Kill;
use crate::name::{AgentName, TenantSlug, ToolName, UpstreamName};
use crate::policy_change::PolicyChange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One event. Its payload is shared, so that publishing costs one reference count a subscriber.
///
/// Its serialized form is what replicas tell each other, without loss; what people and programs
/// outside read is the line that `sentinel-api` makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A decision was committed.
    Checked(Arc<DecisionRecord>),
    /// A kill came into force.
    Killed(Arc<KillEvent>),
    /// A kill was restored.
    Restored(Arc<KillEvent>),
    /// A manifest was stored.
    Signed(Arc<ProvenanceEvent>),
    /// A manifest was verified on request.
    Verified(Arc<ProvenanceEvent>),
    /// A tenant, tool, key or upstream changed.
    Registry(Arc<RegistryEvent>),
    /// What policy is in force changed, or a change of it was refused.
    Policy(Arc<PolicyChange>),
    /// The gateway showed an agent no tool, since policy hides all that there are.
    ShownNothing(Arc<ShownNothing>),
}

/// A kill or its end, with the names that people and adapters know things by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillEvent {
    pub kill: Kill,
    pub tenant: Option<TenantSlug>,
    pub tool: Option<ToolName>,
    pub epoch: Epoch,
    pub actor: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenanceEvent {
    pub manifest_id: ManifestId,
    pub tenant_id: TenantId,
    pub tenant: TenantSlug,
    pub tool: ToolName,
    /// Whether verification passed; true for a manifest that was just signed.
    pub verified: bool,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryEvent {
    pub kind: RegistryChange,
    pub tenant_id: Option<TenantId>,
    pub tenant: Option<TenantSlug>,
    /// Name of the tool, key or upstream.
    pub subject: String,
    pub actor: String,
    pub epoch: Epoch,
    pub at: Timestamp,
}

/// An agent that has no tools, since policy hides all of them from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownNothing {
    pub tenant_id: TenantId,
    pub tenant: TenantSlug,
    /// The upstream whose tools were asked for; `None` when it was all of the tenant's.
    pub upstream: Option<UpstreamName>,
    pub agent: Option<AgentName>,
    /// Identifier of the principal that asked.
    pub principal: String,
    /// How many tools policy hides.
    pub hidden: u64,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryChange {
    TenantCreated,
    ToolRegistered,
    ToolUpdated,
    ToolRetired,
    KeyCreated,
    KeyRevoked,
    /// An upstream offers another definition of a tool than the approved one.
    ToolDrift,
    /// An operator approved a definition of a tool.
    ToolApproved,
    /// An operator rejected a definition of a tool.
    ToolRejected,
    UpstreamAdded,
    UpstreamRemoved,
}

impl Event {
    /// Every name that [`Event::name`] returns.
    pub const NAMES: [&'static str; 25] = [
        "policy.check.allow",
        "policy.check.deny",
        "kill_switch.disabled",
        "kill_switch.restored",
        "provenance.signed",
        "provenance.verified",
        "registry.tenant_created",
        "registry.tool_registered",
        "registry.tool_updated",
        "registry.tool_retired",
        "registry.key_created",
        "registry.key_revoked",
        "registry.tool_drift",
        "registry.tool_approved",
        "registry.tool_rejected",
        "registry.upstream_added",
        "registry.upstream_removed",
        "policy.activated",
        "policy.refused",
        "policy.data_put",
        "policy.data_removed",
        "policy.rollout_started",
        "policy.rollout_promoted",
        "policy.rollout_dropped",
        "gateway.nothing_shown",
    ];

    /// The event's name, as clients subscribe to it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Checked(record) if record.allow => "policy.check.allow",
            Self::Checked(_) => "policy.check.deny",
            Self::Killed(_) => "kill_switch.disabled",
            Self::Restored(_) => "kill_switch.restored",
            Self::Signed(_) => "provenance.signed",
            Self::Verified(_) => "provenance.verified",
            Self::Registry(event) => match event.kind {
                RegistryChange::TenantCreated => "registry.tenant_created",
                RegistryChange::ToolRegistered => "registry.tool_registered",
                RegistryChange::ToolUpdated => "registry.tool_updated",
                RegistryChange::ToolRetired => "registry.tool_retired",
                RegistryChange::KeyCreated => "registry.key_created",
                RegistryChange::KeyRevoked => "registry.key_revoked",
                RegistryChange::ToolDrift => "registry.tool_drift",
                RegistryChange::ToolApproved => "registry.tool_approved",
                RegistryChange::ToolRejected => "registry.tool_rejected",
                RegistryChange::UpstreamAdded => "registry.upstream_added",
                RegistryChange::UpstreamRemoved => "registry.upstream_removed",
            },
            Self::Policy(change) => change.kind.event(),
            Self::ShownNothing(_) => "gateway.nothing_shown",
        }
    }

    /// Whether it reports a change of control state. Such events are rare and matter more than
    /// those of decisions and manifests: whatever carries events keeps the two apart, so that a
    /// burst of decisions never delays or displaces a kill.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.epoch().is_some()
    }

    /// The epoch that the change of control state began; `None` for other events.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Killed(event) | Self::Restored(event) => Some(event.epoch),
            Self::Registry(event) => Some(event.epoch),
            Self::Policy(change) => change.epoch,
            Self::Checked(_) | Self::Signed(_) | Self::Verified(_) | Self::ShownNothing(_) => None,
        }
    }

    /// The one tenant that the event concerns; `None` when it concerns all of them, or none that
    /// exists.
    #[must_use]
    pub fn tenant_id(&self) -> Option<TenantId> {
        match self {
            Self::Checked(record) => record.tenant_id,
            Self::Killed(event) | Self::Restored(event) => event.kill.scope.tenant_id(),
            Self::Signed(event) | Self::Verified(event) => Some(event.tenant_id),
            Self::Registry(event) => event.tenant_id,
            Self::ShownNothing(event) => Some(event.tenant_id),
            Self::Policy(_) => None,
        }
    }

    /// Whether a subscriber bound to `tenant` may hear of it: events of its own tenant, and kills
    /// that reach into it from above.
    #[must_use]
    pub fn concerns(&self, tenant: TenantId) -> bool {
        match (self, self.tenant_id()) {
            (_, Some(of)) => of == tenant,
            (Self::Killed(_) | Self::Restored(_), None) => true,
            _ => false,
        }
    }
}

/// Where events go: the in-process bus, or one shared by all replicas. Publishing never waits and
/// never fails; nothing that must not be lost depends on it.
pub trait Bus: Send + Sync + std::fmt::Debug {
    fn publish(&self, events: Vec<Event>);
}
