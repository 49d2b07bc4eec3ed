//! What an archive says of itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ArchiveError;
use crate::month::Month;
use crate::part::MAX_PART;
use crate::tally::Content;

/// The format that this version writes and reads.
pub(crate) const FORMAT: &str = "sentinel-decisions/1";

/// The manifest of one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    pub month: Month,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub made: Made,
    pub content: Content,
    /// In the order of their decisions.
    pub parts: Vec<Part>,
}

/// Where an archive came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    pub at: Timestamp,
    /// Program and version.
    pub by: String,
    /// Version of the schema of the database.
    pub schema_version: u32,
}

/// One file of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name within the folder of the month.
    pub name: String,
    pub count: u64,
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// Of the lines.
    pub bytes: u64,
    /// SHA-256 of the lines, in hexadecimal digits.
    pub sha256: String,
    /// Of the file.
    pub compressed_bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub compressed_sha256: String,
}

impl Part {
    /// Named by what it holds: a name that is taken is taken by the same bytes.
    pub(crate) fn name_of(index: usize, compressed_sha256: &str) -> String {
        format!("{:05}-{compressed_sha256}.ndjson.gz", index + 1)
    }
}

impl Manifest {
    /// Reads the manifest of `month`, and checks all that can be seen without the parts.
    pub(crate) fn parse(month: Month, json: &[u8]) -> Result<Self, ArchiveError> {
        let damaged = |what: String| ArchiveError::Damaged { month, what };
        let manifest: Self = serde_json::from_slice(json)
            .map_err(|error| damaged(format!("its manifest does not parse: {error}")))?;
        manifest.problem().map_or(Ok(()), |what| Err(damaged(what)))?;
        if manifest.month != month {
            let what = format!("its manifest is that of `{}`", manifest.month);
            return Err(damaged(what));
        }
        Ok(manifest)
    }

    fn problem(&self) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("its format is `{}`, not `{FORMAT}`", self.format));
        }
        if (self.from, self.to) != (self.month.start(), self.month.end()) {
            return Some("the range in its manifest is not that of the month".to_owned());
        }
        for (index, part) in self.parts.iter().enumerate() {
            // So a name leads nowhere but to a file beside the manifest.
            let hash = &part.compressed_sha256;
            let digits = hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
            if !digits || part.name != Part::name_of(index, hash) {
                return Some(format!("part {} is called `{}`", index + 1, part.name));
            }
            if part.bytes > MAX_PART || part.compressed_bytes > MAX_PART {
                let name = &part.name;
                return Some(format!("part `{name}` claims to be longer than {MAX_PART} bytes"));
            }
        }
        None
    }
}
