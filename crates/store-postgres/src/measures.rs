//! How many transactions there were, how they ended and how long they took, for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds in seconds; what took longer is counted apart.
const BOUNDS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.5, 2.0, 8.0];

/// Transactions of one name that ended in one way, since the start of this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Transactions {
    pub name: &'static str,
    /// `committed`, `rolled_back`, or `failed` when the end is unknown.
    pub outcome: &'static str,
    /// Upper bound in seconds, the last one infinite, and how many are in this bucket alone.
    pub buckets: Vec<(f64, u64)>,
    pub sum: Duration,
}

/// Connections of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    pub open: u32,
    /// Those of them that are not in use.
    pub idle: u32,
}

#[derive(Debug, Default)]
struct Counted {
    below: [u64; BOUNDS.len()],
    above: u64,
    sum: Duration,
}

/// By name and end. One for the process, since a transaction knows its connection and no store; a
/// process has one store but in tests.
static COUNTED: Mutex<BTreeMap<(&str, &str), Counted>> = Mutex::new(BTreeMap::new());

pub(crate) fn count(name: &'static str, outcome: &'static str, took: Duration) {
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let Counted { below, above, sum } = counted.entry((name, outcome)).or_default();
    let seconds = took.as_secs_f64();
    let bucket = BOUNDS.iter().zip(below).find(|(bound, _)| seconds <= **bound);
    *bucket.map_or(above, |(_, count)| count) += 1;
    *sum += took;
}

pub(crate) fn transactions() -> Vec<Transactions> {
    let counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let read = |((name, outcome), counted): (&(&'static str, &'static str), &Counted)| {
        let bounded = BOUNDS.into_iter().zip(counted.below);
        let buckets = bounded.chain([(f64::INFINITY, counted.above)]).collect();
        Transactions { name, outcome, buckets, sum: counted.sum }
    };
    counted.iter().map(read).collect()
}
