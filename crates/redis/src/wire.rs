//! Groups of events as entries of a stream.

use std::collections::HashMap;

use redis::Value;
use sentinel_core::event::Event;
use uuid::Uuid;

/// Fields of an entry: who wrote it, its number among that replica's groups, and the events.
pub(crate) const REPLICA: &str = "r";
pub(crate) const NUMBER: &str = "n";
pub(crate) const EVENTS: &str = "e";

/// A group ready to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// A JSON array.
    pub(crate) json: Vec<u8>,
    pub(crate) events: usize,
}

/// Packs events, in order, into groups of at most `max_bytes`; also returns how many were left out
/// because one alone is larger.
pub(crate) fn pack(events: &[Event], max_bytes: usize) -> (Vec<Group>, usize) {
    let mut groups = Vec::new();
    let mut left_out = 0;
    let mut group = Group { json: vec![b'['], events: 0 };
    for event in events {
        // Two bytes for the brackets.
        let json = match serde_json::to_vec(event) {
            Ok(json) if json.len() + 2 <= max_bytes => json,
            Ok(_) | Err(_) => {
                left_out += 1;
                continue;
            }
        };
        if group.json.len() + json.len() + 2 > max_bytes && group.events > 0 {
            groups
                .push(close(std::mem::replace(&mut group, Group { json: vec![b'['], events: 0 })));
        }
        if group.events > 0 {
            group.json.push(b',');
        }
        group.json.extend(json);
        group.events += 1;
    }
    if group.events > 0 {
        groups.push(close(group));
    }
    (groups, left_out)
}

fn close(mut group: Group) -> Group {
    group.json.push(b']');
    group
}

/// An entry as read; `events` are read only when they are wanted.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) replica: Uuid,
    pub(crate) number: u64,
    pub(crate) events: Vec<u8>,
}

impl Entry {
    /// The entry of these fields; `None` when it is none.
    pub(crate) fn of(mut fields: HashMap<String, Value>) -> Option<Self> {
        let mut field = |name: &str| match fields.remove(name) {
            Some(Value::BulkString(value)) => Some(value),
            _ => None,
        };
        let replica = Uuid::try_parse_ascii(&field(REPLICA)?).ok()?;
        let number = std::str::from_utf8(&field(NUMBER)?).ok()?.parse().ok()?;
        Some(Self { replica, number, events: field(EVENTS)? })
    }

    pub(crate) fn read(&self) -> Result<Vec<Event>, serde_json::Error> {
        serde_json::from_slice(&self.events)
    }
}

/// The place of an entry in its stream, `milliseconds-sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position(u64, u64);

impl std::str::FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (millis, sequence) = text.split_once('-').ok_or(())?;
        Ok(Self(millis.parse().map_err(|_| ())?, sequence.parse().map_err(|_| ())?))
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}
