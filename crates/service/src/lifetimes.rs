//! When kills that expire may end. A clock can jump ahead, or be set ahead for good; a kill must
//! not end early by that. So it ends only once the time that was left when this process first saw
//! it has passed on a clock that does not jump, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sentinel_core::id::KillId;
use sentinel_core::kill::Kill;

/// For each kill that expires, the uptime before which it does not end.
#[derive(Debug, Default)]
pub(crate) struct Lifetimes(Mutex<HashMap<KillId, Duration>>);

impl Lifetimes {
    /// Those of `kills`, which are all that there are, that have expired by both clocks.
    pub(crate) fn over<'a>(
        &self,
        kills: impl Iterator<Item = &'a Arc<Kill>>,
        now: Timestamp,
        uptime: Duration,
    ) -> Vec<KillId> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut next, mut over) = (HashMap::new(), Vec::new());
        for (kill, expires) in kills.filter_map(|kill| Some((kill, kill.expires_at?))) {
            let left = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
            let earliest = known.get(&kill.id).copied();
            let earliest = earliest.unwrap_or_else(|| uptime.saturating_add(left));
            if expires <= now && earliest <= uptime {
                over.push(kill.id);
            }
            next.insert(kill.id, earliest);
        }
        *known = next;
        over
    }
}
