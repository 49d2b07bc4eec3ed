//! The task that reads one kind of events of the other replicas.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamRangeReply, StreamReadReply};
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event};
use tokio::sync::watch;
use uuid::Uuid;

use crate::counters::{Counts, add};
use crate::link::Link;
use crate::wire::{Entry, Position};

/// How long one read waits for entries, in milliseconds.
const BLOCK_MILLIS: u64 = 2000;
/// The longest that a read may take altogether, after which the connection counts as lost.
pub(crate) const RESPONSE: Duration = Duration::from_secs(5);
/// Entries read at a time.
const COUNT: usize = 32;
/// Runs of other replicas whose numbers are remembered.
const RUNS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) link: Link,
    pub(crate) stream: String,
    pub(crate) replica: Uuid,
    pub(crate) sink: Arc<dyn Bus>,
    pub(crate) epochs: Arc<watch::Sender<Epoch>>,
    /// Counts the readers that know where they are.
    pub(crate) following: Arc<watch::Sender<usize>>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) place: Place,
}

/// How far a reader has got.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The last entry read; `None` until the stream was looked at first.
    position: Option<Position>,
    /// Number of the last group of each other replica's run.
    seen: HashMap<Uuid, u64>,
    malformed: bool,
}

impl Reader {
    pub(crate) async fn run(mut self) {
        loop {
            let connection = self.link.connection().await;
            let Err(error) = self.follow(connection).await;
            self.link.lost(&error);
        }
    }

    async fn follow(&mut self, mut connection: MultiplexedConnection) -> RedisResult<Infallible> {
        let mut position = self.settle(&mut connection).await?;
        loop {
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(COUNT).arg("BLOCK").arg(BLOCK_MILLIS);
            command.arg("STREAMS").arg(&self.stream).arg(position.to_string());
            let reply: Option<StreamReadReply> = command.query_async(&mut connection).await?;
            self.link.works();
            let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
            let mut any = false;
            for entry in entries {
                any = true;
                if let Ok(at) = entry.id.parse() {
                    position = at;
                    self.place.position = Some(at);
                }
                self.hand_on(Entry::of(entry.map));
            }
            if !any {
                position = self.settle(&mut connection).await?;
            }
        }
    }

    /// Finds where to go on. A reader begins with what comes after it. When the newest entry is
    /// older than what was read, the stream has started over (Redis lost it, or an older copy took
    /// its place): all of it is read, and what was seen before is known by its number.
    async fn settle(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<Position> {
        let mut command = redis::cmd("XREVRANGE");
        command.arg(&self.stream).arg("+").arg("-").arg("COUNT").arg(1);
        let reply: StreamRangeReply = command.query_async(connection).await?;
        let newest = reply.ids.first().and_then(|entry| entry.id.parse().ok()).unwrap_or_default();
        let position = match self.place.position {
            None => {
                self.following.send_modify(|readers| *readers += 1);
                newest
            }
            Some(position) if newest < position => Position::default(),
            Some(position) => position,
        };
        self.place.position = Some(position);
        Ok(position)
    }

    fn hand_on(&mut self, entry: Option<Entry>) {
        let Some(entry) = entry else {
            return self.malformed("its fields are not those of a group");
        };
        if entry.replica == self.replica {
            return;
        }
        match self.place.missed(entry.replica, entry.number) {
            None => return,
            Some(missed) => add(&self.counts.missed_groups, missed),
        }
        match entry.read() {
            Ok(events) => {
                self.place.malformed = false;
                add(&self.counts.received, events.len());
                self.tell(events);
            }
            Err(error) => self.malformed(&error.to_string()),
        }
    }

    fn tell(&self, events: Vec<Event>) {
        if let Some(newest) = events.iter().filter_map(Event::epoch).max() {
            self.epochs.send_if_modified(|epoch| {
                let newer = newest > *epoch;
                *epoch = newest.max(*epoch);
                newer
            });
        }
        self.sink.publish(events);
    }

    /// Logs the first of several in a row.
    fn malformed(&mut self, error: &str) {
        add(&self.counts.malformed_groups, 1);
        if !self.place.malformed {
            tracing::warn!(
                error,
                stream = self.stream,
                "a group of events cannot be read; skipped"
            );
        }
        self.place.malformed = true;
    }
}

impl Place {
    /// Notes that group `number` of a run has come; returns how many were missed before it, or
    /// `None` when it came before.
    fn missed(&mut self, replica: Uuid, number: u64) -> Option<usize> {
        if self.seen.len() >= RUNS && !self.seen.contains_key(&replica) {
            self.seen.clear();
        }
        let last = self.seen.insert(replica, number);
        match last {
            Some(last) if number <= last => {
                self.seen.insert(replica, last);
                None
            }
            Some(last) => usize::try_from(number - last - 1).ok(),
            None => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_their_number() {
        let mut place = Place::default();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(place.missed(a, 5), Some(0), "what came before this replica is not missed");
        assert_eq!(place.missed(a, 6), Some(0));
        assert_eq!(place.missed(a, 6), None);
        assert_eq!(place.missed(a, 5), None);
        assert_eq!(place.missed(b, 1), Some(0));
        assert_eq!(place.missed(a, 9), Some(2));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut place = Place::default();
        for run in 0..5000 {
            assert_eq!(place.missed(Uuid::from_u128(run), 1), Some(0));
        }
        assert!(place.seen.len() <= RUNS);
    }
}
