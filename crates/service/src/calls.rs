//! Calls in flight: those that were allowed, and that something in this process forwards. A kill
//! cuts the ones that it covers.
//!
//! A call enters the table before the control state is looked at, and a kill is known here before
//! the table is. So either the kill sees the call or the call sees the kill, and no call starts
//! after a kill of it has returned: a call that is in the middle of being sent is waited for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::ArgumentHash;
use sentinel_core::clock::Clock;
use sentinel_core::control::ControlState;
use sentinel_core::decision::{ReasonCode, Verdict};
use sentinel_core::id::{DecisionId, TenantId};
use sentinel_core::kill::{Call, Caller, Kill, KillState};
use sentinel_core::name::AgentName;
use sentinel_core::permit::is_good;
use sentinel_core::principal::Principal;
use sentinel_core::tool::Tool;
use tokio::sync::{Notify, SetOnce};

use crate::ServiceError;
use crate::control::Control;
use crate::permit::Permit;

/// Calls in flight at one time; further ones are refused.
pub const MAX_CALLS: usize = 65_536;
/// Age of a decision from which on the store is asked, before the call is sent, whether another
/// replica has killed it meanwhile.
const FRESH: Duration = Duration::from_millis(50);
/// Code of a call that was not sent in time.
pub const PERMIT_EXPIRED: &str = "permit_expired";

/// The calls in flight of this process.
#[derive(Debug)]
pub struct Calls {
    clock: Arc<dyn Clock>,
    next: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    flights: HashMap<u64, Arc<Flight>>,
    /// Kills made here that the control state in memory may not have yet.
    news: Vec<Kill>,
    cut: u64,
}

/// Why a call may not be sent, or not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Withdrawn {
    /// Stable: a reason code of decisions, or [`PERMIT_EXPIRED`] and the like.
    pub code: Cow<'static, str>,
    pub reason: String,
}

/// Whether and why a call is to end; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Withdrawal(Arc<SetOnce<Withdrawn>>);

impl From<Verdict> for Withdrawn {
    fn from(deny: Verdict) -> Self {
        Self { code: deny.code.as_str().into(), reason: deny.reason }
    }
}

/// An allowed call that may be sent once. It has consumed the permit; dropping it ends the call.
#[derive(Debug)]
pub struct CallInFlight {
    number: u64,
    permit: Permit,
    opened: Instant,
    flight: Arc<Flight>,
    calls: Arc<Calls>,
    control: Arc<Control>,
}

/// What a kill sees of a call.
#[derive(Debug)]
struct Flight {
    tenant: TenantId,
    tool: Arc<Tool>,
    agent: Option<AgentName>,
    principal: Principal,
    cut: Withdrawal,
    phase: Mutex<Phase>,
    /// Something was sent, or the call has ended.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Phase {
    started: bool,
    sending: bool,
    ended: bool,
}

/// The request is being written. Held until it is.
#[derive(Debug)]
#[must_use = "hold it until the request is written"]
pub struct Sending(Arc<Flight>);

/// The calls that a kill cut.
#[derive(Debug, Default)]
pub(crate) struct Cut(HashMap<u64, Arc<Flight>>);

