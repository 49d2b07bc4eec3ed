//! How calls are enforced, and what all clients of a gateway share for that.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sentinel_telemetry::Source;
use uuid::Uuid;

use super::counts::Counts;
use super::meta_tool::MetaTool;
use super::state::Seal;
use crate::repeats::{Repeats, WINDOW};

/// How calls are enforced.
#[derive(Debug, Clone)]
pub struct Settings {
    pub sign: Sign,
    /// Tools that call other tools, by their names in the registry.
    pub meta_tools: BTreeMap<String, MetaTool>,
    /// How long after its end a call that must not act twice is recognised; zero never.
    pub repeats: Duration,
}

/// When the outcome of a call is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sign {
    /// Before the client gets its result, which then names the manifest.
    #[default]
    Before,
    /// At the same time.
    After,
    /// Never. The decision is recorded all the same.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sign: Sign::default(), meta_tools: BTreeMap::new(), repeats: WINDOW }
    }
}

/// What all clients of a gateway share. There is one for each process.
#[derive(Debug)]
pub struct Enforcement {
    pub(super) settings: Settings,
    pub(super) repeats: Repeats,
    pub(super) counts: Counts,
    pub(super) seal: Seal,
}

impl Enforcement {
    /// `key` authenticates the state of calls that wait for their client. Replicas that share it
    /// go on with each other's calls.
    #[must_use]
    pub fn new(settings: Settings, key: [u8; 32]) -> Self {
        let repeats = Repeats::new(settings.repeats);
        Self { settings, repeats, counts: Counts::default(), seal: Seal::new(key) }
    }

    /// The one with the defaults, for clients that are given no other.
    pub(crate) fn of_process() -> Arc<Self> {
        static DEFAULTS: LazyLock<Arc<Enforcement>> = LazyLock::new(Arc::default);
        Arc::clone(&DEFAULTS)
    }

    /// The counts, for a scrape.
    #[must_use]
    pub fn source(self: &Arc<Self>) -> Source {
        let enforcement = Arc::downgrade(self);
        Source::new(move || {
            enforcement.upgrade().map(|all| all.counts.measures()).unwrap_or_default()
        })
    }
}

impl Default for Enforcement {
    /// With a key of its own.
    fn default() -> Self {
        let mut key = [0; 32];
        let random = [Uuid::new_v4(), Uuid::new_v4()];
        let bytes = random.iter().flat_map(Uuid::as_bytes);
        key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self::new(Settings::default(), key)
    }
}
