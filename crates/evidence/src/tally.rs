//! How often each of something was allowed and denied.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, (u64, u64)>);

/// Most names that are counted each on its own.
const MAX_NAMES: usize = 1000;

impl Tally {
    pub(crate) fn count(&mut self, name: &str, allowed: bool) {
        let known = self.0.len() < MAX_NAMES || self.0.contains_key(name);
        let name = if known { name } else { "(all others)" };
        let (allows, denies) = self.0.entry(name.to_owned()).or_default();
        if allowed {
            *allows += 1;
        } else {
            *denies += 1;
        }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.0.iter().map(|(name, (allows, denies))| (name.as_str(), *allows, *denies))
    }
}
