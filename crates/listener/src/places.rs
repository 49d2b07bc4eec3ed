//! Places for connections. A connection on which nothing is asked costs its client nothing, so it
//! never keeps another out: when places are short, those go that have been silent the longest, of
//! the address that has the most. When everything is busy there are places left in which only
//! operators and administrators are served.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sentinel_ingress::{Connection, Network};
use tokio::task::AbortHandle;

/// Silence after which a connection may be ended once places run short.
const SILENCE: Duration = Duration::from_secs(5);
/// The part of all places, in quarters, from which on they run short.
const SHORT_QUARTERS: usize = 3;
/// Connections that make room at a time: looking for them costs more than ending them.
const AT_ONCE: usize = 64;
/// Time between two looks for the silent ones, before there is no place at all.
const LOOK: Duration = Duration::from_millis(100);

/// How many places there are.
#[derive(Debug, Clone)]
pub(crate) struct Most {
    pub(crate) connections: usize,
    /// Of one address that is not a proxy's.
    pub(crate) of_address: usize,
    pub(crate) proxies: Arc<[Network]>,
    /// Further ones for operators and administrators.
    pub(crate) reserved: usize,
    /// Whether all of them are.
    pub(crate) operators_only: bool,
}

#[derive(Debug)]
pub(crate) struct Places {
    most: Most,
    started: Instant,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    places: HashMap<u64, Arc<Occupant>>,
    addresses: HashMap<IpAddr, usize>,
    reserved: usize,
    /// When silent connections were last looked for, in milliseconds since the start.
    looked: u64,
}

/// A connection in its place.
#[derive(Debug)]
pub(crate) struct Occupant {
    pub(crate) connection: Arc<Connection>,
    /// Whether its place is one of the reserved.
    in_reserve: bool,
    started: Instant,
    /// Since when nothing was asked, in milliseconds since the start.
    silent_since: AtomicU64,
    /// Requests that are under way.
    busy: AtomicUsize,
    /// Whether the place is needed for another.
    ended: AtomicBool,
    /// The connection's task. To stop it from outside costs its requests nothing, unlike a signal
    /// that the task looks for whenever it runs.
    task: OnceLock<AbortHandle>,
}

impl Occupant {
    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Has `task`, which serves the connection, stopped once the place is needed for another.
    pub(super) fn is_served_by(&self, task: AbortHandle) {
        if self.is_ended() {
            task.abort();
        } else {
            self.task.get_or_init(|| task);
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn end(&self) {
        tracing::debug!(peer = %self.connection.peer(), "a silent connection gave way to another");
        self.ended.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn silent(&self) -> Option<u64> {
        (self.busy.load(Ordering::Relaxed) == 0).then(|| self.silent_since.load(Ordering::Relaxed))
    }
}

/// A request under way, until its response is sent.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Occupant>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.silent_since.store(millis(self.0.started), Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    pub(crate) occupant: Arc<Occupant>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

impl Places {
    pub(crate) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self { most, started: Instant::now(), held: Mutex::default() })
    }

    /// A place for a connection from `peer`; `None` when all are busy.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let now = millis(self.started);
        let is_proxy = self.most.proxies.iter().any(|network| network.contains(peer));
        let of_address = if is_proxy { usize::MAX } else { self.most.of_address };
        let mut held = self.lock();
        let short = self.most.connections * SHORT_QUARTERS / 4;
        let look = u64::try_from(LOOK.as_millis()).unwrap_or(0);
        if held.ordinary() >= short && now >= held.looked + look {
            held.looked = now;
            let silence = u64::try_from(SILENCE.as_millis()).unwrap_or(0);
            held.end(AT_ONCE, |occupant, since| !occupant.in_reserve && since + silence <= now);
        }
        if held.of(peer) >= of_address {
            held.end(1, |occupant, _| occupant.connection.peer() == peer);
        } else if held.ordinary() >= self.most.connections {
            held.end(AT_ONCE, |occupant, _| !occupant.in_reserve);
        }
        let fits = held.of(peer) < of_address && held.ordinary() < self.most.connections;
        let reserved = !fits;
        if reserved && held.reserved >= self.most.reserved {
            held.end(1, |occupant, _| occupant.in_reserve);
            if held.reserved >= self.most.reserved {
                return None;
            }
        }
        Some(self.occupy(&mut held, peer, reserved))
    }

    /// Ends connections on which nothing is asked, for want of something else than places.
    pub(crate) fn make_room(&self) -> usize {
        self.lock().end(AT_ONCE, |_, _| true)
    }

