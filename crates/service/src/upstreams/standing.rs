//! Where the tools of a listing stand: registered and pinned when they are new, quarantined when
//! they have changed, visible when policy allows their action `list`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_core::control::ControlState;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::RegistryChange;
use sentinel_core::id::TenantId;
use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName, UpstreamName};
use sentinel_core::pin::QuarantineCause;
use sentinel_core::ports::{PinChange, PinChanged};
use sentinel_core::principal::Principal;
use sentinel_core::upstream::{Door, Upstream};
use serde_json::{Map, Value};

use super::offers::{Definition, MAX_TOOLS, Offer, Refusal, offers};
use super::rules::NewTools;
use super::{Upstreams, unnameable};
use crate::ServiceError;
use crate::check::ATTEMPTS;

/// Definitions of one listing.
const MAX_LISTED: usize = 1000;
/// Who registers the tools that no client has asked for yet.
const GATEWAY: &str = "gateway";
/// Previews that one listing evaluates at one time, and the time that all of them take together.
/// What is not known by then is not visible.
const CONCURRENT_PREVIEWS: usize = 8;
const PREVIEW_TIME: Duration = Duration::from_secs(10);

/// Who a list is for, and what policy is told about it.
#[derive(Debug, Clone)]
pub struct Viewer {
    pub principal: Principal,
    pub agent: Option<AgentName>,
    pub purpose: Option<Purpose>,
    /// What policy sees as `input.context`.
    pub context: Map<String, Value>,
    pub request_id: Arc<str>,
}

/// Where a tool of a listing, or a door, stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolStanding {
    /// In the registry.
    pub name: ToolName,
    /// Whether policy lets the viewer see it.
    pub visible: bool,
    /// Why it cannot be called, such as `tool_drift`.
    pub quarantined: Option<&'static str>,
}

impl Upstreams {
    /// Registers and pins what an upstream lists, and returns where each tool stands, in the order
    /// of `listed`; behind them the doors, in the order of [`Door::ALL`]. A listing that is known
    /// costs no access to the store.
    ///
    /// # Errors
    /// When the tenant or the upstream is unknown or forbidden, more is listed or changed than
    /// allowed, or the store is away. Nothing may be shown then.
    pub async fn standing(
        &self,
        viewer: &Viewer,
        tenant: &TenantSlug,
        upstream: &UpstreamName,
        listed: &[Arc<Definition>],
    ) -> Result<Vec<ToolStanding>, ServiceError> {
        let (mut state, tenant) = self.control.tenant_for(&viewer.principal, tenant).await?;
        if state.upstream(tenant.id, upstream).is_none() {
            state = self.control.refresh().await?;
        }
        let known = state.upstream(tenant.id, upstream).cloned();
        let upstream = known.ok_or_else(|| unknown(upstream))?;
        self.standing_of(viewer, &tenant.slug, &upstream, listed).await
    }

    /// Registers and pins what an upstream lists before a client asks for it, so that its tools can be
    /// reviewed and killed from the start.
    ///
    /// # Errors
    /// As [`Upstreams::standing`].
    pub async fn register_listed(
        &self,
        upstream: &Upstream,
        listed: &[Arc<Definition>],
    ) -> Result<(), ServiceError> {
        let mut offers = listed_offers(upstream, listed)?;
        self.settle(GATEWAY, upstream, &mut offers).await
    }

    pub(super) async fn standing_of(
        &self,
        viewer: &Viewer,
        tenant: &TenantSlug,
        upstream: &Upstream,
        listed: &[Arc<Definition>],
    ) -> Result<Vec<ToolStanding>, ServiceError> {
        let mut offers = listed_offers(upstream, listed)?;
        self.settle(&viewer.principal.id(), upstream, &mut offers).await?;
        let control = self.control.current();
        let mut standings: Vec<_> =
            offers.iter().map(|offer| standing_in(&control, upstream, offer)).collect();
        for door in Door::ALL {
            let name = door.registered(&upstream.name).map_err(|error| unnameable(&error))?;
            let quarantined = quarantine_of(&control, upstream.tenant_id, &name);
            standings.push(ToolStanding { name, visible: false, quarantined });
        }
        self.show(viewer, tenant, &mut standings).await?;
        Ok(standings)
    }

