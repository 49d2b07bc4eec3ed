//! The kill switch.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sentinel_core::clock::Clock;
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::KillId;
use sentinel_core::kill::{Kill, KillScope, RestoreOrder};
use sentinel_core::name::{AgentName, Label, Reason, TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{ControlStore, Restored};
use sentinel_core::principal::Principal;
use sentinel_core::self_test;
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::Tool;

use crate::ServiceError;
use crate::announce::Mine;
use crate::bus::InProcessBus;
use crate::calls::{Calls, Cut};
use crate::control::Control;
use crate::elsewhere::Elsewhere;
use crate::ids::new_id;
use crate::lifetimes::Lifetimes;
use crate::outstanding::Outstanding;

/// Most tool names that one result lists.
const MAX_LISTED: usize = 1000;

/// Kills and restores.
#[derive(Debug)]
pub struct KillSwitch {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn ControlStore>,
    pub(crate) events: Arc<InProcessBus>,
    pub(crate) outstanding: Arc<Outstanding>,
    pub(crate) elsewhere: Arc<Elsewhere>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) calls: Arc<Calls>,
}

/// What is to be killed or restored, by the names people use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Global,
    Tenant(TenantSlug),
    Tool(TenantSlug, ToolName),
    Agent(AgentName),
    TenantAgent(TenantSlug, AgentName),
    /// A principal, in one tenant or everywhere.
    Principal(Option<TenantSlug>, Label),
    /// The tools that have a scope.
    ToolScope(Option<TenantSlug>, Label),
    /// The tools that have a tag.
    ToolTag(Option<TenantSlug>, Label),
}

/// A kill as asked for.
#[derive(Debug, Clone)]
pub struct KillOrder {
    pub target: Target,
    pub reason: Reason,
    /// When it comes into force; at once when there is none.
    pub starts_at: Option<Timestamp>,
    /// When it ends by itself; never when there is none.
    pub expires_at: Option<Timestamp>,
}

/// What a kill or a restore did.
#[derive(Debug, Clone)]
pub struct Switched {
    /// Identifier of the kill; the ended ones when restoring.
    pub kills: Vec<KillId>,
    pub epoch: Epoch,
    /// Names of the tools it reaches, at most 1,000, sorted; those of other tenants than one
    /// as `tenant/tool`.
    pub affected_tools: Vec<String>,
    /// How many tools it reaches.
    pub affected_count: usize,
    pub reached: Reached,
}

/// What a kill reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Replicas that are connected to the store, whose commits the kill binds; `None` when the
    /// store could not say.
    pub replicas: Option<u64>,
    /// Event streams of this replica that hear of it.
    pub streams: u64,
    /// Permits that this replica has issued and that the kill took the effect of; `None` when they
    /// were of too many kinds to be counted.
    pub permits: Option<u64>,
    /// Calls in flight of this replica that were cut.
    pub calls: u64,
    /// Of these, how many had not ended yet: such a call may still be on its way to a tool.
    pub calls_unconfirmed: u64,
    /// Calls that others make with permits of this replica, such as `sentinel mcp wrap`: begun, and
    /// their outcome not signed yet. They hear of the kill by event. `None` when there were too many
    /// to be counted.
    pub calls_elsewhere: Option<u64>,
}

/// The longest time ahead for which a kill can be made, or last, in days.
const MAX_DAYS: i64 = 3660;
/// Time that the store gets to count the replicas: the kill holds by then, and its result must not
/// wait for a number.
const COUNTING: Duration = Duration::from_millis(25);
/// Time that calls in flight get to end once they are cut. None of them can start by then.
const CUTTING: Duration = Duration::from_millis(100);

impl KillSwitch {
    /// Stops everything `target` covers. When this returns, nothing it covers is allowed any more.
    ///
    /// # Errors
    /// When the target is unknown or forbidden, or the store is away: then nothing is promised.
    pub async fn kill(
        &self,
        actor: &Principal,
        target: &Target,
        reason: Reason,
    ) -> Result<Switched, ServiceError> {
        let target = target.clone();
        let order = KillOrder { target, reason, starts_at: None, expires_at: None };
        self.kill_as(actor, order).await
    }

