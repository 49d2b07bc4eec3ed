//! How many permits are out: those that this replica has issued, that are neither expired nor, as
//! far as this replica knows, redeemed. Counted by what a kill may ask for, in one bucket for each
//! second of a permit's life, so that forgetting costs nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::control::ControlState;
use sentinel_core::id::ToolId;
use sentinel_core::kill::Kill;
use sentinel_core::name::AgentName;
use sentinel_core::permit::LIFETIME;

use crate::coverage::Coverage;

type Map<K, V> = HashMap<K, V, RandomState>;

/// Kinds of permits that are counted for a second.
const KINDS: usize = 256;

/// The permits of one replica.
#[derive(Debug, Default)]
pub(crate) struct Outstanding(Mutex<VecDeque<Second>>);

#[derive(Debug, Default)]
struct Second {
    /// Since 1970.
    at: i64,
    count: usize,
    overflown: bool,
    permits: Map<ToolId, Map<Option<AgentName>, Map<String, u64>>>,
}

impl Outstanding {
    /// Counts the permits of allows that were committed.
    pub(crate) fn issued<'a>(&self, records: impl Iterator<Item = &'a DecisionRecord>) {
        let mut allowed = records.filter(|record| record.allow).peekable();
        if allowed.peek().is_none() {
            return;
        }
        let mut seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in allowed {
            let Some(tool) = record.tool_id else { continue };
            let at = record.created_at.as_second();
            let oldest = at.saturating_sub(LIFETIME.as_secs());
            while seconds.front().is_some_and(|second| second.at < oldest) {
                seconds.pop_front();
            }
            // Clocks go back, too: then the last second counts on.
            if seconds.back().is_none_or(|second| second.at < at) {
                seconds.push_back(Second { at, ..Second::default() });
            }
            if let Some(second) = seconds.back_mut() {
                second.add(tool, record.agent.as_ref(), &record.principal);
            }
        }
    }

    /// Counts one less: it was redeemed.
    pub(crate) fn redeemed(&self, record: &DecisionRecord) {
        let Some(tool) = record.tool_id else { return };
        let mut seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = record.created_at.as_second();
        let Some(second) = seconds.iter_mut().find(|second| second.at == at) else { return };
        let of_tool = second.permits.get_mut(&tool);
        let of_agent = of_tool.and_then(|of_tool| of_tool.get_mut(&record.agent));
        if let Some(count) = of_agent.and_then(|of_agent| of_agent.get_mut(&record.principal)) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many of them `kill` covers; `None` when there were too many kinds to count each.
    pub(crate) fn covered_by(
        &self,
        kill: &Kill,
        control: &ControlState,
        now: Timestamp,
    ) -> Option<u64> {
        let mut coverage = Coverage::of(kill, control, now);
        let oldest = now.as_second().saturating_sub(LIFETIME.as_secs());
        let seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut sum, mut seen) = (0_u64, HashMap::new());
        for second in seconds.iter().filter(|second| second.at > oldest) {
            if second.overflown {
                return None;
            }
            for (tool, agent, principal, count) in second.kinds() {
                let Some(tool) = control.tool_by_id(tool) else { continue };
                let covered = seen
                    .entry((tool.id, agent, principal))
                    .or_insert_with(|| coverage.covers(tool, agent, principal));
                sum = sum.saturating_add(if *covered { count } else { 0 });
            }
        }
        Some(sum)
    }
}

impl Second {
    fn kinds(&self) -> impl Iterator<Item = (ToolId, Option<&AgentName>, &str, u64)> {
        self.permits.iter().flat_map(|(tool, agents)| {
            agents.iter().flat_map(move |(agent, principals)| {
                principals.iter().map(move |(principal, count)| {
                    (*tool, agent.as_ref(), principal.as_str(), *count)
                })
            })
        })
    }

    fn add(&mut self, tool: ToolId, agent: Option<&AgentName>, principal: &str) {
        let of_tool = self.permits.entry(tool).or_default();
        // Looked up first by what is there, which nearly always is: no name is copied then.
        let agent = agent.cloned();
        if let Some(count) = of_tool.get_mut(&agent).and_then(|each| each.get_mut(principal)) {
            *count = count.saturating_add(1);
            return;
        }
        if self.count >= KINDS {
            self.overflown = true;
            return;
        }
        self.count += 1;
        of_tool.entry(agent).or_default().insert(principal.to_owned(), 1);
    }
}
