//! The files of an archive, and their digests.

use std::collections::BTreeMap;

use sentinel_provenance::Sha256Digest;
use serde::de::DeserializeOwned;

use super::problems::{Check, Problems};
use crate::layout::{ABOUT, About, CONSISTENCY, DECISIONS, MANIFESTS, SUMS, TRUSTED_ROOT};

#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) about: Option<About>,
    found: BTreeMap<String, Sha256Digest>,
    sums: BTreeMap<String, Sha256Digest>,
    pub(super) problems: Problems,
}

impl Files {
    pub(super) fn found(&mut self, path: &str, digest: Sha256Digest) {
        if self.found.insert(path.to_owned(), digest).is_some() {
            self.problems.add(format!("`{path}` is there twice"));
        }
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self, path: &str, bytes: &[u8]) -> Option<T> {
        match serde_json::from_slice(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.add(format!("`{path}`: {error}"));
                None
            }
        }
    }

    pub(super) fn sums(&mut self, text: &str) {
        for line in text.lines() {
            let parsed = line
                .split_once("  ")
                .and_then(|(digest, path)| Some((Sha256Digest::from_hex(digest)?, path)));
            match parsed {
                Some((digest, path)) => drop(self.sums.insert(path.to_owned(), digest)),
                None => self.problems.add(format!("`{SUMS}` has a line that is not a digest")),
            }
        }
    }

    pub(super) fn compare(&mut self) {
        for (path, digest) in &self.sums {
            match self.found.get(path) {
                Some(actual) if actual == digest => {}
                Some(_) => self.problems.add(format!("`{path}` was changed")),
                None => self.problems.add(format!("`{path}` is missing")),
            }
        }
        for path in self.found.keys().filter(|path| *path != SUMS) {
            if !self.sums.contains_key(path) {
                self.problems.add(format!("`{path}` was added"));
            }
        }
        for path in [SUMS, ABOUT, MANIFESTS, DECISIONS, CONSISTENCY, TRUSTED_ROOT] {
            if !self.found.contains_key(path) {
                self.problems.add(format!("`{path}` is missing"));
            }
        }
    }

    pub(super) fn check(self) -> Check {
        let passed = format!("{} as their digests say", self.found.len());
        self.problems.check("files", passed)
    }
}