    /// Stops everything that the target covers, in the time that is said. When this returns,
    /// nothing it covers is allowed any more, or from its start on.
    ///
    /// # Errors
    /// When the target is unknown or forbidden, the times make no sense, or the store is away: then
    /// nothing is promised.
    pub async fn kill_as(
        &self,
        actor: &Principal,
        order: KillOrder,
    ) -> Result<Switched, ServiceError> {
        let KillOrder { target, reason, .. } = order;
        let now = self.clock.now();
        let (starts_at, expires_at) = span(order.starts_at, order.expires_at, now)?;
        let scope = self.scope(actor, &target).await?;
        let kill = Kill {
            id: KillId(new_id(now)),
            scope,
            reason,
            actor: actor.id(),
            by_platform: actor.tenant().is_none(),
            created_at: now,
            starts_at,
            begun_at: None,
            expires_at,
            epoch: Epoch::default(),
            restored_at: None,
            restored_by: None,
        };
        let mine = Mine::Begins(kill.id);
        self.control.expect(&mine);
        let stored = self.store.kill(kill.clone()).await;
        if stored.is_err() || kill.is_pending() || kill.is_self_test() {
            self.control.forget(&mine);
        }
        let epoch = stored?;
        let kill = Kill { epoch, ..kill };
        let cut = self.cut(&kill);
        let uptime = self.clock.uptime();
        let counting = tokio::time::timeout(COUNTING, self.store.replicas());
        let (control, replicas) = tokio::join!(self.control.refresh_after("kill"), counting);
        // Once more: a call that was entered before the refresh was cut by it.
        let cut = cut.and(self.cut(&kill));
        let calls_unconfirmed = cut.wait(CUTTING).await;
        let (affected_tools, affected_count) = affected(&control, &kill.scope);
        let replicas = replicas.ok().and_then(Result::ok);
        let reached = Reached {
            replicas,
            calls: cut.count(),
            calls_unconfirmed,
            ..self.reached(&kill, &control, (now, uptime))
        };
        Ok(Switched { kills: vec![kill.id], epoch, affected_tools, affected_count, reached })
    }

    /// Cuts the calls in flight, unless the kill is still to come.
    fn cut(&self, kill: &Kill) -> Cut {
        if kill.is_pending() || kill.is_self_test() { Cut::default() } else { self.calls.cut(kill) }
    }

    /// Counts what a kill reached, but for the calls. One that is still to come has told no stream and cut no permit.
    fn reached(
        &self,
        kill: &Kill,
        control: &ControlState,
        (now, uptime): (Timestamp, Duration),
    ) -> Reached {
        if kill.is_pending() {
            let (permits, calls_elsewhere) = (Some(0), Some(0));
            return Reached { permits, calls_elsewhere, ..Reached::default() };
        }
        Reached {
            streams: self.events.listeners(kill.scope.tenant_id()),
            permits: self.outstanding.covered_by(kill, control, now),
            calls_elsewhere: self.elsewhere.covered_by(kill, control, (now, uptime)),
            ..Reached::default()
        }
    }

    /// Ends every kill of exactly `target`, those that are to come included.
    ///
    /// # Errors
    /// `still_killed` when a wider kill covers it, `unbound_principal_required` when a principal
    /// bound to no tenant killed it and the actor is bound to one; else as [`KillSwitch::kill`].
    pub async fn restore(
        &self,
        actor: &Principal,
        target: &Target,
    ) -> Result<Switched, ServiceError> {
        let scope = self.scope(actor, target).await?;
        let mine = Mine::EndsScope(scope.folded());
        self.control.expect(&mine);
        let order = RestoreOrder {
            scope: scope.clone(),
            actor: actor.id(),
            by_platform: actor.tenant().is_none(),
            at: self.clock.now(),
        };
        let restored = self.store.restore(order).await;
        let control = self.control.refresh_after("restore").await;
        self.control.forget(&mine);
        let (kills, epoch) = match restored? {
            Restored::StillCovered(kill) => return Err(still_killed(&kill)),
            Restored::NotYours(kill) => return Err(not_yours(&kill)),
            Restored::Done { kills, epoch } => (kills, epoch),
        };
        let (affected_tools, affected_count) =
            if kills.is_empty() { (Vec::new(), 0) } else { affected(&control, &scope) };
        let ids = kills.iter().map(|kill| kill.id).collect();
        let reached = Reached::default();
        Ok(Switched { kills: ids, epoch, affected_tools, affected_count, reached })
    }