impl Calls {
    #[must_use]
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, next: AtomicU64::new(0), table: Mutex::default() }
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.table().flights.len()
    }

    /// How many calls were cut since the start.
    #[must_use]
    pub fn cut_so_far(&self) -> u64 {
        self.table().cut
    }

    /// Enters a call that was allowed to `principal` by `decision`.
    ///
    /// # Errors
    /// When a kill covers it by now, or what it was allowed to is gone; when the permit is of
    /// another decision or has expired; when too many calls are in flight.
    pub(crate) fn open(
        self: &Arc<Self>,
        control: &Arc<Control>,
        principal: Principal,
        decision: &DecisionRecord,
        permit: Permit,
    ) -> Result<CallInFlight, ServiceError> {
        let state = control.current();
        let tool =
            state.tool_by_id(permit.tool_id()).filter(|_| decision.id == permit.decision_id());
        let tool = tool.ok_or_else(|| refused("permit_invalid", "it is of another call"))?;
        let flight = Arc::new(Flight {
            tenant: tool.tenant_id,
            tool: Arc::clone(tool),
            agent: decision.agent.clone(),
            principal,
            cut: Withdrawal::default(),
            phase: Mutex::default(),
            moved: Notify::new(),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut table = self.table();
            if table.flights.len() >= MAX_CALLS {
                return Err(ServiceError::Overloaded);
            }
            table.flights.insert(number, Arc::clone(&flight));
        }
        let (calls, control) = (Arc::clone(self), Arc::clone(control));
        let opened = Instant::now();
        let call = CallInFlight { number, permit, opened, flight, calls, control };
        // After it was entered, and not before: a kill that missed it is seen here.
        call.still_allowed().map_err(|why| forbidden(&why))?;
        Ok(call)
    }

    /// Cuts what `state` forbids: covered by a kill, or allowed to a key that was revoked.
    pub(crate) fn look(&self, state: &ControlState) {
        let now = self.clock.now();
        let mut table = self.table();
        // From here on the state says whether they hold.
        table.news.retain(|kill| kill.epoch > state.epoch());
        let mut cut = 0;
        for flight in table.flights.values() {
            if let Some(why) = flight.forbidden_by(state, now) {
                cut += u64::from(flight.end_with(why));
            }
        }
        table.cut = table.cut.saturating_add(cut);
    }

    /// Cuts every call that `kill` covers, and no call of it that is opened from now on can start.
    pub(crate) fn cut(&self, kill: &Kill) -> Cut {
        let only = state_of(std::slice::from_ref(kill));
        let now = self.clock.now();
        let mut table = self.table();
        table.news.push(kill.clone());
        let covered = table.flights.iter().filter_map(|(number, flight)| {
            let kill = only.covering(&flight.call(now))?;
            Some((*number, Arc::clone(flight), Withdrawn::from(Verdict::killed(kill))))
        });
        let covered: Vec<_> = covered.collect();
        let (mut found, mut cut) = (Cut::default(), 0);
        for (number, flight, why) in covered {
            cut += u64::from(flight.end_with(why));
            found.0.insert(number, flight);
        }
        table.cut = table.cut.saturating_add(cut);
        found
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallInFlight {
    #[must_use]
    pub const fn decision_id(&self) -> DecisionId {
        self.permit.decision_id()
    }

    /// Of the arguments that were decided on; what is sent must have it.
    #[must_use]
    pub const fn argument_hash(&self) -> ArgumentHash {
        self.permit.argument_hash()
    }

    /// Whether the call is to end.
    #[must_use]
    pub fn withdrawal(&self) -> Withdrawal {
        self.flight.cut.clone()
    }

    /// Says that the request is about to be sent. It is sent while what this returns is held.
    ///
    /// # Errors
    /// When it may not be sent: a kill covers it, its permit has expired, it was sent before, or
    /// the store does not say whether another replica has killed it meanwhile.
    pub async fn start(&self) -> Result<Sending, Withdrawn> {
        self.be_sure().await.inspect_err(|why| {
            self.flight.end_with(why.clone());
        })?;
        let mut phase = self.flight.phase();
        // Under the lock: a kill that comes now sees that the request is being written.
        if let Some(why) = self.flight.cut.get() {
            return Err(why.clone());
        }
        if phase.started {
            return Err(withdrawn("permit_used", "the call was sent before"));
        }
        (phase.started, phase.sending) = (true, true);
        drop(phase);
        Ok(Sending(Arc::clone(&self.flight)))
    }

    /// That the call may still be made, as of now.
    async fn be_sure(&self) -> Result<(), Withdrawn> {
        if self.opened.elapsed() > FRESH {
            self.control.refresh().await.map_err(|error| {
                tracing::warn!(%error, "a call is not sent, since the store is away");
                withdrawn("store_unavailable", "whether it was killed could not be found out")
            })?;
        }
        let now = self.calls.clock.now();
        is_good(self.permit.decided_at(), now).map_err(|why| {
            let reason = format!("the decision was not used in time: it {}", why.as_str());
            withdrawn(PERMIT_EXPIRED, &reason)
        })?;
        self.still_allowed()
    }

    fn still_allowed(&self) -> Result<(), Withdrawn> {
        let now = self.calls.clock.now();
        let state = self.control.current();
        let forbidden = self.flight.forbidden_by(&state, now).or_else(|| {
            let table = self.calls.table();
            if table.news.is_empty() {
                return None;
            }
            let news = state_of(&table.news);
            news.covering(&self.flight.call(now)).map(|kill| Verdict::killed(kill).into())
        });
        forbidden.map_or(Ok(()), |why| {
            self.flight.end_with(why.clone());
            Err(why)
        })
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.calls.table().flights.remove(&self.number);
        self.flight.phase().ended = true;
        self.flight.moved.notify_waiters();
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.phase().sending = false;
        self.0.moved.notify_waiters();
    }
}

impl Withdrawal {
    /// Ends the call, for the first reason that is given; false when it was to end already.
    pub fn withdraw(&self, why: Withdrawn) -> bool {
        self.0.set(why).is_ok()
    }

    /// Why the call is to end, if it is.
    #[must_use]
    pub fn get(&self) -> Option<&Withdrawn> {
        self.0.get()
    }

    /// Completes when the call is to end.
    pub async fn wait(&self) -> Withdrawn {
        self.0.wait().await.clone()
    }
}

impl Flight {
    fn call(&self, at: jiff::Timestamp) -> Call<'_> {
        Call {
            tenant_id: Some(self.tenant),
            tool: Some(&self.tool),
            agent: self.agent.as_ref(),
            caller: Caller::Principal(&self.principal),
            at,
        }
    }

    fn forbidden_by(&self, state: &ControlState, now: jiff::Timestamp) -> Option<Withdrawn> {
        if let Some(kill) = state.kills().covering(&self.call(now)) {
            return Some(Verdict::killed(kill).into());
        }
        // The labels of the tool may have changed, and with them the kills that cover it.
        let tool = state.tool_by_id(self.tool.id).filter(|tool| tool.retired_at.is_none());
        let Some(tool) = tool else {
            return Some(withdrawn(ReasonCode::ToolRetired.as_str(), "the tool was retired"));
        };
        if !Arc::ptr_eq(tool, &self.tool)
            && let Some(kill) = state.kills().covering(&Call { tool: Some(tool), ..self.call(now) })
        {
            return Some(Verdict::killed(kill).into());
        }
        (!state.vouches_for(self.principal.credential()))
            .then(|| withdrawn(ReasonCode::KeyRevoked.as_str(), "the key was revoked"))
    }

    /// Ends the call; false when it was to end already.
    fn end_with(&self, why: Withdrawn) -> bool {
        // Under the lock that a start takes: it sees this, or is seen by the kill.
        let _phase = self.phase();
        self.cut.withdraw(why)
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when the call has ended.
    async fn ended(&self) {
        loop {
            let moved = self.moved.notified();
            if self.phase().ended {
                return;
            }
            moved.await;
        }
    }
}

impl Cut {
    /// Takes in what was cut besides.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    /// Waits until every call has ended, for `patience` at most; returns how many have not.
    pub(crate) async fn wait(&self, patience: Duration) -> u64 {
        let all = async {
            for flight in self.0.values() {
                flight.ended().await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_ok() {
            return 0;
        }
        let left = self.0.values().filter(|flight| !flight.phase().ended).count();
        u64::try_from(left).unwrap_or(u64::MAX)
    }
}

/// These kills alone.
fn state_of(kills: &[Kill]) -> KillState {
    let mut state = KillState::default();
    kills.iter().cloned().for_each(|kill| state.apply(kill));
    state
}

fn withdrawn(code: &'static str, reason: &str) -> Withdrawn {
    Withdrawn { code: code.into(), reason: reason.to_owned() }
}

/// The refusal of a call that a kill or the like covers by now.
fn forbidden(why: &Withdrawn) -> ServiceError {
    let code = match &why.code {
        Cow::Borrowed(code) => code,
        Cow::Owned(_) => ReasonCode::Killed.as_str(),
    };
    refused(code, &why.reason)
}

fn refused(code: &'static str, reason: &str) -> ServiceError {
    ServiceError::conflict(code, format!("the call may not be made: {reason}"))
}
