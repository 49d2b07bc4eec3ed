//! What the bus keeps of the events of late: groups of them, bounded by what they take in memory.
//!
//! The history is the only owner of events. Subscribers have weak references and are told about a
//! gap when what they refer to was let go, so that a thousand slow ones hold no more than one.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use sentinel_core::event::Event;

use crate::bus::Published;

/// Bytes of decisions and manifests that are kept.
pub(crate) const DECISIONS: usize = 32 * 1024 * 1024;
/// Bytes of control events that are kept, apart from the others: no burst of decisions pushes a
/// kill out.
pub(crate) const CONTROL: usize = 8 * 1024 * 1024;
/// Events of each kind that are kept. Small ones would fit in greater numbers, but then every check
/// would write to memory that no cache holds any more.
const EVENTS: usize = 1024;
/// Bytes of a group, which is what a subscriber holds at a time; one event may be larger.
pub(crate) const GROUP: usize = 64 * 1024;
/// Events of a group.
const GROUP_EVENTS: usize = 256;

/// Events that follow each other, all of one kind.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) events: Vec<Published>,
    weight: usize,
}

impl Group {
    fn last(&self) -> u64 {
        self.events.last().map_or(0, |published| published.position)
    }

    fn first(&self) -> u64 {
        self.events.first().map_or(0, |published| published.position)
    }
}

/// The latest events of this process.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The position that the next event gets. Position 0 is "before the first event", so that a
    /// subscriber can always name where it is.
    next: u64,
    decisions: Kept,
    control: Kept,
}

/// The latest events of one kind.
#[derive(Debug, Default)]
struct Kept {
    groups: VecDeque<Arc<Group>>,
    weight: usize,
    events: usize,
    /// Position of the newest event that was let go; 0 while none was.
    gone: u64,
}

impl Kept {
    fn add(&mut self, group: &Arc<Group>, most: usize) {
        self.weight += group.weight;
        self.events += group.events.len();
        self.groups.push_back(Arc::clone(group));
        while self.weight > most || self.events > EVENTS {
            let Some(oldest) = self.groups.pop_front() else { break };
            self.weight = self.weight.saturating_sub(oldest.weight);
            self.events = self.events.saturating_sub(oldest.events.len());
            self.gone = oldest.last();
        }
    }

    /// The groups in which events after `position` are.
    fn since(&self, position: u64) -> impl Iterator<Item = &Arc<Group>> {
        let first = self.groups.partition_point(|group| group.last() <= position);
        self.groups.range(first..)
    }
}

/// What is still kept of what followed a position.
#[derive(Debug, Default)]
pub(crate) struct Since {
    /// In order.
    pub(crate) groups: VecDeque<Weak<Group>>,
    /// Whether some of it was let go.
    pub(crate) gap: bool,
}

impl History {
    /// Position of the newest event.
    pub(crate) fn newest(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    pub(crate) fn knows(&self, position: u64) -> bool {
        position < self.next.max(1)
    }

    pub(crate) fn since(&self, position: u64) -> Since {
        let kept = self.decisions.since(position).chain(self.control.since(position));
        let mut groups: Vec<_> = kept.collect();
        groups.sort_by_key(|group| group.first());
        let gap = self.decisions.gone > position || self.control.gone > position;
        Since { groups: groups.into_iter().map(Arc::downgrade).collect(), gap }
    }

    /// Keeps events, and hands each group of them to `tell`.
    pub(crate) fn add(
        &mut self,
        events: Vec<Event>,
        foreign: bool,
        mut tell: impl FnMut(&Arc<Group>),
    ) {
        self.next = self.next.max(1);
        let mut group = Group { events: Vec::new(), weight: 0 };
        let mut left = events.len();
        for event in events {
            let (control, weight) = (event.is_control(), event.weight());
            let other = group.events.last().is_some_and(|last| last.event.is_control() != control);
            let full = group.weight + weight > GROUP || group.events.len() == GROUP_EVENTS;
            if !group.events.is_empty() && (other || full) {
                let next = Group { events: Vec::with_capacity(left.min(GROUP_EVENTS)), weight: 0 };
                self.keep(std::mem::replace(&mut group, next), &mut tell);
            }
            group.events.push(Published { position: self.next, event, foreign });
            group.weight += weight;
            self.next += 1;
            left -= 1;
        }
        if !group.events.is_empty() {
            self.keep(group, &mut tell);
        }
    }

    fn keep(&mut self, group: Group, tell: &mut impl FnMut(&Arc<Group>)) {
        let control = group.events.iter().any(|published| published.event.is_control());
        let group = Arc::new(group);
        if control {
            self.control.add(&group, CONTROL);
        } else {
            self.decisions.add(&group, DECISIONS);
        }
        tell(&group);
    }

    #[cfg(test)]
    pub(crate) fn weight(&self) -> usize {
        self.decisions.weight + self.control.weight
    }
}
