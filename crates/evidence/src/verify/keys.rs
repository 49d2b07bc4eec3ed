//! The keys that are trusted, and what statements about keys prove.

use std::collections::BTreeSet;

use sentinel_provenance::{Bundle, KeyEventKind, KeyEvents, PublicKey, SigningKeyEvent, Statement};

use super::logs::Logs;
use super::problems::{Check, Problems};
use crate::layout::key_file;

#[derive(Debug)]
pub(super) struct Keys {
    /// Those that were given, or those in the archive.
    trusted: Vec<PublicKey>,
    given: bool,
    /// Statements about keys that were not read yet, with their paths.
    said: Vec<(String, Vec<u8>)>,
    /// What they prove, once the first manifest is verified.
    events: Option<KeyEvents>,
    /// Fingerprints of the keys that signed bundles.
    pub(super) used: BTreeSet<String>,
    problems: Problems,
}

impl Keys {
    pub(super) fn new(given: Vec<PublicKey>) -> Self {
        Self {
            given: !given.is_empty(),
            trusted: given,
            said: Vec::new(),
            events: None,
            used: BTreeSet::new(),
            problems: Problems::default(),
        }
    }

    /// A key in the archive, which is trusted unless keys were given.
    pub(super) fn file(&mut self, path: &str, pem: &str) {
        if self.given {
            return;
        }
        match PublicKey::from_spki_pem(pem) {
            Ok(key) if key_file(key.hint()) == path => self.trusted.push(key),
            _ => self.problems.add(format!("`{path}` is not the key that it is named after")),
        }
    }

    pub(super) fn statement(&mut self, path: &str, bundle: Vec<u8>) {
        self.said.push((path.to_owned(), bundle));
    }

    /// What statements about keys prove; `None` until they are read, or when one proves nothing.
    pub(super) const fn events(&self) -> Option<&KeyEvents> {
        self.events.as_ref()
    }

    /// Reads the statements, once, before the first manifest: all of them are in front of it.
    pub(super) fn read_statements(&mut self, logs: &mut Logs) {
        let Some(trust) = logs.trust.as_ref().filter(|_| self.events.is_none()) else { return };
        let said: Vec<_> = self.said.iter().map(|(_, json)| json.clone()).collect();
        if !self.given {
            // Those that are certified are believed as their certificates say.
            let certified: BTreeSet<_> = said.iter().filter_map(|json| certified(json)).collect();
            self.trusted.retain(|key| !certified.contains(key.hint()));
        }
        match KeyEvents::read(&said, &self.trusted, trust) {
            Ok(events) => self.events = Some(events),
            Err((position, error)) => {
                let path = self.said.get(position).map(|(path, _)| path.as_str());
                let problem = format!("`{}`: {error}", path.unwrap_or_default());
                // It is reported once, and no manifest is believed.
                if self.problems.is_empty() {
                    self.problems.add(problem);
                }
                return;
            }
        }
        for (_, json) in std::mem::take(&mut self.said) {
            if let Ok(bundle) = Bundle::parse(&json) {
                logs.prove(&bundle);
            }
        }
    }

    pub(super) fn check(self) -> Check {
        let keys = if self.given { "given" } else { "in the archive" };
        let passed = format!("{} used, all {keys}, none revoked before", self.used.len());
        self.problems.check("keys", passed)
    }
}

/// Fingerprint of the key that a statement certifies.
fn certified(json: &[u8]) -> Option<String> {
    let bundle = Bundle::parse(json).ok()?;
    let statement = Statement::<SigningKeyEvent>::parse(bundle.envelope.payload()).ok()?;
    let said = statement.predicate();
    (said.event == KeyEventKind::Certified).then(|| said.hint.clone())
}
