//! The in-process bus: hands events to subscribers of this replica and keeps the latest, so that
//! a subscriber that reconnects misses nothing it could not have seen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use sentinel_core::event::{Bus, Event};
use tokio::sync::broadcast;
use uuid::Uuid;

/// An event and its place in this process's order of events.
#[derive(Debug, Clone)]
pub struct Published {
    pub position: u64,
    pub event: Event,
    /// Whether it happened at another replica, which logs it and tells the others.
    pub foreign: bool,
}

/// Where in the stream of which process a subscriber is; the `id` of a server-sent event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    /// Identifies this run of the process; positions start anew with each.
    pub run: Uuid,
    pub position: u64,
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.run.as_simple(), self.position)
    }
}

impl std::str::FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (run, position) = text.split_once(':').ok_or(())?;
        let run = Uuid::parse_str(run).map_err(|_| ())?;
        Ok(Self { run, position: position.parse().map_err(|_| ())? })
    }
}

/// In-process event bus. Decisions are frequent and control events are rare, so each kind keeps
/// its own history: a burst of decisions never pushes out a kill.
#[derive(Debug)]
pub struct InProcessBus {
    run: Uuid,
    history: Mutex<History>,
    sender: broadcast::Sender<Arc<[Published]>>,
}

#[derive(Debug, Default)]
struct History {
    next: u64,
    decisions: VecDeque<Published>,
    control: VecDeque<Published>,
}

/// Events kept of each kind.
const KEPT: usize = 4096;
/// Groups of events a slow subscriber may lag behind before it is told that it missed some.
const LAG: usize = 1024;

impl Default for InProcessBus {
    fn default() -> Self {
        let (sender, _) = broadcast::channel(LAG);
        Self { run: Uuid::now_v7(), history: Mutex::default(), sender }
    }
}

/// A subscription: what was missed, then what comes.
#[derive(Debug)]
pub struct Subscription {
    /// Events since the position asked for, oldest first.
    pub missed: Vec<Published>,
    /// Whether some were missed that are no longer kept; the subscriber should read the state anew.
    pub gap: bool,
    pub live: broadcast::Receiver<Arc<[Published]>>,
    /// Identifier of the newest event at the time of subscribing.
    pub position: EventId,
}

impl InProcessBus {
    /// Subscribes, resuming after `last` if this process still keeps what followed it.
    #[must_use]
    pub fn subscribe(&self, last: Option<EventId>) -> Subscription {
        // Subscribing under the history's lock leaves no moment between the two.
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.sender.subscribe();
        let position = self.id(history.next.saturating_sub(1));
        let Some(last) = last else {
            return Subscription { missed: Vec::new(), gap: false, live, position };
        };
        if last.run != self.run || last.position >= history.next {
            return Subscription { missed: Vec::new(), gap: true, live, position };
        }
        let mut missed: Vec<_> = history.since(last.position).cloned().collect();
        missed.sort_by_key(|published| published.position);
        let expected = history.next - 1 - last.position;
        let gap = (missed.len() as u64) < expected;
        Subscription { missed, gap, live, position }
    }

    /// The identifier of an event of this process.
    #[must_use]
    pub const fn id(&self, position: u64) -> EventId {
        EventId { run: self.run, position }
    }
}

impl History {
    fn since(&self, position: u64) -> impl Iterator<Item = &Published> {
        let after = move |published: &&Published| published.position > position;
        self.decisions.iter().chain(&self.control).filter(after)
    }

    fn keep(&mut self, published: Published) {
        let control = published.event.is_control();
        let kind = if control { &mut self.control } else { &mut self.decisions };
        if kind.len() == KEPT {
            kind.pop_front();
        }
        kind.push_back(published);
    }
}

impl InProcessBus {
    /// Where another replica's events go: to the subscribers of this one, and no further.
    #[must_use]
    pub fn foreign(self: &Arc<Self>) -> Arc<dyn Bus> {
        Arc::new(Foreign(Arc::clone(self)))
    }

