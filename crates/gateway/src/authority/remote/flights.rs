//! The calls that are under way, and which of them a kill covers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinel_api::ResumeRequest;
use sentinel_core::name::{AgentName, TenantSlug};

use crate::authority::{Withdrawal, Withdrawn};

/// The calls of one agent of a tenant.
#[derive(Debug)]
pub(super) struct Flights {
    tenant: TenantSlug,
    agent: Option<AgentName>,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// The latest epoch that was heard of.
    epoch: u64,
    calls: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    call: Arc<ResumeRequest>,
    withdrawal: Withdrawal,
    /// What was heard of when the call was opened. Its permit is redeemed later than that, so an
    /// older kill does not cover it.
    epoch: u64,
}

/// One call. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Flight {
    number: u64,
    withdrawal: Withdrawal,
    table: Arc<Mutex<Table>>,
}

/// A kill, as far as it can be compared with a call from here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Killed<'a> {
    pub(super) tenant: Option<&'a str>,
    pub(super) tool: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) epoch: u64,
    pub(super) scope: &'a str,
    pub(super) reason: &'a str,
}

/// A call that a kill may cover.
#[derive(Debug)]
pub(super) struct Doubtful {
    pub(super) call: Arc<ResumeRequest>,
    pub(super) withdrawal: Withdrawal,
    /// What ends it if it is covered.
    pub(super) why: Withdrawn,
}

impl Killed<'_> {
    /// Whether it can be told from here what it covers. A kind of kill that is not known is not.
    fn is_certain(&self, knows_agent: bool) -> bool {
        match self.scope {
            "global" | "tenant" | "tool" => true,
            "agent" | "tenant_agent" => knows_agent && self.agent.is_some(),
            _ => false,
        }
    }
}

impl Flights {
    pub(super) fn new(tenant: TenantSlug, agent: Option<AgentName>) -> Self {
        Self { tenant, agent, table: Arc::default() }
    }

    pub(super) fn open(&self, call: Arc<ResumeRequest>) -> Flight {
        let (table, withdrawal) = (Arc::clone(&self.table), Withdrawal::default());
        let mut open = lock(&table);
        let number = open.next;
        open.next = open.next.wrapping_add(1);
        let entry = Entry { call, withdrawal: withdrawal.clone(), epoch: open.epoch };
        open.calls.insert(number, entry);
        drop(open);
        Flight { number, withdrawal, table }
    }

    /// Takes note of the epoch that everything heard so far belongs to.
    pub(super) fn heard(&self, epoch: u64) {
        let mut table = lock(&self.table);
        table.epoch = table.epoch.max(epoch);
    }

    /// Ends the calls that a kill covers, and returns those that it may cover: who calls is known to
    /// the control plane alone, and so are the scopes and tags of tools.
    #[must_use]
    pub(super) fn cut(&self, kill: Killed<'_>) -> Vec<Doubtful> {
        let same = |other: &str, own: &str| other.eq_ignore_ascii_case(own);
        if kill.tenant.is_some_and(|tenant| tenant != self.tenant.as_str()) {
            return Vec::new();
        }
        if let (Some(killed), Some(own)) = (kill.agent, &self.agent)
            && !same(killed, own.as_str())
        {
            return Vec::new();
        }
        let is_certain = kill.is_certain(self.agent.is_some());
        let why = Withdrawn {
            code: "killed".into(),
            reason: format!("killed ({}): {}", kill.scope, kill.reason),
        };
        let covers = |entry: &&Entry| {
            let of_tool = kill.tool.is_none_or(|killed| killed == entry.call.tool_name.as_str());
            entry.epoch < kill.epoch && of_tool
        };
        let table = lock(&self.table);
        let mut doubtful = Vec::new();
        for Entry { call, withdrawal, .. } in table.calls.values().filter(covers) {
            let (call, withdrawal) = (Arc::clone(call), withdrawal.clone());
            if is_certain {
                withdrawal.withdraw(why.clone());
            } else {
                doubtful.push(Doubtful { call, withdrawal, why: why.clone() });
            }
        }
        doubtful
    }
}

