//! The calls that are under way, and which of them a kill covers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    tool: String,
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

impl Flights {
    pub(super) fn new(tenant: TenantSlug, agent: Option<AgentName>) -> Self {
        Self { tenant, agent, table: Arc::default() }
    }

    pub(super) fn open(&self, tool: String) -> Flight {
        let (table, withdrawal) = (Arc::clone(&self.table), Withdrawal::default());
        let mut open = lock(&table);
        let number = open.next;
        open.next = open.next.wrapping_add(1);
        let entry = Entry { tool, withdrawal: withdrawal.clone(), epoch: open.epoch };
        open.calls.insert(number, entry);
        drop(open);
        Flight { number, withdrawal, table }
    }

    /// Takes note of the epoch that everything heard so far belongs to.
    pub(super) fn heard(&self, epoch: u64) {
        let mut table = lock(&self.table);
        table.epoch = table.epoch.max(epoch);
    }

    /// Ends the calls that a kill covers, or may cover: who calls is known to the control plane
    /// alone, and so are the scopes and tags of tools.
    pub(super) fn cut(&self, kill: Killed<'_>) {
        let same = |other: &str, own: &str| other.eq_ignore_ascii_case(own);
        if kill.tenant.is_some_and(|tenant| tenant != self.tenant.as_str()) {
            return;
        }
        if let (Some(killed), Some(own)) = (kill.agent, &self.agent)
            && !same(killed, own.as_str())
        {
            return;
        }
        let table = lock(&self.table);
        for call in table.calls.values().filter(|call| call.epoch < kill.epoch) {
            if kill.tool.is_none_or(|killed| killed == call.tool) {
                call.withdrawal.withdraw(Withdrawn {
                    code: "killed".into(),
                    reason: format!("killed ({}): {}", kill.scope, kill.reason),
                });
            }
        }
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
    use super::*;

    const KILL: Killed<'static> = Killed {
        tenant: None,
        tool: None,
        agent: None,
        epoch: 7,
        scope: "global",
        reason: "drill",
    };

    fn is_cut(agent: Option<&str>, kill: Killed<'_>) -> bool {
        let agent = agent.map(|agent| agent.parse().unwrap());
        let flights = Flights::new("acme".parse().unwrap(), agent);
        let flight = flights.open("files__read".to_owned());
        flights.cut(kill);
        flight.withdrawal().get().is_some()
    }

    #[test]
    fn a_kill_ends_what_it_covers_or_may_cover() {
        let bot = Some("Bot");
        for kill in [
            KILL,
            Killed { tenant: Some("acme"), ..KILL },
            Killed { tenant: Some("acme"), tool: Some("files__read"), ..KILL },
            Killed { agent: Some("bot"), ..KILL },
            Killed { scope: "tool_tag", ..KILL },
        ] {
            assert!(is_cut(bot, kill), "{kill:?}");
            assert!(is_cut(None, kill), "{kill:?}");
        }
        for kill in [
            Killed { tenant: Some("other"), ..KILL },
            Killed { tenant: Some("acme"), tool: Some("files__write"), ..KILL },
            Killed { agent: Some("robot"), ..KILL },
        ] {
            assert!(!is_cut(bot, kill), "{kill:?}");
        }
    }

    #[test]
    fn a_kill_from_before_the_call_does_not_end_it() {
        let flights = Flights::new("acme".parse().unwrap(), None);
        flights.heard(7);
        flights.heard(3);
        let flight = flights.open("files__read".to_owned());
        flights.cut(KILL);
        assert!(flight.withdrawal().get().is_none());
        flights.cut(Killed { epoch: 8, ..KILL });
        assert!(flight.withdrawal().get().is_some());
    }

    #[test]
    fn a_call_that_is_over_is_forgotten() {
        let flights = Flights::new("acme".parse().unwrap(), None);
        drop(flights.open("files__read".to_owned()));
        assert!(lock(&flights.table).calls.is_empty());
    }
}
