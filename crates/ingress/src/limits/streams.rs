//! Places for event streams: so many for all callers, for a key, for a tenant and for an address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinel_core::id::{KeyId, TenantId};
use sentinel_core::principal::Principal;

use super::is_privileged;

/// One in so many places is reserved for operators and administrators.
const RESERVED: usize = 16;

/// How many streams may be open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) all: usize,
    pub(super) of_key: usize,
}

#[derive(Debug)]
pub(super) struct Streams {
    most: Most,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    keys: HashMap<KeyId, usize>,
    tenants: HashMap<TenantId, usize>,
    addresses: HashMap<IpAddr, usize>,
}

/// A place of a stream, given back when dropped.
#[derive(Debug)]
pub struct Place {
    streams: Arc<Streams>,
    key: Option<KeyId>,
    tenant: Option<TenantId>,
    address: Option<IpAddr>,
}

/// Whose places are all taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Everybody,
    Key,
    Tenant,
    Address,
}

impl Full {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Everybody => "too many event streams are open",
            Self::Key => "too many event streams of this key are open",
            Self::Tenant => "too many event streams of this tenant are open",
            Self::Address => "too many event streams from this address are open",
        }
    }
}

impl Streams {
    pub(super) fn new(most: Most) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// A place for `principal`, which comes from `address` if that is one client's. A tenant and an
    /// address get half of all places, and what is reserved goes to operators and administrators.
    pub(super) fn take(
        self: &Arc<Self>,
        principal: &Principal,
        address: Option<IpAddr>,
    ) -> Result<Place, Full> {
        let Most { all, of_key } = self.most;
        let key = principal.key().map(|key| key.id);
        let tenant = principal.tenant();
        let privileged = is_privileged(principal);
        let mut open = self.lock();
        let most = if privileged { all } else { all - all / RESERVED };
        if open.all >= most {
            return Err(Full::Everybody);
        }
        let half = all.div_ceil(2);
        if at(&open.keys, key) >= of_key {
            return Err(Full::Key);
        }
        if !privileged && at(&open.tenants, tenant) >= half {
            return Err(Full::Tenant);
        }
        if !privileged && at(&open.addresses, address) >= half {
            return Err(Full::Address);
        }
        open.all += 1;
        add(&mut open.keys, key);
        add(&mut open.tenants, tenant);
        add(&mut open.addresses, address);
        Ok(Place { streams: Arc::clone(self), key, tenant, address })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.all = open.all.saturating_sub(1);
        remove(&mut open.keys, self.key);
        remove(&mut open.tenants, self.tenant);
        remove(&mut open.addresses, self.address);
    }
}

fn at<K: Eq + Hash>(counts: &HashMap<K, usize>, of: Option<K>) -> usize {
    of.and_then(|of| counts.get(&of)).copied().unwrap_or(0)
}

fn add<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: Option<K>) {
    if let Some(of) = of {
        *counts.entry(of).or_default() += 1;
    }
}

fn remove<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: Option<K>) {
    let Some(of) = of else { return };
    if let Some(count) = counts.get_mut(&of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&of);
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::name::DisplayName;
    use sentinel_core::principal::{ApiKey, KeyHash, Role};
    use uuid::Uuid;

    use super::*;

    fn key(number: u128, role: Role, tenant: Option<u128>) -> Principal {
        let name: DisplayName = "test".parse().unwrap();
        Principal::of_key(Arc::new(ApiKey {
            id: KeyId(Uuid::from_u128(number)),
            hash: KeyHash([0; 32]),
            name,
            role,
            tenant_id: tenant.map(|tenant| TenantId(Uuid::from_u128(tenant))),
            agent: None,
            owner: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            revoked_at: None,
        }))
    }

    /// How many streams this one gets, and why no more.
    fn fill(
        streams: &Arc<Streams>,
        principal: &Principal,
        address: Option<IpAddr>,
    ) -> (Vec<Place>, Full) {
        let mut places = Vec::new();
        loop {
            match streams.take(principal, address) {
                Ok(place) => places.push(place),
                Err(full) => return (places, full),
            }
        }
    }

    #[test]
    fn no_party_takes_the_places_of_the_others() {
        let streams = Arc::new(Streams::new(Most { all: 160, of_key: 20 }));
        let (one, full) = fill(&streams, &key(1, Role::Agent, Some(1)), None);
        assert_eq!((one.len(), full), (20, Full::Key));
        let mut tenant = Vec::new();
        for number in 2..10 {
            tenant.extend(fill(&streams, &key(number, Role::Agent, Some(1)), None).0);
        }
        assert_eq!(one.len() + tenant.len(), 80);
        let full = streams.take(&key(99, Role::Agent, Some(1)), None).unwrap_err();
        assert_eq!(full, Full::Tenant);
        let mut others = Vec::new();
        for number in 100..120 {
            others.extend(fill(&streams, &key(number, Role::Agent, None), None).0);
        }
        assert_eq!(others.len(), 70);
        let full = streams.take(&key(200, Role::Agent, None), None).unwrap_err();
        assert_eq!(full, Full::Everybody);
        let (operator, _) = fill(&streams, &key(300, Role::Operator, Some(1)), None);
        assert_eq!(operator.len(), 10, "what is reserved");
        drop((one, tenant, others, operator));
        assert_eq!(streams.lock().all, 0);
        assert!(streams.lock().keys.is_empty() && streams.lock().tenants.is_empty());
    }

    #[test]
    fn an_address_gets_half_of_all() {
        let streams = Arc::new(Streams::new(Most { all: 160, of_key: 20 }));
        let address = Some(IpAddr::from([203, 0, 113, 7]));
        let mut places = Vec::new();
        for number in 0..20 {
            places.extend(fill(&streams, &key(number, Role::Agent, None), address).0);
        }
        assert_eq!(places.len(), 80);
        let full = streams.take(&key(99, Role::Agent, None), address).unwrap_err();
        assert_eq!(full, Full::Address);
        drop(places);
        assert!(streams.lock().addresses.is_empty());
    }
}
