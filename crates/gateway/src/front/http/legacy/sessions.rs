//! The sessions that this replica holds. A session that it does not hold is revived from its id; one
//! that was terminated here is not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::session::Session;
use crate::front::http::places::Most;

/// A session that was not used for so long is given up; its id stays valid.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Terminated sessions that are remembered one by one.
const MAX_TERMINATED: usize = 100_000;

#[derive(Debug)]
pub(in crate::front::http) struct Sessions {
    most: Most,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    sessions: HashMap<Uuid, Entry>,
    principals: HashMap<Arc<str>, usize>,
    terminated: Terminated,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    principal: Arc<str>,
}

/// Sessions that must not be revived. Ids are in the order of time: when the oldest is forgotten, no
/// session that began as early is revived any more.
#[derive(Debug, Default)]
struct Terminated {
    ids: BTreeMap<Uuid, ()>,
    /// Every session up to this one counts as terminated.
    up_to: Option<Uuid>,
}

impl Terminated {
    fn add(&mut self, id: Uuid) {
        self.ids.insert(id, ());
        while self.ids.len() > MAX_TERMINATED {
            let Some((oldest, ())) = self.ids.pop_first() else { return };
            self.up_to = self.up_to.max(Some(oldest));
        }
    }

    fn contains(&self, id: Uuid) -> bool {
        self.up_to.is_some_and(|up_to| id <= up_to) || self.ids.contains_key(&id)
    }
}

impl Sessions {
    pub(in crate::front::http) fn new(most: Most) -> Self {
        Self { most, held: Mutex::default() }
    }

    /// Holds a session of `principal`, in place of idle ones if need be. When another request has
    /// revived it meanwhile, that one is returned. `None` when it was terminated, or all places are
    /// taken by sessions in which something is under way.
    pub(super) fn hold(&self, principal: &str, session: &Arc<Session>) -> Option<Arc<Session>> {
        let mut held = self.lock();
        if held.terminated.contains(session.id) {
            return None;
        }
        if let Some(known) = held.sessions.get(&session.id) {
            return Some(Arc::clone(&known.session));
        }
        held.make_room(principal, self.most)?;
        let principal: Arc<str> = Arc::from(principal);
        *held.principals.entry(Arc::clone(&principal)).or_default() += 1;
        let entry = Entry { session: Arc::clone(session), principal };
        held.sessions.insert(session.id, entry);
        Some(Arc::clone(session))
    }

    pub(super) fn find(&self, id: Uuid) -> Option<Arc<Session>> {
        let held = self.lock();
        let session = &held.sessions.get(&id)?.session;
        session.touch();
        Some(Arc::clone(session))
    }

    pub(super) fn is_terminated(&self, id: Uuid) -> bool {
        self.lock().terminated.contains(id)
    }

    /// Ends a session for good.
    pub(super) fn terminate(&self, id: Uuid) {
        let mut held = self.lock();
        held.terminated.add(id);
        let session = held.remove(id);
        drop(held);
        if let Some(session) = session {
            session.end();
        }
    }

    /// Every session that is held.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().sessions.values().map(|entry| Arc::clone(&entry.session)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Gives up idle sessions until there is room for one more of `principal`.
    fn make_room(&mut self, principal: &str, most: Most) -> Option<()> {
        let now = Instant::now();
        if self.sessions.len() >= most.all {
            let idle = |session: &Session| now.duration_since(session.used()) >= IDLE;
            let idle = |entry: &&Entry| idle(&entry.session) && !entry.session.is_busy();
            let idle = self.sessions.values().filter(idle).map(|entry| entry.session.id);
            for id in idle.collect::<Vec<_>>() {
                if let Some(session) = self.remove(id) {
                    session.end();
                }
            }
        }
        if self.sessions.len() >= most.all {
            self.give_up_one(None)?;
        }
        if self.principals.get(principal).is_some_and(|own| *own >= most.of_principal) {
            self.give_up_one(Some(principal))?;
        }
        Some(())
    }

    /// Gives up the session that was not used the longest, of `principal` or of all.
    fn give_up_one(&mut self, principal: Option<&str>) -> Option<()> {
        let of = |entry: &&Entry| principal.is_none_or(|own| *entry.principal == *own);
        let idle = self.sessions.values().filter(of).filter(|entry| !entry.session.is_busy());
        let oldest = idle.min_by_key(|entry| entry.session.used())?.session.id;
        // Its streams end; the client comes back with the id.
        self.remove(oldest)?.end();
        Some(())
    }

    fn remove(&mut self, id: Uuid) -> Option<Arc<Session>> {
        let Entry { session, principal } = self.sessions.remove(&id)?;
        if let Some(own) = self.principals.get_mut(&principal) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.principals.remove(&principal);
            }
        }
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminated_session_stays_terminated_when_it_is_forgotten() {
        let mut terminated = Terminated::default();
        for number in 0..=MAX_TERMINATED {
            terminated.add(Uuid::from_u128(2 * u128::try_from(number).unwrap()));
        }
        assert_eq!(terminated.ids.len(), MAX_TERMINATED);
        for number in 0..=MAX_TERMINATED {
            assert!(terminated.contains(Uuid::from_u128(2 * u128::try_from(number).unwrap())));
        }
        assert!(!terminated.contains(Uuid::from_u128(3)));
    }
}