    /// Brings the registry to what is offered.
    async fn settle(
        &self,
        actor: &str,
        upstream: &Upstream,
        offers: &mut [Offer],
    ) -> Result<(), ServiceError> {
        for _ in 0..ATTEMPTS {
            let control = self.control.current();
            let changes = self.changes(upstream, &control, offers)?;
            if changes.is_empty() {
                return Ok(());
            }
            self.budget.take(upstream.id, self.clock.uptime())?;
            let now = self.clock.now();
            let asked: Vec<_> = changes.iter().map(|(_, change)| change.clone()).collect();
            let (results, epoch) = self.store.change_pins(asked, now).await?;
            self.control.refresh().await?;
            let mut moved = false;
            for ((index, change), result) in changes.into_iter().zip(results) {
                let Some(offer) = offers.get_mut(index) else { continue };
                match result {
                    PinChanged::Done => self.tell(actor, upstream, &offer.name, &change, epoch),
                    PinChanged::Moved => moved = true,
                    PinChanged::Confusable(_) => {
                        self.refuse(upstream, offer, Refusal::Collision);
                    }
                }
            }
            if !moved {
                return Ok(());
            }
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    /// The changes that the offers call for, each with the index of its offer.
    fn changes(
        &self,
        upstream: &Upstream,
        control: &ControlState,
        offers: &mut [Offer],
    ) -> Result<Vec<(usize, PinChange)>, ServiceError> {
        let waits = self.rules.new_tools == NewTools::Quarantine;
        let now = self.clock.now();
        let mut room = None;
        let mut changes = Vec::new();
        for (index, offer) in offers.iter_mut().enumerate() {
            if offer.refused.is_none() {
                offer.refused = self.refusals.of(upstream.tenant_id, &offer.name);
            }
            let Some(change) = offer.change(upstream, control, waits, now)? else { continue };
            if let PinChange::Register { .. } = change {
                let room = room.get_or_insert_with(|| room_for(upstream, control));
                match room.checked_sub(1) {
                    Some(left) => *room = left,
                    None => {
                        self.refuse(upstream, offer, Refusal::TooMany);
                        continue;
                    }
                }
            }
            changes.push((index, change));
        }
        Ok(changes)
    }

    fn refuse(&self, upstream: &Upstream, offer: &mut Offer, refusal: Refusal) {
        offer.refused = Some(refusal);
        self.refusals.remember(upstream.tenant_id, &offer.name, refusal);
    }

    fn tell(
        &self,
        actor: &str,
        upstream: &Upstream,
        name: &ToolName,
        change: &PinChange,
        epoch: Epoch,
    ) {
        let kind = match change {
            PinChange::Register { .. } => RegistryChange::ToolRegistered,
            PinChange::Move { after, .. } => match after.quarantine.map(|known| known.cause) {
                Some(QuarantineCause::Drift) => RegistryChange::ToolDrift,
                _ => RegistryChange::ToolUpdated,
            },
        };
        self.publish(actor.to_owned(), kind, upstream.tenant_id, name.to_string(), epoch);
    }

    /// Finds out which of those that can be called the viewer may see.
    async fn show(
        &self,
        viewer: &Viewer,
        tenant: &TenantSlug,
        standings: &mut [ToolStanding],
    ) -> Result<(), ServiceError> {
        let deadline = tokio::time::Instant::now() + PREVIEW_TIME;
        let request = list_request(viewer, tenant)?;
        let asked = standings.iter().enumerate().filter(|(_, tool)| tool.quarantined.is_none());
        let asked: Vec<_> = asked.map(|(index, tool)| (index, tool.name.clone())).collect();
        let previews = asked.into_iter().map(|(index, name)| {
            let request = CheckRequest { tool: name, ..request.clone() };
            async move { (index, self.checker.preview(&request).await) }
        });
        let mut previews = futures::stream::iter(previews).buffer_unordered(CONCURRENT_PREVIEWS);
        while let Ok(Some((index, seen))) = tokio::time::timeout_at(deadline, previews.next()).await
        {
            if let Some(tool) = standings.get_mut(index) {
                // A quota that is used up denies the call, and says so; the tool stays in sight.
                tool.visible = seen.allow || seen.code == ReasonCode::QuotaExceeded;
            }
        }
        Ok(())
    }
}

fn listed_offers(
    upstream: &Upstream,
    listed: &[Arc<Definition>],
) -> Result<Vec<Offer>, ServiceError> {
    if listed.len() > MAX_LISTED {
        let detail = format!("a listing has at most {MAX_LISTED} tools");
        return Err(ServiceError::invalid("too_many_tools", detail));
    }
    offers(upstream, listed)
}

pub(super) fn unknown(upstream: &UpstreamName) -> ServiceError {
    ServiceError::not_found("unknown_upstream", format!("upstream `{upstream}`"))
}

/// How many more tools an upstream of that name may have.
fn room_for(upstream: &Upstream, control: &ControlState) -> usize {
    let prefix = format!("{}{}", upstream.name, sentinel_core::name::SEPARATOR);
    let own = control.tools_of(upstream.tenant_id);
    let own = own.filter(|tool| tool.pin.is_some() && tool.name.as_str().starts_with(&prefix));
    MAX_TOOLS.saturating_sub(own.count())
}

/// Where an offer stands. Whatever happened on the way here, only the approved definition of a tool
/// that is registered can be called.
fn standing_in(control: &ControlState, upstream: &Upstream, offer: &Offer) -> ToolStanding {
    let name = offer.name.clone();
    let quarantined = match offer.refused {
        Some(refusal) => Some(refusal.code()),
        None => quarantine_of(control, upstream.tenant_id, &name).or_else(|| {
            let pin = control.tool(upstream.tenant_id, &name)?.pin?;
            (pin.approved != Some(offer.digest)).then_some(ReasonCode::ToolDrift.as_str())
        }),
    };
    ToolStanding { name, visible: false, quarantined }
}

fn quarantine_of(
    control: &ControlState,
    tenant: TenantId,
    name: &ToolName,
) -> Option<&'static str> {
    let Some(tool) = control.tool(tenant, name) else {
        return Some(ReasonCode::UnknownTool.as_str());
    };
    if tool.retired_at.is_some() {
        return Some(ReasonCode::ToolRetired.as_str());
    }
    match tool.pin {
        Some(pin) => pin.quarantine.map(|held| ReasonCode::of_quarantine(held.cause).as_str()),
        None => Some(ReasonCode::UnknownTool.as_str()),
    }
}

/// The question whether a tool may be seen; the name of the tool is filled in for each.
fn list_request(viewer: &Viewer, tenant: &TenantSlug) -> Result<CheckRequest, ServiceError> {
    let action: Action = "list".parse().map_err(|error| unnameable(&error))?;
    let tool: ToolName = "list".parse().map_err(|error| unnameable(&error))?;
    Ok(CheckRequest {
        principal: viewer.principal.clone(),
        tenant: tenant.clone(),
        tool,
        action,
        purpose: viewer.purpose.clone(),
        usage: 0,
        context: viewer.context.clone(),
        agent: viewer.agent.clone(),
        arguments: Arguments::new(Map::new()),
        call_id: None,
        request_id: Arc::clone(&viewer.request_id),
        arrived: Instant::now(),
        deadline: None,
    })
}