    /// Begins the kills whose time has come, and ends those that have expired.
    ///
    /// # Errors
    /// When the store is away; kills then begin all the same, and none ends.
    pub async fn turn(&self) -> Result<(), ServiceError> {
        let (control, now) = (self.control.current(), self.clock.now());
        let over = self.lifetimes.over(control.kills().all(), now, self.clock.uptime());
        if over.is_empty() && !control.kills().has_pending() {
            return Ok(());
        }
        let pending = control.kills().all().filter(|kill| kill.is_pending());
        let mine: Vec<_> = pending.map(|kill| Mine::Begins(kill.id)).collect();
        let mine: Vec<_> = mine.into_iter().chain(over.iter().copied().map(Mine::Ends)).collect();
        mine.iter().for_each(|mine| self.control.expect(mine));
        let turned = self.store.turn_kills(over, now).await;
        if turned.as_ref().is_ok_and(|turned| !turned.is_empty()) {
            self.control.refresh_after("turn of kills").await;
        }
        mine.iter().for_each(|mine| self.control.forget(mine));
        turned?;
        Ok(())
    }

    /// Kills, newest first, that concern what the actor may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn history(
        &self,
        actor: &Principal,
        in_force: bool,
        page: Page,
    ) -> Result<Paged<KillView>, ServiceError> {
        let kills = self.store.kills(actor.tenant(), in_force, page).await?;
        let control = self.control.current();
        let items = kills.items.into_iter().map(|kill| KillView::of(&control, kill)).collect();
        Ok(Paged { items, next_cursor: kills.next_cursor })
    }

    async fn scope(&self, actor: &Principal, target: &Target) -> Result<KillScope, ServiceError> {
        let tenant = match target {
            Target::Tenant(slug) | Target::Tool(slug, _) | Target::TenantAgent(slug, _) => {
                Some(slug)
            }
            Target::Principal(slug, _) | Target::ToolScope(slug, _) | Target::ToolTag(slug, _) => {
                slug.as_ref()
            }
            Target::Global | Target::Agent(_) => None,
        };
        let found = match tenant {
            Some(slug) => Some(self.control.tenant_for(actor, slug).await?),
            None if actor.tenant().is_some() => return Err(ServiceError::tenant_forbidden()),
            None => None,
        };
        let tenant_id = found.as_ref().map(|(_, tenant)| tenant.id);
        Ok(match (target, &found) {
            (Target::Tool(_, name), Some((state, tenant))) => {
                let tool = self.tool(state, tenant, name).await?;
                KillScope::Tool { tenant_id: tenant.id, tool_id: tool.id }
            }
            (Target::TenantAgent(_, agent), Some((_, tenant))) => {
                KillScope::TenantAgent { tenant_id: tenant.id, agent: agent.clone() }
            }
            (Target::Principal(_, principal), _) => {
                KillScope::Principal { tenant_id, principal: principal.clone() }
            }
            (Target::ToolScope(_, scope), _) => {
                KillScope::ToolScope { tenant_id, scope: scope.clone() }
            }
            (Target::ToolTag(_, tag), _) => KillScope::ToolTag { tenant_id, tag: tag.clone() },
            (Target::Agent(agent), _) => KillScope::Agent(agent.clone()),
            (_, Some((_, tenant))) => KillScope::Tenant(tenant.id),
            (_, None) => KillScope::Global,
        })
    }

    async fn tool(
        &self,
        state: &ControlState,
        tenant: &sentinel_core::tenant::Tenant,
        name: &ToolName,
    ) -> Result<Arc<Tool>, ServiceError> {
        if let Some(tool) = state.tool(tenant.id, name) {
            return Ok(Arc::clone(tool));
        }
        let state = self.control.refresh().await?;
        state.tool(tenant.id, name).cloned().ok_or_else(|| {
            let what = format!("tool `{name}` of tenant `{}`", tenant.slug);
            ServiceError::not_found("unknown_tool", what)
        })
    }
}

/// A kill with the names that belong to its identifiers.
#[derive(Debug, Clone)]
pub struct KillView {
    pub kill: Kill,
    pub tenant: Option<TenantSlug>,
    pub tool: Option<ToolName>,
}

impl KillView {
    /// Looks the names up.
    #[must_use]
    pub fn of(control: &ControlState, kill: Kill) -> Self {
        let tenant = kill.scope.tenant_id().and_then(|id| control.tenant_by_id(id));
        let tool = kill.scope.tool_id().and_then(|id| control.tool_by_id(id));
        Self {
            tenant: tenant.map(|tenant| tenant.slug.clone()),
            tool: tool.map(|tool| tool.name.clone()),
            kill,
        }
    }
}

