//! Events of kills, made from the control state. Whatever brings a newer state here, a message, a
//! commit or the poll, brings its kills to this replica's subscribers: no event has to arrive from
//! the replica that killed, so none can be lost on its way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinel_core::clock::Clock;
use sentinel_core::control::ControlState;
use sentinel_core::event::{Bus, Event, KillEvent};
use sentinel_core::id::KillId;
use sentinel_core::kill::{Kill, KillChange, KillScope};

use crate::bus::InProcessBus;
use crate::kill::KillView;

/// Announces kills.
#[derive(Debug)]
pub(crate) struct Announcer {
    /// Takes what happened here: to the subscribers, and as a hint to the other replicas.
    own: Arc<dyn Bus>,
    /// The subscribers.
    local: Arc<InProcessBus>,
    clock: Arc<dyn Clock>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    state: Arc<ControlState>,
    /// What this replica is doing, so that it alone logs it and tells the others.
    mine: HashMap<Mine, usize>,
}

/// A change of kills that this replica makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Mine {
    Begins(KillId),
    Ends(KillId),
    /// The kills of a scope, folded.
    EndsScope(KillScope),
}

impl Announcer {
    pub(crate) fn new(own: Arc<dyn Bus>, local: Arc<InProcessBus>, clock: Arc<dyn Clock>) -> Self {
        Self { own, local, clock, told: Mutex::default() }
    }

    /// Says that this replica is about to make a change.
    pub(crate) fn expect(&self, mine: Mine) {
        *self.lock().mine.entry(mine).or_default() += 1;
    }

    /// Says that it did not make the change after all, or that somebody else did.
    pub(crate) fn forget(&self, mine: &Mine) {
        self.lock().take(mine);
    }

    /// Takes `state` for known: nothing in it is news.
    pub(crate) fn begin(&self, state: Arc<ControlState>) {
        self.lock().state = state;
    }

    /// Announces what happened up to the state that `newest` returns, unless it was announced
    /// already. `newest` is called under the lock, so that events come in the order of states.
    pub(crate) fn tell(&self, newest: impl Fn() -> Arc<ControlState>) {
        let mut told = self.lock();
        let state = newest();
        let changes = state.kills().changes_since(told.state.kills());
        let (mut own, mut foreign) = (Vec::new(), Vec::new());
        for change in changes {
            let mine = told.takes(&change);
            let event = self.event(&state, change);
            if mine { own.push(event) } else { foreign.push(event) }
        }
        self.local.add_foreign(foreign);
        if !own.is_empty() {
            self.own.publish(own);
        }
        told.state = state;
    }

    fn event(&self, state: &ControlState, change: KillChange) -> Event {
        match change {
            KillChange::Began(kill) => {
                let (actor, at) = (kill.actor.clone(), kill.begun_at.unwrap_or(kill.created_at));
                let epoch = kill.epoch;
                let KillView { kill, tenant, tool } = KillView::of(state, as_begun(&kill));
                Event::Killed(Arc::new(KillEvent { kill, tenant, tool, epoch, actor, at }))
            }
            KillChange::Ended(kill) => {
                let actor = kill.restored_by.clone().unwrap_or_default();
                let at = kill.restored_at.unwrap_or_else(|| self.clock.now());
                let KillView { kill, tenant, tool } = KillView::of(state, (*kill).clone());
                let epoch = state.epoch();
                Event::Restored(Arc::new(KillEvent { kill, tenant, tool, epoch, actor, at }))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kill as it was when it came into force.
fn as_begun(kill: &Kill) -> Kill {
    Kill { restored_at: None, restored_by: None, ..kill.clone() }
}

impl Told {
    /// Whether this replica made the change; it is not expected any longer then.
    fn takes(&mut self, change: &KillChange) -> bool {
        match change {
            KillChange::Began(kill) => self.take(&Mine::Begins(kill.id)),
            KillChange::Ended(kill) => {
                // One restore ends every kill of its scope, so the scope stays expected.
                let of_scope = Mine::EndsScope(kill.scope.folded());
                self.take(&Mine::Ends(kill.id)) || self.mine.contains_key(&of_scope)
            }
        }
    }

    fn take(&mut self, mine: &Mine) -> bool {
        let Some(count) = self.mine.get_mut(mine) else { return false };
        *count -= 1;
        if *count == 0 {
            self.mine.remove(mine);
        }
        true
    }
}