    fn occupy(self: &Arc<Self>, held: &mut Held, peer: IpAddr, reserved: bool) -> Place {
        let connection = Connection::new(peer, reserved || self.most.operators_only);
        let occupant = Arc::new(Occupant {
            connection: Arc::new(connection),
            in_reserve: reserved,
            started: self.started,
            silent_since: AtomicU64::new(millis(self.started)),
            busy: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            task: OnceLock::new(),
        });
        let number = held.next;
        held.next += 1;
        held.places.insert(number, Arc::clone(&occupant));
        *held.addresses.entry(peer).or_default() += 1;
        held.reserved += usize::from(reserved);
        Place { places: Arc::clone(self), number, occupant }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn ordinary(&self) -> usize {
        self.places.len().saturating_sub(self.reserved)
    }

    fn of(&self, peer: IpAddr) -> usize {
        self.addresses.get(&peer).copied().unwrap_or(0)
    }

    /// Ends up to `most` silent connections of those that are `meant`, and returns how many: of
    /// addresses with many connections before others, the longest silent first; those of operators
    /// only when there are no others.
    fn end(&mut self, most: usize, meant: impl Fn(&Occupant, u64) -> bool) -> usize {
        let silent = self.places.iter().filter_map(|(number, occupant)| {
            let since = occupant.silent().filter(|since| meant(occupant, *since))?;
            let connection = &occupant.connection;
            let crowd = usize::MAX - self.of(connection.peer());
            Some((connection.is_privileged(), crowd, since, *number))
        });
        let mut silent: Vec<_> = silent.collect();
        if silent.len() > most {
            silent.select_nth_unstable(most);
            silent.truncate(most);
        }
        for (.., number) in &silent {
            if let Some(occupant) = self.remove(*number) {
                occupant.end();
            }
        }
        silent.len()
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Occupant>> {
        let occupant = self.places.remove(&number)?;
        let peer = occupant.connection.peer();
        self.reserved -= usize::from(occupant.in_reserve);
        if let Some(count) = self.addresses.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&peer);
            }
        }
        Some(occupant)
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most() -> Most {
        let proxies = [].into();
        Most { connections: 100, of_address: 60, proxies, reserved: 4, operators_only: false }
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    fn is_ended(place: &Place) -> bool {
        place.occupant.is_ended()
    }

    #[test]
    fn silent_connections_keep_no_other_out() {
        let places = Places::new(Most { of_address: 100, ..most() });
        let silent: Vec<_> = (0..100).map(|_| places.take(address(1)).unwrap()).collect();
        let other = places.take(address(2)).unwrap();
        assert!(!other.occupant.connection.is_reserved());
        let mut ended = 0;
        for place in &silent {
            ended += usize::from(is_ended(place));
        }
        assert_eq!(ended, AT_ONCE);
        assert!(!is_ended(&other));
        drop(silent);
        assert_eq!(places.lock().places.len(), 1, "what was ended is not given back twice");
        assert_eq!(places.lock().addresses.len(), 1);
    }

    #[test]
    fn the_address_with_the_most_gives_way() {
        let places = Places::new(Most { connections: 40, ..most() });
        let few: Vec<_> = (0..10).map(|_| places.take(address(1)).unwrap()).collect();
        let many: Vec<_> = (0..30).map(|_| places.take(address(2)).unwrap()).collect();
        drop(places.take(address(3)).unwrap());
        let (mut of_few, mut of_many) = (0, 0);
        for place in &few {
            of_few += usize::from(is_ended(place));
        }
        for place in &many {
            of_many += usize::from(is_ended(place));
        }
        // There are fewer than go at once.
        assert_eq!((of_few, of_many), (10, 30));
        let places = Places::new(Most { connections: 140, of_address: 140, ..most() });
        let few: Vec<_> = (0..10).map(|_| places.take(address(1)).unwrap()).collect();
        let _many: Vec<_> = (0..130).map(|_| places.take(address(2)).unwrap()).collect();
        drop(places.take(address(3)).unwrap());
        for place in &few {
            assert!(!is_ended(place));
        }
    }

    #[test]
    fn when_all_are_busy_there_are_places_for_operators_left() {
        let places = Places::new(Most { of_address: 100, ..most() });
        let busy: Vec<_> = (0..100).map(|_| places.take(address(1)).unwrap()).collect();
        let requests: Vec<_> = busy.iter().map(|place| place.occupant.begin()).collect();
        let reserved: Vec<_> = (0..4).map(|_| places.take(address(2)).unwrap()).collect();
        assert!(reserved.iter().all(|place| place.occupant.connection.is_reserved()));
        let next = places.take(address(2)).unwrap();
        assert!(next.occupant.connection.is_reserved(), "the longest silent gives way there too");
        drop(reserved);
        let working: Vec<_> = (0..3)
            .map(|_| places.take(address(3)).unwrap())
            .map(|place| (place.occupant.begin(), place))
            .collect();
        let _next = (next.occupant.begin(), next);
        assert!(places.take(address(4)).is_none(), "there is no place at all");
        drop((working, requests));
        assert!(!places.take(address(4)).unwrap().occupant.connection.is_reserved());
    }

    #[test]
    fn an_address_has_no_more_than_its_own() {
        let places = Places::new(most());
        let busy: Vec<_> = (0..60).map(|_| places.take(address(1)).unwrap()).collect();
        let _requests: Vec<_> = busy.iter().map(|place| place.occupant.begin()).collect();
        assert!(places.take(address(1)).unwrap().occupant.connection.is_reserved());
        assert!(!places.take(address(2)).unwrap().occupant.connection.is_reserved());
    }

    #[test]
    fn a_connection_that_has_its_response_is_silent_again() {
        let places = Places::new(Most { connections: 1, of_address: 1, ..most() });
        let first = places.take(address(1)).unwrap();
        let request = first.occupant.begin();
        assert!(places.take(address(2)).unwrap().occupant.connection.is_reserved());
        assert!(!is_ended(&first));
        drop(request);
        assert!(!places.take(address(2)).unwrap().occupant.connection.is_reserved());
        assert!(is_ended(&first));
    }
}