fn still_killed(kill: &Kill) -> ServiceError {
    let detail = format!(
        "kill `{}` of the wider scope `{}` still covers it: {}; restore that one first",
        kill.id,
        kill.scope.kind(),
        kill.reason,
    );
    ServiceError::conflict("still_killed", detail)
}

fn not_yours(kill: &Kill) -> ServiceError {
    let detail = format!(
        "kill `{}` was made by a principal that is bound to no tenant ({}): only such a principal \
         restores it",
        kill.id, kill.reason,
    );
    ServiceError::Forbidden { code: UNBOUND_REQUIRED, detail }
}

/// The code of what only a principal bound to no tenant may undo.
pub(crate) const UNBOUND_REQUIRED: &str = "unbound_principal_required";

/// The time of a kill, to the microsecond as stores keep it, never shorter than asked for.
fn span(
    starts_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Option<Timestamp>), ServiceError> {
    let invalid = |detail: &str| ServiceError::invalid("invalid_kill_time", detail);
    let latest = now.checked_add(SignedDuration::from_hours(MAX_DAYS * 24));
    let latest = latest.unwrap_or(Timestamp::MAX);
    if starts_at.max(expires_at).is_some_and(|time| time > latest) {
        return Err(invalid("`starts_at` and `expires_at` must be within the next 3660 days"));
    }
    if expires_at.is_some_and(|end| end <= now) {
        return Err(invalid("`expires_at` must lie in the future"));
    }
    if starts_at.zip(expires_at).is_some_and(|(start, end)| start >= end) {
        return Err(invalid("`starts_at` must be before `expires_at`"));
    }
    let floor = |time: Timestamp| Timestamp::from_microsecond(time.as_microsecond()).ok();
    let ceiling = |time: Timestamp| {
        let micro = floor(time).filter(|whole| *whole < time);
        micro.map_or(Some(time), |whole| whole.checked_add(SignedDuration::from_micros(1)).ok())
    };
    // What starts now or has started is in force at once.
    let starts_at = starts_at.filter(|start| *start > now).and_then(floor);
    Ok((starts_at, expires_at.and_then(ceiling)))
}

/// The tools in `scope`. A kill of an agent or a principal reaches tools through who calls only, so
/// it lists none.
fn affected(control: &ControlState, scope: &KillScope) -> (Vec<String>, usize) {
    let reaches = |tool: &&Arc<Tool>| tool.retired_at.is_none() && scope.has_tool(tool);
    let of_tenant = |tenant| control.tools_of(tenant).filter(reaches);
    let mut names: Vec<String> = match scope {
        KillScope::Agent(_) | KillScope::TenantAgent { .. } | KillScope::Principal { .. } => {
            Vec::new()
        }
        // A retired one, too: it was named.
        KillScope::Tool { tool_id, .. } => {
            control.tool_by_id(*tool_id).map(|tool| tool.name.to_string()).into_iter().collect()
        }
        _ => match scope.tenant_id() {
            Some(tenant) => of_tenant(tenant).map(|tool| tool.name.to_string()).collect(),
            None => {
                let tenants = control.tenants().filter(|tenant| tenant.id != self_test::TENANT);
                let of = |tenant: &Arc<Tenant>| {
                    let slug = tenant.slug.clone();
                    of_tenant(tenant.id).map(move |tool| format!("{slug}/{}", tool.name))
                };
                tenants.flat_map(of).collect()
            }
        },
    };
    names.sort_unstable();
    let count = names.len();
    names.truncate(MAX_LISTED);
    (names, count)
}

/// How often it is looked whether kills begin or have expired.
const TURN: Duration = Duration::from_millis(500);

/// Begins and ends kills whose time has come, until the switch is dropped.
pub(crate) async fn keep_turning(switch: Weak<KillSwitch>) {
    let mut tick = tokio::time::interval(TURN);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tick.tick().await;
        let Some(switch) = switch.upgrade() else { return };
        let turned = switch.turn().await;
        if let (Err(error), false) = (&turned, failing) {
            let error = error.cause();
            tracing::warn!(%error, "kills could not be begun or ended; trying again");
        }
        failing = turned.is_err();
    }
}
