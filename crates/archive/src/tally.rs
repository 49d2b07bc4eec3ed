//! What a month holds, counted and hashed decision by decision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::ArchiveError;
use crate::line::{self, MAX_LINE};
use crate::month::Month;

/// What a month holds. Two months with the same content hold the same decisions in the same order,
/// however they are divided into parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    pub count: u64,
    pub allowed: u64,
    pub denied: u64,
    /// Decisions of each tenant.
    pub tenants: BTreeMap<String, u64>,
    /// Decisions about tenants that did not exist. Their names are the callers' choice, so there is
    /// no bound to how many there are, and they are not counted apart.
    pub unknown_tenant: u64,
    pub first_sequence: Option<u64>,
    pub last_sequence: Option<u64>,
    /// The earliest and the latest time; near to, but not always, those of the first and the last.
    pub first_time: Option<Timestamp>,
    pub last_time: Option<Timestamp>,
    /// Of all lines, one after the other.
    pub bytes: u64,
    /// SHA-256 of all lines, in hexadecimal digits.
    pub sha256: String,
}

/// Counts and hashes decisions in the order in which they come.
#[derive(Debug, Clone)]
pub struct Tally {
    month: Month,
    content: Content,
    digest: Sha256,
}

impl Tally {
    #[must_use]
    pub fn new(month: Month) -> Self {
        let content = Content {
            count: 0,
            allowed: 0,
            denied: 0,
            tenants: BTreeMap::new(),
            unknown_tenant: 0,
            first_sequence: None,
            last_sequence: None,
            first_time: None,
            last_time: None,
            bytes: 0,
            sha256: String::new(),
        };
        Self { month, content, digest: Sha256::new() }
    }

    /// Counts decisions, in a thread that may be busy for some time.
    ///
    /// # Errors
    /// When one of them cannot be a line of this month's archive.
    pub async fn count_all(mut self, records: Vec<DecisionRecord>) -> Result<Self, ArchiveError> {
        let counting = tokio::task::spawn_blocking(move || {
            for record in records {
                self.write(record)?;
            }
            Ok(self)
        });
        counting.await?
    }

    /// Counts one decision; returns its line, with the end of the line.
    pub(crate) fn write(&mut self, record: DecisionRecord) -> Result<Vec<u8>, ArchiveError> {
        let (month, id) = (self.month, record.id);
        let unwritable = |what: String| ArchiveError::Unwritable { month, what };
        if !month.contains(record.created_at) {
            let what = format!("`{id}` was made at `{}`", record.created_at);
            return Err(unwritable(what));
        }
        self.add(&record);
        let mut line = line::write(record).map_err(|error| unwritable(error.to_string()))?;
        line.push(b'\n');
        if line.len() > MAX_LINE {
            return Err(unwritable(format!("`{id}` is longer than {MAX_LINE} bytes")));
        }
        self.hash(&line);
        Ok(line)
    }

    /// Counts a line that was read, its end included, and the decision that it is.
    pub(crate) fn read(&mut self, record: &DecisionRecord, line: &[u8]) {
        self.add(record);
        self.hash(line);
    }

    fn hash(&mut self, line: &[u8]) {
        self.digest.update(line);
        self.content.bytes = self.content.bytes.saturating_add(line.len() as u64);
    }

    fn add(&mut self, record: &DecisionRecord) {
        let content = &mut self.content;
        content.count += 1;
        if record.allow {
            content.allowed += 1;
        } else {
            content.denied += 1;
        }
        if record.tenant_id.is_none() {
            content.unknown_tenant += 1;
        } else if let Some(count) = content.tenants.get_mut(record.tenant.as_str()) {
            *count += 1;
        } else {
            content.tenants.insert(record.tenant.to_string(), 1);
        }
        content.first_sequence = content.first_sequence.or(Some(record.sequence));
        content.last_sequence = Some(record.sequence);
        let at = record.created_at;
        content.first_time = Some(content.first_time.map_or(at, |first| first.min(at)));
        content.last_time = Some(content.last_time.map_or(at, |last| last.max(at)));
    }

    /// What was counted.
    #[must_use]
    pub fn content(self) -> Content {
        Content { sha256: hex::encode(self.digest.finalize()), ..self.content }
    }
}
