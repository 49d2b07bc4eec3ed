//! The in-process bus: hands events to subscribers of this replica and keeps the latest, so that
//! a subscriber that reconnects misses nothing it could not have seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sentinel_core::event::{Bus, Event};
use sentinel_core::id::TenantId;
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use crate::history::{Group, History, Since};
use crate::subscription::Subscription;

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
    /// Identifies this run of the process; positions start again with each.
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
    history: Arc<Mutex<History>>,
    sender: broadcast::Sender<Weak<Group>>,
    audience: Mutex<HashMap<Option<TenantId>, u64>>,
    /// Counts what may change which calls are allowed.
    changes: watch::Sender<u64>,
}

/// Groups of events a slow subscriber may lag behind before it is told that it missed some. They
/// are only references: the history bounds what they take in memory.
const LAG: usize = 4096;

impl Default for InProcessBus {
    fn default() -> Self {
        let (sender, _) = broadcast::channel(LAG);
        let audience = Mutex::default();
        let changes = watch::Sender::default();
        Self { run: Uuid::now_v7(), history: Arc::default(), sender, audience, changes }
    }
}

impl InProcessBus {
    /// Subscribes, resuming after `last` if this process still keeps what followed it.
    #[must_use]
    pub fn subscribe(&self, last: Option<EventId>) -> Subscription {
        // Subscribing under the history's lock leaves no moment between the two.
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.sender.subscribe();
        let newest = history.newest();
        let position = self.id(newest);
        let (since, after) = match last {
            None => (Since::default(), newest),
            Some(last) if last.run == self.run && history.knows(last.position) => {
                (history.since(last.position), last.position)
            }
            Some(_) => (Since { gap: true, ..Since::default() }, newest),
        };
        Subscription::new(&self.history, since, live, after, position)
    }

    /// Changes with each event of a kill, a restore, the registry or policy: with whatever may
    /// change which calls are allowed. Carries nothing, so a slow reader misses nothing.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The identifier of an event of this process.
    #[must_use]
    pub const fn id(&self, position: u64) -> EventId {
        EventId { run: self.run, position }
    }
}

/// A stream that hears of kills, while this is held.
#[derive(Debug)]
pub struct Listening {
    bus: Arc<InProcessBus>,
    tenant: Option<TenantId>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut audience = self.bus.audience();
        if let Some(count) = audience.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                audience.remove(&self.tenant);
            }
        }
    }
}

impl InProcessBus {
    /// Counts a stream that hears of kills: those that concern `tenant`, or all.
    #[must_use]
    pub fn listening(self: &Arc<Self>, tenant: Option<TenantId>) -> Listening {
        *self.audience().entry(tenant).or_default() += 1;
        Listening { bus: Arc::clone(self), tenant }
    }

    /// How many streams hear of a kill in `tenant`, or of one that is not in a tenant.
    #[must_use]
    pub fn listeners(&self, tenant: Option<TenantId>) -> u64 {
        let audience = self.audience();
        let hears = |of: &Option<TenantId>| tenant.is_none() || of.is_none() || *of == tenant;
        audience.iter().filter(|(of, _)| hears(of)).map(|(_, count)| count).sum()
    }

    fn audience(&self) -> std::sync::MutexGuard<'_, HashMap<Option<TenantId>, u64>> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InProcessBus {
    /// Where another replica's events go: to the subscribers of this one, and no further. Kills and
    /// restores are left out: this replica makes those events itself, from the control state, so
    /// that they come once, and come too when a message is lost.
    #[must_use]
    pub fn foreign(self: &Arc<Self>) -> Arc<dyn Bus> {
        Arc::new(Foreign(Arc::clone(self)))
    }

    /// Tells the subscribers what happened at another replica.
    pub(crate) fn add_foreign(&self, events: Vec<Event>) {
        self.add(events, true);
    }