impl Flight {
    pub(super) fn withdrawal(&self) -> Withdrawal {
        self.withdrawal.clone()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.table).calls.remove(&self.number);
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sentinel_core::id::DecisionId;

    use super::*;

    const KILL: Killed<'static> = Killed {
        tenant: None,
        tool: None,
        agent: None,
        epoch: 7,
        scope: "global",
        reason: "drill",
    };

    fn call(tool: &str) -> Arc<ResumeRequest> {
        Arc::new(ResumeRequest {
            decision_id: DecisionId(uuid::Uuid::nil()),
            tool_name: tool.parse().unwrap(),
            action: "call".parse().unwrap(),
            round: None,
            arguments: None,
        })
    }

    #[derive(Debug, PartialEq)]
    enum Fate {
        Cut,
        Doubtful,
        Left,
    }

    fn fate(agent: Option<&str>, kill: Killed<'_>) -> Fate {
        let agent = agent.map(|agent| agent.parse().unwrap());
        let flights = Flights::new("acme".parse().unwrap(), agent);
        let flight = flights.open(call("files__read"));
        let doubtful = flights.cut(kill);
        match (flight.withdrawal().get(), doubtful.len()) {
            (Some(_), 0) => Fate::Cut,
            (None, 1) => Fate::Doubtful,
            (None, 0) => Fate::Left,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_kill_ends_what_it_covers() {
        let bot = Some("Bot");
        for kill in [
            KILL,
            Killed { tenant: Some("acme"), scope: "tenant", ..KILL },
            Killed { tenant: Some("acme"), tool: Some("files__read"), scope: "tool", ..KILL },
        ] {
            assert_eq!(fate(bot, kill), Fate::Cut, "{kill:?}");
            assert_eq!(fate(None, kill), Fate::Cut, "{kill:?}");
        }
        let of_agent = Killed { agent: Some("bot"), scope: "agent", ..KILL };
        assert_eq!(fate(bot, of_agent), Fate::Cut);
        for kill in [
            Killed { tenant: Some("other"), scope: "tenant", ..KILL },
            Killed { tenant: Some("other"), scope: "tenant_tool_tag", ..KILL },
            Killed { tenant: Some("acme"), tool: Some("files__write"), scope: "tool", ..KILL },
            Killed { agent: Some("robot"), scope: "agent", ..KILL },
        ] {
            assert_eq!(fate(bot, kill), Fate::Left, "{kill:?}");
        }
    }

    #[test]
    fn what_a_kill_covers_is_asked_where_it_cannot_be_told() {
        for scope in ["tool_tag", "tool_scope", "principal", "tenant_principal", "something new"] {
            assert_eq!(fate(Some("Bot"), Killed { scope, ..KILL }), Fate::Doubtful, "{scope}");
        }
        // The key may be bound to that agent.
        let of_agent = Killed { agent: Some("bot"), scope: "agent", ..KILL };
        assert_eq!(fate(None, of_agent), Fate::Doubtful);
    }

    #[test]
    fn a_kill_from_before_the_call_does_not_end_it() {
        let flights = Flights::new("acme".parse().unwrap(), None);
        flights.heard(7);
        flights.heard(3);
        let flight = flights.open(call("files__read"));
        assert!(flights.cut(KILL).is_empty() && flight.withdrawal().get().is_none());
        assert!(flights.cut(Killed { epoch: 8, ..KILL }).is_empty());
        assert!(flight.withdrawal().get().is_some());
    }

    #[test]
    fn a_call_that_is_over_is_forgotten() {
        let flights = Flights::new("acme".parse().unwrap(), None);
        drop(flights.open(call("files__read")));
        assert!(lock(&flights.table).calls.is_empty());
    }
}
