//! What the requests under way may hold together, and each key of it: their number, and the bytes
//! of their bodies. A body of nothing but small values takes ten times its bytes once it is parsed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sentinel_core::id::KeyId;

/// Bytes of all bodies.
pub(super) const BODIES: usize = 32 * 1024 * 1024;
/// Bytes that operators and administrators may hold beyond that.
const RESERVED: usize = 8 * 1024 * 1024;
/// Bytes of one key's bodies.
pub(super) const OF_KEY: usize = 8 * 1024 * 1024;

/// More is asked for than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exhausted {
    Requests,
    KeyBytes,
    Bytes,
}

impl Exhausted {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "too many requests of this key are under way",
            Self::KeyBytes => "the requests of this key that are under way are too large",
            Self::Bytes => "the requests that are under way are too large",
        }
    }
}

const SHARDS: usize = 16;
/// Keys of a shard that are kept though they hold nothing: looking them up costs less than adding
/// them again for each request.
const IDLE: usize = 256;

#[derive(Debug)]
pub(super) struct Shares {
    requests_of_key: usize,
    bytes: AtomicUsize,
    keys: [Mutex<HashMap<KeyId, Arc<Held>>>; SHARDS],
}

#[derive(Debug, Default)]
struct Held {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// What one request holds, until it is given back.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// What the key holds that is held to its share; none for those who are not.
    of_key: Option<Arc<Held>>,
    privileged: bool,
    bytes: usize,
}

/// Adds to `held` unless that makes it more than `most`.
fn take(held: &AtomicUsize, more: usize, most: usize) -> bool {
    let sum = |held: usize| held.checked_add(more).filter(|sum| *sum <= most);
    held.try_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
}

impl Shares {
    pub(super) fn new(requests_of_key: usize) -> Self {
        Self { requests_of_key, bytes: AtomicUsize::new(0), keys: Default::default() }
    }

    /// Makes `share` one of `key`, or of no key, which is not held to one.
    pub(super) fn enter(
        &self,
        share: &mut Share,
        key: Option<KeyId>,
        privileged: bool,
    ) -> Result<(), Exhausted> {
        share.privileged = privileged;
        let Some(key) = key.filter(|_| !privileged && share.of_key.is_none()) else {
            return Ok(());
        };
        let held = self.of(key);
        if !take(&held.requests, 1, self.requests_of_key) {
            return Err(Exhausted::Requests);
        }
        share.of_key = Some(held);
        Ok(())
    }

    /// Takes so many bytes more.
    pub(super) fn reserve(&self, share: &mut Share, bytes: usize) -> Result<(), Exhausted> {
        if let Some(held) = &share.of_key
            && !take(&held.bytes, bytes, OF_KEY)
        {
            return Err(Exhausted::KeyBytes);
        }
        let most = if share.privileged { BODIES + RESERVED } else { BODIES };
        if !take(&self.bytes, bytes, most) {
            if let Some(held) = &share.of_key {
                held.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            return Err(Exhausted::Bytes);
        }
        share.bytes += bytes;
        Ok(())
    }

    pub(super) fn give_back(&self, share: &Share) {
        self.bytes.fetch_sub(share.bytes, Ordering::Relaxed);
        if let Some(held) = &share.of_key {
            held.bytes.fetch_sub(share.bytes, Ordering::Relaxed);
            held.requests.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What `key` holds. An entry that a request refers to is never removed, or the key would be
    /// counted twice.
    fn of(&self, key: KeyId) -> Arc<Held> {
        // Identifiers are random at their end.
        let index = usize::from(key.0.as_bytes()[15]) % SHARDS;
        let [first, ..] = &self.keys;
        let shard = self.keys.get(index).unwrap_or(first);
        let mut keys = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = keys.get(&key) {
            return Arc::clone(held);
        }
        if keys.len() >= IDLE {
            keys.retain(|_, held| Arc::strong_count(held) > 1);
        }
        Arc::clone(keys.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(number: u128) -> Option<KeyId> {
        Some(KeyId(Uuid::from_u128(number)))
    }

    fn share(shares: &Shares, of: Option<KeyId>, privileged: bool) -> Share {
        let mut share = Share::default();
        shares.enter(&mut share, of, privileged).unwrap();
        share
    }

    #[test]
    fn a_key_has_no_more_requests_than_its_share() {
        let shares = Shares::new(2);
        let held = [share(&shares, key(1), false), share(&shares, key(1), false)];
        let mut third = Share::default();
        assert_eq!(shares.enter(&mut third, key(1), false), Err(Exhausted::Requests));
        shares.give_back(&third);
        shares.enter(&mut third, key(2), false).unwrap();
        shares.enter(&mut Share::default(), key(1), true).unwrap();
        held.iter().chain([&third]).for_each(|share| shares.give_back(share));
        let mut kept = shares
            .keys
            .iter()
            .flat_map(|keys| keys.lock().unwrap().values().cloned().collect::<Vec<_>>());
        assert!(kept.all(|held| held.requests.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn keys_that_hold_nothing_are_forgotten_and_others_are_not() {
        let shares = Shares::new(1);
        let busy = share(&shares, key(0), false);
        for number in 1..20_000 {
            // The last byte decides on the shard: all of them are in that of the busy one.
            shares.give_back(&share(&shares, key(number << 8), false));
        }
        assert!(shares.keys.iter().all(|keys| keys.lock().unwrap().len() <= IDLE));
        let another = shares.enter(&mut Share::default(), key(0), false);
        assert_eq!(another, Err(Exhausted::Requests));
        shares.give_back(&busy);
    }

    #[test]
    fn neither_one_key_nor_all_of_them_hold_more_than_their_bytes() {
        const BODY: usize = 256 * 1024;
        let shares = Shares::new(1000);
        let mut held = Vec::new();
        for number in 1..=4 {
            loop {
                let mut next = share(&shares, key(number), false);
                let taken = shares.reserve(&mut next, BODY);
                if taken.is_err() {
                    assert_eq!(taken, Err(Exhausted::KeyBytes));
                    shares.give_back(&next);
                    break;
                }
                held.push(next);
            }
        }
        assert_eq!(held.len() * BODY, 4 * OF_KEY);
        let mut next = share(&shares, key(5), false);
        assert_eq!(shares.reserve(&mut next, BODY), Err(Exhausted::Bytes));
        let mut operator = share(&shares, key(6), true);
        shares.reserve(&mut operator, BODY).unwrap();
        held.extend([next, operator]);
        held.iter().for_each(|share| shares.give_back(share));
        assert_eq!(shares.bytes.load(Ordering::Relaxed), 0);
    }
}
