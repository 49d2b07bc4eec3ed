//! Places for what is under way: so many for all clients together, and so many for one principal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    pub all: usize,
    pub of_principal: usize,
}

#[derive(Debug)]
pub(super) struct Places {
    most: Most,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    principals: HashMap<Arc<str>, usize>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    principal: Arc<str>,
}

impl Places {
    pub(super) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// A place for `principal`; `None` when all that it may have are taken.
    pub(super) fn take(self: &Arc<Self>, principal: &str) -> Option<Place> {
        let mut held = self.lock();
        let own = held.principals.get(principal).copied().unwrap_or(0);
        if held.all >= self.most.all || own >= self.most.of_principal {
            return None;
        }
        let principal: Arc<str> = match held.principals.get_key_value(principal) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(principal),
        };
        held.all += 1;
        *held.principals.entry(Arc::clone(&principal)).or_default() += 1;
        drop(held);
        Some(Place { places: Arc::clone(self), principal })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        held.all = held.all.saturating_sub(1);
        if let Some(own) = held.principals.get_mut(&self.principal) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                held.principals.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_principal_takes_the_places_of_others_and_all_are_given_back() {
        let places = Places::new(Most { all: 3, of_principal: 2 });
        let own = [places.take("a").unwrap(), places.take("a").unwrap()];
        assert!(places.take("a").is_none());
        let other = places.take("b").unwrap();
        assert!(places.take("c").is_none(), "all are taken");
        assert_eq!(places.lock().all, 3);
        drop((own, other));
        assert_eq!(places.lock().all, 0);
        assert!(places.lock().principals.is_empty());
    }
}
