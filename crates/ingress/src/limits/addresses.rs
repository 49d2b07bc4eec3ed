//! How fast an address may ask without showing a key that is one. A caller that shows
//! one is never held up by its neighbours: behind a proxy that is not declared, all clients have
//! one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sentinel_core::rate::{RateLimit, RateState};

/// Addresses that are counted at a time, a few megabytes; further ones are counted as one.
const ADDRESSES: usize = 65_536;
/// Microseconds between two looks for addresses that are idle.
const LOOK: u64 = 1_000_000;
/// How many of a second's requests may come at once, in seconds.
const BURST: u64 = 20;

#[derive(Debug)]
pub(super) struct Addresses {
    /// `None` counts nothing.
    limit: Option<RateLimit>,
    started: Instant,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    states: HashMap<Option<IpAddr>, RateState>,
    /// When it was last looked for addresses that are idle, in microseconds since the start.
    looked: Option<u64>,
}

impl Counted {
    /// Whether there is a place for another address. Looking for those that are idle costs as much
    /// as all of them together, so it is not done for every request: who has many addresses would
    /// make each of them dear.
    fn has_room(&mut self, now: u64) -> bool {
        if self.states.len() < ADDRESSES {
            return true;
        }
        if self.looked.is_some_and(|looked| now < looked.saturating_add(LOOK)) {
            return false;
        }
        self.looked = Some(now);
        self.states.retain(|_, state| state.at(now).debt > 0);
        self.states.len() < ADDRESSES
    }
}

impl Addresses {
    /// So many requests a second; 0 counts nothing.
    pub(super) fn new(per_second: u32) -> Self {
        let rate = u64::from(per_second);
        let limit = RateLimit::new(rate, Duration::from_secs(1), Some(rate * BURST)).ok();
        Self { limit, started: Instant::now(), counted: Mutex::default() }
    }

    /// Takes one request of `address`; `false` when it has none left.
    pub(super) fn take(&self, address: IpAddr) -> bool {
        let micros = self.started.elapsed().as_micros();
        self.take_at(address, u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn take_at(&self, address: IpAddr, now: u64) -> bool {
        let Some(limit) = &self.limit else { return true };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.states.contains_key(&Some(address));
        let subject = (known || counted.has_room(now)).then_some(address);
        let state = counted.states.entry(subject).or_default();
        match state.take(limit, now) {
            Ok(next) => {
                *state = next;
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(index: u32) -> IpAddr {
        IpAddr::from(index.to_be_bytes())
    }

    #[test]
    fn each_address_has_its_own_rate() {
        let addresses = Addresses::new(10);
        let taken = (0..1000).filter(|_| addresses.take_at(address(1), 0)).count();
        assert_eq!(taken, 200);
        assert!(addresses.take_at(address(2), 0));
        let taken = (0..1000).filter(|_| addresses.take_at(address(1), 1_000_000)).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn no_more_addresses_are_kept_than_fit_and_what_is_idle_goes_first() {
        let addresses = Addresses::new(10);
        let most = u32::try_from(ADDRESSES).unwrap();
        for index in 0..2 * most {
            addresses.take_at(address(index), 0);
        }
        assert!(addresses.counted.lock().unwrap().states.len() <= ADDRESSES + 1);
        assert!(!addresses.take_at(address(3 * most), 0), "those beyond share one rate");
        assert!(addresses.take_at(address(3 * most), 60_000_000));
        assert!(addresses.counted.lock().unwrap().states.len() < 10);
    }

    #[test]
    fn zero_counts_nothing() {
        let addresses = Addresses::new(0);
        assert!((0..10_000).all(|_| addresses.take_at(address(1), 0)));
    }
}