    fn add(&self, events: Vec<Event>, foreign: bool) {
        if events.is_empty() {
            return;
        }
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        // Position 0 is "before the first event", so that a subscriber can always name where it is.
        history.next = history.next.max(1);
        let mut group = Vec::with_capacity(events.len());
        for event in events {
            let published = Published { position: history.next, event, foreign };
            history.next += 1;
            history.keep(published.clone());
            group.push(published);
        }
        // Sending under the lock keeps the order; it never blocks, and without subscribers it is
        // an error that means nothing.
        drop(self.sender.send(group.into()));
    }
}

impl Bus for InProcessBus {
    fn publish(&self, events: Vec<Event>) {
        self.add(events, false);
    }
}

#[derive(Debug)]
struct Foreign(Arc<InProcessBus>);

impl Bus for Foreign {
    fn publish(&self, events: Vec<Event>) {
        self.0.add(events, true);
    }
}

/// Tells this replica's subscribers and the other replicas. What those tell comes in by
/// [`InProcessBus::foreign`] and is not sent on again.
#[derive(Debug)]
pub struct FanOut {
    pub local: Arc<InProcessBus>,
    pub others: Arc<dyn Bus>,
}

impl Bus for FanOut {
    fn publish(&self, events: Vec<Event>) {
        self.others.publish(events.clone());
        self.local.publish(events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_core::epoch::Epoch;
    use sentinel_core::event::{RegistryChange, RegistryEvent};

    fn event(subject: &str) -> Event {
        Event::Registry(Arc::new(RegistryEvent {
            kind: RegistryChange::ToolUpdated,
            tenant_id: None,
            tenant: None,
            subject: subject.to_owned(),
            actor: "test".to_owned(),
            epoch: Epoch(1),
            at: jiff::Timestamp::UNIX_EPOCH,
        }))
    }

    #[test]
    fn resuming_gets_exactly_what_followed() {
        let bus = InProcessBus::default();
        bus.publish(vec![event("a"), event("b")]);
        let at = bus.subscribe(None).position;
        bus.publish(vec![event("c")]);
        let resumed = bus.subscribe(Some(at));
        assert!(!resumed.gap);
        assert_eq!(resumed.missed.iter().map(|p| p.position).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_subscriber_from_before_the_first_event_misses_nothing() {
        let bus = InProcessBus::default();
        let at = bus.subscribe(None).position;
        bus.publish(vec![event("a"), event("b")]);
        let resumed = bus.subscribe(Some(at));
        assert_eq!((resumed.missed.len(), resumed.gap), (2, false));
    }

    #[test]
    fn foreign_events_reach_subscribers_and_are_not_sent_on() {
        let (local, others) =
            (Arc::new(InProcessBus::default()), Arc::new(InProcessBus::default()));
        let all = FanOut { local: Arc::clone(&local), others: others.clone() };
        let at = local.subscribe(None).position;
        all.publish(vec![event("own")]);
        local.foreign().publish(vec![event("foreign")]);
        let seen = local.subscribe(Some(at)).missed;
        assert_eq!(seen.iter().map(|p| p.foreign).collect::<Vec<_>>(), [false, true]);
        let sent = others.subscribe(Some(others.id(0))).missed;
        assert_eq!(sent.len(), 1);
    }

    #[test]
    fn what_is_no_longer_kept_is_a_gap() {
        let bus = InProcessBus::default();
        bus.publish(vec![event("first")]);
        let at = bus.subscribe(None).position;
        bus.publish((0..=KEPT).map(|_| event("later")).collect());
        assert!(bus.subscribe(Some(at)).gap);
    }

    #[test]
    fn an_identifier_of_another_run_is_a_gap() {
        let last = EventId { run: Uuid::nil(), position: 0 };
        assert!(InProcessBus::default().subscribe(Some(last)).gap);
    }
}
