//! The quotas of a batch: one reservation for each counter.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::entry::Entry;
use super::pending::Pending;
use super::settlement::Settles;
use crate::quota::{CounterKey, Grant, Reservation};

/// The place of a decision among those that compete for one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Index of the reservation that the decision takes from.
    pub reservation: usize,
    /// How many of the batch take from it, up to and including this one.
    pub place: u64,
}

/// The counters of a batch.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    limits: HashMap<CounterKey, Option<u64>, RandomState>,
    /// The counters that were settled, with what is used of each now.
    pub(super) used: Vec<(CounterKey, u64)>,
}

impl Settles for Quotas {
    type Asked = Reservation;
    type Found = Grant;

    /// A counter has one limit in a batch.
    fn admits(&self, pending: &Pending) -> bool {
        let known = pending.counter.and_then(|counter| self.limits.get(&counter));
        known.is_none_or(|limit| *limit == limit_of(pending))
    }

    fn join(&mut self, pending: &Pending) {
        if let Some(counter) = pending.counter {
            self.limits.insert(counter, limit_of(pending));
        }
    }

    fn are_needed(&self, entries: &[Entry]) -> bool {
        entries.iter().filter_map(Entry::to_record).any(|pending| counter_of(pending).is_some())
    }

    fn asked(&self, entries: &[Entry]) -> Vec<Reservation> {
        let mut wanted = BTreeMap::<CounterKey, Reservation>::new();
        for pending in entries.iter().filter_map(Entry::to_record) {
            let Some(key) = counter_of(pending) else { continue };
            let reservation = Reservation { key, wanted: 0, limit: limit_of(pending) };
            wanted.entry(key).or_insert(reservation).wanted += 1;
        }
        wanted.into_values().collect()
    }

    /// The first entries get what was granted, the others become denies.
    fn settle(&mut self, entries: &mut [Entry], reservation: &Reservation, grant: Grant) {
        let key = reservation.key;
        self.used.push((key, grant.before.saturating_add(grant.granted)));
        let mut taken = 0;
        let entries = entries.iter_mut().filter_map(Entry::to_record_mut);
        for pending in entries.filter(|pending| counter_of(pending) == Some(key)) {
            if taken < grant.granted {
                taken += 1;
                let used = grant.before.saturating_add(taken);
                let record = &mut pending.record;
                record.quota_remaining = record.quota.map(|quota| quota.limit.saturating_sub(used));
            } else {
                pending.deny_exceeded();
            }
        }
    }
}

impl Quotas {
    /// The turns of the decisions to record at `reservations`; `None` for one that takes nothing.
    pub(super) fn turns(entries: &[Entry], reservations: &[Reservation]) -> Vec<Option<Turn>> {
        let indices = reservations.iter().enumerate().map(|(index, each)| (each.key, index));
        let indices: HashMap<CounterKey, usize> = indices.collect();
        let mut places = vec![0; reservations.len()];
        let turn = |pending: &Pending| {
            let reservation = *indices.get(&counter_of(pending)?)?;
            let place = places.get_mut(reservation)?;
            *place += 1;
            Some(Turn { reservation, place: *place })
        };
        entries.iter().filter_map(Entry::to_record).map(turn).collect()
    }
}

/// The counter that a decision takes from: a deny takes from none.
fn counter_of(pending: &Pending) -> Option<CounterKey> {
    pending.counter.filter(|_| pending.record.allow)
}

fn limit_of(pending: &Pending) -> Option<u64> {
    pending.record.quota.map(|quota| quota.limit)
}
