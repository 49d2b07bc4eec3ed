//! What became of kills between two states: from this every event of a kill is made, so that none
//! can be lost on its way from where the kill was made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Kill, KillState};
use crate::id::KillId;

/// A kill that came into force, or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillChange {
    Began(Arc<Kill>),
    Ended(Arc<Kill>),
}

impl KillState {
    /// What happened since `before`, those of self-tests left out. What came into force and is so
    /// still comes last: a listener that only looks at the last word on a tool then holds it for
    /// stopped.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<KillChange> {
        let by_id = |state: &Self| -> HashMap<KillId, Arc<Kill>> {
            state.in_force().map(|kill| (kill.id, Arc::clone(kill))).collect()
        };
        let (mut was, is) = (by_id(before), by_id(self));
        let told: HashSet<KillId> = before.ended().map(|kill| kill.id).collect();
        let mut changes = Vec::new();
        for kill in self.ended().filter(|kill| !kill.is_self_test()) {
            if was.remove(&kill.id).is_some() {
                changes.push(KillChange::Ended(Arc::clone(kill)));
            } else if !told.contains(&kill.id) && has_begun(kill) {
                changes.push(KillChange::Began(Arc::clone(kill)));
                changes.push(KillChange::Ended(Arc::clone(kill)));
            }
        }
        // What is gone without a word: an older copy of the store was put in place.
        let lost = was.values().filter(|kill| !is.contains_key(&kill.id));
        changes.extend(lost.cloned().map(KillChange::Ended));
        let old = by_id(before);
        let mut began: Vec<_> =
            is.into_values().filter(|kill| !old.contains_key(&kill.id)).collect();
        began.sort_by_key(|kill| (kill.epoch, kill.id));
        changes.extend(began.into_iter().map(KillChange::Began));
        changes
    }
}

/// Whether a kill that has ended was ever in force, so that its end is news.
fn has_begun(kill: &Kill) -> bool {
    kill.starts_at.is_none() || kill.begun_at.is_some()
}
