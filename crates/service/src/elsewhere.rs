//! Calls that others make with a permit of this control plane: `sentinel mcp wrap`, and adapters in
//! the processes of agents. A call begins when its permit is redeemed, and is over when its outcome
//! is signed. What is not signed counts as over after a while: nothing else would say so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::control::ControlState;
use sentinel_core::id::{DecisionId, ToolId};
use sentinel_core::kill::Kill;
use sentinel_core::name::AgentName;

use crate::coverage::Coverage;

/// Time after which a call counts as over: the longest that a wrap lets one take, and some more.
const LONGEST: Duration = Duration::from_secs(360);
/// Calls that are remembered at one time.
const MAX_CALLS: usize = 65_536;

/// The calls elsewhere, as far as this replica knows.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    calls: HashMap<DecisionId, Begun>,
    /// In the order in which they began.
    order: VecDeque<(Duration, DecisionId)>,
    /// Until when calls may be under way that are not remembered.
    unknown_until: Option<Duration>,
}

#[derive(Debug)]
struct Begun {
    tool: ToolId,
    agent: Option<AgentName>,
    principal: String,
}

impl Elsewhere {
    /// A call of the decision begins at `uptime`, or goes on.
    pub(crate) fn begin(&self, record: &DecisionRecord, uptime: Duration) {
        let Some(tool) = record.tool_id else { return };
        let mut table = self.table();
        table.forget(uptime);
        if table.calls.contains_key(&record.id) {
            return;
        }
        if table.order.len() >= MAX_CALLS {
            table.unknown_until = Some(uptime.saturating_add(LONGEST));
            return;
        }
        let (agent, principal) = (record.agent.clone(), record.principal.clone());
        table.calls.insert(record.id, Begun { tool, agent, principal });
        table.order.push_back((uptime, record.id));
    }

    /// The outcome of a call was signed.
    pub(crate) fn end(&self, decision: DecisionId) {
        let mut table = self.table();
        table.calls.remove(&decision);
        // What ends in order leaves nothing behind.
        while let Some((_, first)) = table.order.front()
            && !table.calls.contains_key(first)
        {
            table.order.pop_front();
        }
    }

    /// How many of them `kill` covers; `None` when too many were begun to remember each.
    pub(crate) fn covered_by(
        &self,
        kill: &Kill,
        control: &ControlState,
        (now, uptime): (Timestamp, Duration),
    ) -> Option<u64> {
        let mut coverage = Coverage::of(kill, control, now);
        let mut table = self.table();
        table.forget(uptime);
        if table.unknown_until.is_some() {
            return None;
        }
        let covered = table.calls.values().filter(|call| {
            let tool = control.tool_by_id(call.tool);
            tool.is_some_and(|tool| coverage.covers(tool, call.agent.as_ref(), &call.principal))
        });
        u64::try_from(covered.count()).ok()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn forget(&mut self, uptime: Duration) {
        let is_over = |since: Duration| uptime.saturating_sub(since) >= LONGEST;
        while let Some((since, decision)) = self.order.front().copied()
            && (is_over(since) || !self.calls.contains_key(&decision))
        {
            self.order.pop_front();
            self.calls.remove(&decision);
        }
        if self.unknown_until.is_some_and(|until| uptime >= until) {
            self.unknown_until = None;
        }
    }
}
