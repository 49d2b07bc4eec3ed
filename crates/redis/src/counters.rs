//! What happened to events on their way, for metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

macro_rules! counters {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $field:ident,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: u64,)+ }

        /// The counters as they are counted.
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(pub(crate) $field: AtomicU64,)+
            /// Readers that are connected.
            pub(crate) readers: AtomicUsize,
        }

        impl Counts {
            pub(crate) fn read(&self) -> $name {
                $name { $($field: self.$field.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Counts of events since the start of this replica.
    EventCounters {
        /// Events written to Redis.
        sent,
        /// Events of other replicas handed on.
        received,
        /// Decision and manifest events dropped because the queue was full or one was too large.
        dropped,
        /// Control events dropped for the same reasons: zero unless Redis was away very long.
        dropped_control,
        /// Groups of other replicas that were gone from the stream before this one read them.
        missed_groups,
        /// Groups that could not be read.
        malformed_groups,
        /// Connections to Redis that were lost or could not be made.
        disconnects,
    }
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}
