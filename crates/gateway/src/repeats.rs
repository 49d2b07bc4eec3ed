//! Repeats of a call, across sessions: the same principal, tool and arguments within a short time.
//! Some clients send a call again when a stream broke, when a result did not please them, or after
//! a timeout of their own; a tool that is not idempotent must not act twice by that.
//!
//! A tool that says of itself that it is neither read-only nor idempotent is called once: repeats
//! wait for the first call and get its result. Of a tool that says nothing, a result is kept only
//! when the client was gone before it got it, and the next one who asks the same gets that.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sentinel_core::check::ArgumentHash;
use sentinel_core::id::DecisionId;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::SetOnce;

use crate::authority::Ended;
use sentinel_mcp_protocol::jsonrpc::Object;

/// How long after its end a call is recognised.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Calls that are remembered at one time; a call beyond that is not recognised.
const MAX_CALLS: usize = 4096;
/// Largest result that is kept, and all of them together, in bytes.
const MAX_RESULT: usize = 64 * 1024;
const MAX_RESULTS: usize = 16 * 1024 * 1024;

/// What a tool says of acting twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It is read-only or idempotent: repeats are calls like any other.
    Harmless,
    /// It does not say.
    Unknown,
    /// It says that it is neither.
    Once,
}

/// By what repeats are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// The calls that are remembered.
#[derive(Debug)]
pub struct Repeats {
    window: Duration,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    calls: HashMap<Key, Arc<First>>,
    /// Ended ones, in the order in which they ended.
    ended: VecDeque<(Instant, Key, Arc<First>)>,
    bytes: usize,
}

/// A call that repeats may come of.
#[derive(Debug, Default)]
pub struct First(SetOnce<Ending>);

/// How it ended.
#[derive(Debug, Clone)]
pub struct Ending {
    pub ended: Ended,
    /// `None` when the call was not made.
    pub decision: Option<DecisionId>,
    /// `None` when there is none, or it is too large to be kept.
    pub result: Option<Arc<Object>>,
    bytes: usize,
}

/// What to do with a call.
#[derive(Debug)]
pub enum Turn<'a> {
    /// Make it.
    Make(Ticket<'a>),
    /// It repeats this one.
    Repeats(Arc<First>),
}

/// A call that is being made. Dropped without an end, it was not made, unless it was sent.
#[derive(Debug)]
pub struct Ticket<'a> {
    repeats: &'a Repeats,
    key: Key,
    manner: Manner,
    /// What repeats wait for; `None` when it is not recognised.
    first: Option<Arc<First>>,
    /// The decision it was sent by.
    sent: Option<DecisionId>,
}

impl Manner {
    /// As the annotations of a tool say. They are hints: a server that claims to be harmless is
    /// harmed by nothing but its own repeats.
    #[must_use]
    pub fn of(definition: &Object) -> Self {
        let annotations = definition.get("annotations").and_then(Value::as_object);
        let hint = |name| annotations.and_then(|all| all.get(name)).and_then(Value::as_bool);
        match (hint("readOnlyHint"), hint("idempotentHint")) {
            (Some(true), _) | (_, Some(true)) => Self::Harmless,
            (None, None) if hint("destructiveHint") != Some(true) => Self::Unknown,
            _ => Self::Once,
        }
    }
}

impl Key {
    /// The key of a call of `tool`, under its name in the registry.
    #[must_use]
    pub fn new(principal: &str, tool: &str, arguments: ArgumentHash) -> Self {
        let mut hash = Sha256::new();
        for part in [principal, tool] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.update(arguments.0);
        Self(hash.finalize().into())
    }
}

impl Default for Repeats {
    fn default() -> Self {
        Self::new(WINDOW)
    }
}

impl Repeats {
    /// Recognises repeats for `window` after the end of a call; zero recognises none.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window, memory: Mutex::default() }
    }

    /// Whether a call is to be made.
    pub fn enter(&self, key: Key, manner: Manner) -> Turn<'_> {
        let ticket = |first| Turn::Make(Ticket { repeats: self, key, manner, first, sent: None });
        if manner == Manner::Harmless || self.window.is_zero() {
            return ticket(None);
        }
        let mut memory = self.memory();
        memory.forget(self.window);
        if manner == Manner::Unknown
            && let Some(lost) = memory.calls.remove(&key)
        {
            // Handed out once: the call after that may well be meant.
            return Turn::Repeats(lost);
        }
        if let Some(first) = memory.calls.get(&key) {
            return Turn::Repeats(Arc::clone(first));
        }
        if manner != Manner::Once || memory.calls.len() >= MAX_CALLS {
            return ticket(None);
        }
        let first = Arc::<First>::default();
        memory.calls.insert(key, Arc::clone(&first));
        ticket(Some(first))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn forget(&mut self, window: Duration) {
        while self.ended.front().is_some_and(|(at, ..)| at.elapsed() >= window) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, key, first)) = self.ended.pop_front() else { return };
        self.bytes = self.bytes.saturating_sub(first.0.get().map_or(0, |ending| ending.bytes));
        if self.calls.get(&key).is_some_and(|known| Arc::ptr_eq(known, &first)) {
            self.calls.remove(&key);
        }
    }

    fn remember(&mut self, key: Key, first: Arc<First>, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.calls.insert(key, Arc::clone(&first));
        self.ended.push_back((Instant::now(), key, first));
        while self.bytes > MAX_RESULTS || self.ended.len() > MAX_CALLS {
            self.forget_oldest();
        }
    }
}

impl First {
    /// Waits until the call has ended, or was not made after all.
    pub async fn ended(&self) -> Ending {
        self.0.wait().await.clone()
    }
}

impl Ticket<'_> {
    /// Says that the call is about to be sent: from here on it may have been carried out.
    pub fn send(&mut self, decision: DecisionId) {
        self.sent = Some(decision);
    }

    /// Says how the call ended. `bytes` is the size of `result`; `lost` says that its client was
    /// gone by then.
    pub fn end(mut self, ended: Ended, (result, bytes): (&Object, usize), lost: bool) {
        let first = match (self.first.take(), self.manner) {
            (Some(first), _) => first,
            (None, Manner::Unknown) if lost && ended == Ended::Executed => Arc::default(),
            (None, _) => return,
        };
        let fits = bytes <= MAX_RESULT;
        let ending = Ending {
            ended,
            decision: self.sent,
            result: fits.then(|| Arc::new(result.clone())),
            bytes: if fits { bytes } else { 0 },
        };
        self.keep(first, ending);
    }

    fn keep(&self, first: Arc<First>, ending: Ending) {
        let (made, bytes) = (ending.ended != Ended::NotExecuted, ending.bytes);
        // It ends once: what ends it takes it out of the ticket.
        drop(first.0.set(ending));
        let mut memory = self.repeats.memory();
        if made {
            memory.remember(self.key, first, bytes);
        } else if memory.calls.get(&self.key).is_some_and(|known| Arc::ptr_eq(known, &first)) {
            // The next call is made in its place.
            memory.calls.remove(&self.key);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(first) = self.first.take() {
            let ended = if self.sent.is_some() { Ended::Unconfirmed } else { Ended::NotExecuted };
            self.keep(first, Ending { ended, decision: self.sent, result: None, bytes: 0 });
        }
    }
}