    fn add(&self, events: Vec<Event>, foreign: bool) {
        if events.is_empty() {
            return;
        }
        let changes = |event: &Event| event.is_control() || matches!(event, Event::Policy(_));
        if events.iter().any(changes) {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        // Sending under the lock keeps the order; it never blocks, and without subscribers it is
        // an error that means nothing.
        history.add(events, foreign, |group| drop(self.sender.send(Arc::downgrade(group))));
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
    fn publish(&self, mut events: Vec<Event>) {
        events.retain(|event| !matches!(event, Event::Killed(_) | Event::Restored(_)));
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
    use crate::history;
    use crate::subscription::{Heard, Silence};
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

    /// A deny with metadata of about so many bytes, as it is told.
    fn decision(bytes: usize) -> Event {
        let control = Arc::new(sentinel_core::control::ControlState::default());
        let check = sentinel_testkit::build::check(&control, "acme", "search");
        let mut record = check.pending().record;
        record.event_metadata.insert("filler".to_owned(), "x".repeat(bytes).into());
        Event::checked(&Arc::new(record))
    }

    /// The positions that a subscriber hears by now, and how many gaps.
    fn heard(subscription: &mut Subscription) -> (Vec<u64>, usize) {
        let (mut positions, mut gaps) = (Vec::new(), 0);
        while let Ok(next) = subscription.try_next() {
            match next {
                Heard::Events(events) => positions.extend(events.iter().map(|each| each.position)),
                Heard::Gap => gaps += 1,
            }
        }
        (positions, gaps)
    }

    #[test]
    fn resuming_gets_exactly_what_followed() {
        let bus = InProcessBus::default();
        bus.publish(vec![event("a"), event("b")]);
        let at = bus.subscribe(None).position;
        bus.publish(vec![event("c")]);
        let mut resumed = bus.subscribe(Some(at));
        assert!(!resumed.gap && resumed.has_missed());
        assert_eq!(heard(&mut resumed), (vec![3], 0));
    }

    #[test]
    fn resuming_within_a_group_gets_the_rest_of_it() {
        let bus = InProcessBus::default();
        bus.publish(vec![event("a"), event("b"), event("c")]);
        let mut resumed = bus.subscribe(Some(bus.id(2)));
        bus.publish(vec![event("d")]);
        assert_eq!((resumed.gap, heard(&mut resumed)), (false, (vec![3, 4], 0)));
    }

    #[test]
    fn a_subscriber_from_before_the_first_event_misses_nothing() {
        let bus = InProcessBus::default();
        let at = bus.subscribe(None).position;
        bus.publish(vec![event("a"), event("b")]);
        let mut resumed = bus.subscribe(Some(at));
        assert_eq!((resumed.gap, heard(&mut resumed)), (false, (vec![1, 2], 0)));
    }

    #[test]
    fn both_kinds_come_in_the_order_in_which_they_happened() {
        let bus = InProcessBus::default();
        let at = bus.subscribe(None).position;
        for _ in 0..3 {
            bus.publish(vec![decision(10), event("a"), decision(10)]);
        }
        let mut resumed = bus.subscribe(Some(at));
        assert_eq!(heard(&mut resumed), ((1..=9).collect(), 0));
    }

    #[test]
    fn foreign_events_reach_subscribers_and_are_not_sent_on() {
        let (local, others) =
            (Arc::new(InProcessBus::default()), Arc::new(InProcessBus::default()));
        let all = FanOut { local: Arc::clone(&local), others: others.clone() };
        let at = local.subscribe(None).position;
        all.publish(vec![event("own")]);
        local.foreign().publish(vec![event("foreign")]);
        let mut seen = local.subscribe(Some(at));
        let mut foreign = Vec::new();
        while let Ok(Heard::Events(events)) = seen.try_next() {
            foreign.extend(events.iter().map(|each| each.foreign));
        }
        assert_eq!(foreign, [false, true]);
        assert_eq!(heard(&mut others.subscribe(Some(others.id(0)))), (vec![1], 0));
    }

    #[test]
    fn what_is_kept_is_bounded_by_bytes_and_what_is_not_kept_is_a_gap() {
        let bus = InProcessBus::default();
        bus.publish(vec![decision(10)]);
        let at = bus.subscribe(None).position;
        let mut slow = bus.subscribe(None);
        for _ in 0..600 {
            bus.publish(vec![decision(1024 * 1024)]);
        }
        let kept = bus.history.lock().unwrap().weight();
        assert!(kept <= history::DECISIONS, "{kept} bytes are kept");
        let mut resumed = bus.subscribe(Some(at));
        assert!(resumed.gap);
        let (positions, _) = heard(&mut resumed);
        assert!(positions.len() > 20 && positions.last() == Some(&601), "{positions:?}");
        let (positions, gaps) = heard(&mut slow);
        assert_eq!((gaps, positions.last()), (1, Some(&601)));
        assert!(positions.len() < 40, "a slow subscriber holds what is not kept");
    }

    #[test]
    fn what_is_kept_is_bounded_by_number() {
        let bus = InProcessBus::default();
        let at = bus.subscribe(None).position;
        for _ in 0..5000 {
            bus.publish(vec![decision(10)]);
        }
        let mut resumed = bus.subscribe(Some(at));
        assert!(resumed.gap);
        let (positions, _) = heard(&mut resumed);
        assert_eq!((positions.len(), positions.last()), (1024, Some(&5000)));
    }

    #[test]
    fn no_burst_of_decisions_costs_a_slow_subscriber_a_kill() {
        let bus = InProcessBus::default();
        let mut slow = bus.subscribe(None);
        let at = slow.position;
        bus.publish(vec![event("kill")]);
        for _ in 0..LAG + 100 {
            bus.publish(vec![decision(32 * 1024)]);
        }
        bus.publish(vec![event("kill")]);
        let last = u64::try_from(LAG).unwrap() + 102;
        let mut resumed = bus.subscribe(Some(at));
        assert!(resumed.gap);
        for subscription in [&mut slow, &mut resumed] {
            let (positions, _) = heard(subscription);
            assert_eq!((positions.first(), positions.last()), (Some(&1), Some(&last)));
        }
    }

    #[test]
    fn an_event_larger_than_everything_that_is_kept_is_a_gap() {
        let bus = InProcessBus::default();
        let mut live = bus.subscribe(None);
        bus.publish(vec![decision(history::DECISIONS)]);
        bus.publish(vec![event("a")]);
        assert_eq!(heard(&mut live), (vec![2], 1));
    }

    #[test]
    fn only_what_may_change_decisions_is_a_change() {
        let bus = Arc::new(InProcessBus::default());
        let mut changes = bus.changes();
        bus.publish(vec![decision(10)]);
        assert!(!changes.has_changed().unwrap());
        bus.publish(vec![decision(10), event("a")]);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        bus.foreign().publish(vec![event("b")]);
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn an_identifier_of_another_run_is_a_gap() {
        let last = EventId { run: Uuid::nil(), position: 0 };
        assert!(InProcessBus::default().subscribe(Some(last)).gap);
        let bus = InProcessBus::default();
        assert!(bus.subscribe(Some(bus.id(1))).gap, "a position that was never given out");
    }

    #[test]
    fn a_subscriber_hears_when_the_bus_is_gone() {
        let bus = InProcessBus::default();
        let mut subscription = bus.subscribe(None);
        bus.publish(vec![event("a")]);
        assert!(matches!(subscription.try_next(), Ok(Heard::Events(_))));
        assert_eq!(subscription.try_next().unwrap_err(), Silence::Yet);
        drop(bus);
        assert_eq!(subscription.try_next().unwrap_err(), Silence::ForGood);
    }
}
