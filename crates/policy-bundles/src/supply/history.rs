//! What was in force, and what may therefore not come back.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::SupplyError;
use crate::revision::compare;

/// Names of revisions that are remembered beyond the order that they have.
const MAX_PAST: usize = 1_000;

/// What was in force, of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) active: Option<Active>,
    /// The highest of each kind of revision that has an order.
    #[serde(default)]
    highest: Vec<String>,
    /// Those that were in force before, the oldest first.
    #[serde(default)]
    past: Vec<String>,
}

/// The bundle in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Active {
    pub(super) revision: String,
    /// Of the policy.
    pub(super) digest: String,
    /// Of the file.
    pub(super) sha256: String,
    pub(super) tag: Option<String>,
    /// The revision for when the manifest states none.
    pub(super) stated: Option<String>,
    pub(super) at: Timestamp,
}

impl History {
    /// Whether a revision may come into force: it is not a step back.
    pub(super) fn admit(&self, revision: &str, digest: &str) -> Result<(), SupplyError> {
        let refused = |why: String| Err(SupplyError::Rollback(why));
        if let Some(active) = &self.active
            && active.revision == revision
        {
            if active.digest == digest {
                return Ok(());
            }
            return refused(format!(
                "revision `{revision}` is in force with other contents; a revision names one policy"
            ));
        }
        if self.past.iter().any(|past| past == revision) {
            return refused(format!("revision `{revision}` was in force before and was replaced"));
        }
        let not_above = |highest: &&String| {
            compare(revision, highest).is_some_and(|order| order != Ordering::Greater)
        };
        match self.highest.iter().find(not_above) {
            Some(highest) => refused(format!(
                "revision `{revision}` is not above `{highest}`, which was in force before"
            )),
            None => Ok(()),
        }
    }

    /// The history once this one is in force.
    pub(super) fn with(&self, active: Active) -> Self {
        let mut next = self.clone();
        let replaced = next.active.replace(active.clone()).map(|old| old.revision);
        next.past.retain(|past| *past != active.revision);
        next.past.extend(replaced.filter(|old| *old != active.revision));
        let excess = next.past.len().saturating_sub(MAX_PAST);
        next.past.drain(..excess);
        let of_its_kind =
            next.highest.iter_mut().find(|highest| compare(&active.revision, highest).is_some());
        match of_its_kind {
            Some(highest) if compare(&active.revision, highest) == Some(Ordering::Greater) => {
                *highest = active.revision;
            }
            Some(_) => {}
            None if compare(&active.revision, &active.revision).is_some() => {
                next.highest.push(active.revision);
            }
            None => {}
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(revision: &str) -> Active {
        Active {
            revision: revision.to_owned(),
            digest: format!("digest of {revision}"),
            sha256: String::new(),
            tag: None,
            stated: None,
            at: "2026-11-24T10:00:00Z".parse().unwrap(),
        }
    }

    fn after(revisions: &[&str]) -> History {
        let start = History::default();
        revisions.iter().fold(start, |history, revision| history.with(active(revision)))
    }

    fn admits(history: &History, revision: &str) -> bool {
        history.admit(revision, &format!("digest of {revision}")).is_ok()
    }

    #[test]
    fn no_revision_comes_back() {
        let numbers = after(&["1", "2", "10"]);
        assert!(admits(&numbers, "10") && admits(&numbers, "11"));
        for old in ["1", "2", "9", "3", "010"] {
            assert!(!admits(&numbers, old), "{old}");
        }
        assert!(numbers.admit("10", "another digest").is_err());
        let commits = after(&["git:a", "git:b", "git:c"]);
        assert!(admits(&commits, "git:d") && admits(&commits, "git:c"));
        assert!(!admits(&commits, "git:a") && !admits(&commits, "git:b"));
        // A name of another kind between does not make one forget.
        let mixed = after(&["5", "git:a", "v1.0.0"]);
        for old in ["5", "4", "git:a", "1.0.0", "v0.9.0"] {
            assert!(!admits(&mixed, old), "{old}");
        }
        assert!(admits(&mixed, "6") && admits(&mixed, "v1.0.1"));
    }

    #[test]
    fn the_past_is_bounded_and_survives_being_written() {
        let names: Vec<_> = (0..MAX_PAST + 10).map(|n| format!("git:{n:x}-")).collect();
        let history = after(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(history.past.len(), MAX_PAST);
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}
