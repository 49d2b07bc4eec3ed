//! The task that writes one kind of events to its stream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use uuid::Uuid;

use crate::counters::{Counts, add};
use crate::link::Link;
use crate::queue::Queue;
use crate::wire::{EVENTS, Group, NUMBER, REPLICA, pack};

/// Events taken from the queue at a time.
const TAKEN: usize = 512;

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) link: Link,
    pub(crate) stream: String,
    pub(crate) replica: Uuid,
    pub(crate) queue: Arc<Queue>,
    pub(crate) counts: Arc<Counts>,
    /// The counter of what was dropped.
    pub(crate) dropped: fn(&Counts) -> &AtomicU64,
    pub(crate) max_entry_bytes: usize,
    /// Entries that the stream keeps, about.
    pub(crate) kept: usize,
}

impl Writer {
    pub(crate) async fn run(mut self) {
        let mut number = 0_u64;
        loop {
            let events = self.queue.take(TAKEN).await;
            let (groups, left_out) = pack(&events, self.max_entry_bytes);
            if left_out > 0 {
                tracing::warn!(left_out, "events too large for the other replicas were dropped");
                add((self.dropped)(&self.counts), left_out);
            }
            for group in groups {
                number += 1;
                self.write(number, &group).await;
                add(&self.counts.sent, group.events);
            }
            self.queue.settle();
        }
    }

    /// Writes a group, however long that takes; meanwhile the queue holds what comes, or drops
    /// it. A group whose response was lost is written again under the same number, by which readers
    /// know it.
    async fn write(&mut self, number: u64, group: &Group) {
        let mut command = redis::cmd("XADD");
        command.arg(&self.stream).arg("MAXLEN").arg("~").arg(self.kept).arg("*");
        command.arg(REPLICA).arg(self.replica.as_simple().to_string());
        command.arg(NUMBER).arg(number).arg(EVENTS).arg(group.json.as_slice());
        loop {
            let mut connection = self.link.connection().await;
            match command.query_async::<()>(&mut connection).await {
                Ok(()) => return self.link.works(),
                Err(error) => self.link.lost(&error),
            }
        }
    }
}
