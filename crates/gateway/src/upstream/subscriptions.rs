//! Resources of which clients want to hear when they change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Resources of one server that are subscribed to at one time.
const MAX_RESOURCES: usize = 10_000;

/// How many subscriptions there are to each resource. The server has one for all clients.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<BTreeMap<String, usize>>);

impl Subscriptions {
    /// Adds or removes a subscription. Returns whether it was the first, or the last, of `uri`.
    pub(super) fn change(&self, uri: &str, add: bool) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (counts.get_mut(uri), add) {
            (Some(count), true) => {
                *count += 1;
                false
            }
            (Some(count), false) => {
                *count -= 1;
                let last = *count == 0;
                if last {
                    counts.remove(uri);
                }
                last
            }
            (None, true) => {
                let room = counts.len() < MAX_RESOURCES;
                if room {
                    counts.insert(uri.to_owned(), 1);
                }
                room
            }
            (None, false) => true,
        }
    }

    pub(super) fn resources(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_ends_it() {
        let subscriptions = Subscriptions::default();
        let steps = [(true, true), (true, false), (false, false), (false, true), (false, true)];
        for (add, changed) in steps {
            assert_eq!(subscriptions.change("file:///a", add), changed);
        }
        assert!(subscriptions.resources().is_empty());
    }
}
