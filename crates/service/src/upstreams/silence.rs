//! Agents that are shown no tool, since policy hides all of them: an event says so, for whoever
//! wonders why an agent does nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::event::{Event, ShownNothing};
use sentinel_core::id::TenantId;
use sentinel_core::name::{AgentName, TenantSlug, UpstreamName};
use sentinel_core::principal::Principal;

use super::{ToolStanding, Upstreams, Viewer};

/// Time in which it is said of one agent once: clients list again and again.
const PERIOD: Duration = Duration::from_secs(60);
/// Agents of which it is remembered. Of further ones it is not said until some are forgotten.
const REMEMBERED: usize = 10_000;

/// Of whom it was said, and when.
#[derive(Debug, Default)]
pub(crate) struct Silences(Mutex<HashMap<Whom, Duration>>);

type Whom = (TenantId, String, Option<String>, Option<UpstreamName>);

impl Silences {
    /// Whether it is to be said at `uptime`.
    fn take(&self, whom: Whom, uptime: Duration) -> bool {
        let is_recent = |said: Duration| uptime.saturating_sub(said) < PERIOD;
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.get(&whom).copied().is_some_and(is_recent) {
            return false;
        }
        if said.len() >= REMEMBERED {
            said.retain(|_, at| is_recent(*at));
        }
        let room = said.len() < REMEMBERED;
        if room {
            said.insert(whom, uptime);
        }
        room
    }
}

impl Upstreams {
    /// Publishes that policy hides all `hidden` tools from an agent: those of `upstream`, or all of
    /// the tenant's. Not more often than once a minute for each.
    pub fn shown_nothing(
        &self,
        principal: &Principal,
        agent: Option<&AgentName>,
        tenant: &TenantSlug,
        upstream: Option<&UpstreamName>,
        hidden: usize,
    ) {
        let control = self.control.current();
        let Some(tenant) = control.tenant(tenant) else { return };
        let agent = agent.or(principal.agent()).cloned();
        let folded = agent.as_ref().map(|agent| agent.as_str().to_ascii_lowercase());
        let whom = (tenant.id, principal.id(), folded, upstream.cloned());
        if !self.silences.take(whom, self.clock.uptime()) {
            return;
        }
        self.bus.publish(vec![Event::ShownNothing(Arc::new(ShownNothing {
            tenant_id: tenant.id,
            tenant: tenant.slug.clone(),
            upstream: upstream.cloned(),
            agent,
            principal: principal.id(),
            hidden: u64::try_from(hidden).unwrap_or(u64::MAX),
            at: self.clock.now(),
        }))]);
    }

    /// The same for a wrapped server, whose only client is the viewer. `tools` are those that were
    /// listed, without the doors.
    pub(super) fn look_for_silence(
        &self,
        viewer: &Viewer,
        tenant: &TenantSlug,
        upstream: &UpstreamName,
        tools: &[ToolStanding],
    ) {
        let callable = || tools.iter().filter(|tool| tool.quarantined.is_none());
        let hidden = callable().count();
        if hidden > 0 && !callable().any(|tool| tool.visible) {
            let agent = viewer.agent.as_ref();
            self.shown_nothing(&viewer.principal, agent, tenant, Some(upstream), hidden);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_in_a_while_of_each() {
        let silences = Silences::default();
        let whom = |name: &str| (TenantId(uuid::Uuid::nil()), name.to_owned(), None, None);
        let at = Duration::from_secs(100);
        assert!(silences.take(whom("a"), at));
        assert!(!silences.take(whom("a"), at + PERIOD / 2));
        assert!(silences.take(whom("b"), at));
        assert!(silences.take(whom("a"), at + PERIOD));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let silences = Silences::default();
        let whom = |number: usize| (TenantId(uuid::Uuid::nil()), number.to_string(), None, None);
        let at = Duration::from_secs(1);
        (0..REMEMBERED).for_each(|number| assert!(silences.take(whom(number), at)));
        assert!(!silences.take(whom(REMEMBERED), at));
        assert!(silences.take(whom(REMEMBERED), at + PERIOD));
    }
}
