//! What one kill covers of what a replica remembers of calls, by the names that are recorded.

use std::collections::HashMap;

use jiff::Timestamp;
use sentinel_core::control::ControlState;
use sentinel_core::kill::{Call, Caller, Kill, KillState};
use sentinel_core::name::AgentName;
use sentinel_core::principal::Principal;
use sentinel_core::tool::Tool;

/// One kill, as if it were in force.
#[derive(Debug)]
pub(crate) struct Coverage<'a> {
    only: KillState,
    control: &'a ControlState,
    now: Timestamp,
    /// By the identifier that is recorded, looked up once.
    principals: HashMap<String, Option<Principal>>,
}

impl<'a> Coverage<'a> {
    pub(crate) fn of(kill: &Kill, control: &'a ControlState, now: Timestamp) -> Self {
        let mut only = KillState::default();
        // A kill that is still to come is counted as if it were in force.
        only.apply(Kill { starts_at: None, ..kill.clone() });
        Self { only, control, now, principals: HashMap::new() }
    }

    /// Whether it covers a call of `tool` by the recorded `principal`.
    pub(crate) fn covers(
        &mut self,
        tool: &Tool,
        agent: Option<&AgentName>,
        principal: &str,
    ) -> bool {
        let (only, control) = (&self.only, self.control);
        let find = || only.asks_for_principals().then(|| control.principal(principal)).flatten();
        let known = self.principals.entry(principal.to_owned()).or_insert_with(find);
        let recorded = Caller::Recorded(principal);
        let caller = known.as_ref().map_or(recorded, Caller::Principal);
        let (tenant_id, tool) = (Some(tool.tenant_id), Some(tool));
        only.covering(&Call { tenant_id, tool, agent, caller, at: self.now }).is_some()
    }
}
