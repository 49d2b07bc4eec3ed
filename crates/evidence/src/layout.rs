//! The names in an archive, and the documents that only it has.

use jiff::Timestamp;
use sentinel_provenance::Sha256Digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;

/// Version of the layout.
pub const VERSION: u32 = 1;

pub const ABOUT: &str = "evidence.json";
pub const BUNDLES: &str = "bundles/";
pub const CHECKPOINTS: &str = "checkpoints/";
pub const CONSISTENCY: &str = "consistency.json";
pub const DECISIONS: &str = "decisions.ndjson";
pub const KEYS: &str = "keys/";
pub const KEY_EVENTS: &str = "key-events/";
pub const MANIFESTS: &str = "manifests.ndjson";
pub const README: &str = "README.md";
pub const REPORT: &str = "report.html";
pub const SALTS: &str = "salts.ndjson";
pub const SUMS: &str = "SHA256SUMS";
pub const TRUSTED_ROOT: &str = "trusted-root.json";

/// A longer line of a listing is neither written nor read. Bytes.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

/// What an archive says it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    pub version: u32,
    pub tenant: String,
    /// Not before this time.
    pub from: Timestamp,
    /// Before this time.
    pub to: Timestamp,
    pub decisions: u64,
    pub manifests: u64,
}

/// That the tree of a log's newest checkpoint begins with that of an earlier state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// Which log.
    pub origin: String,
    /// Entries of the earlier state.
    pub size: u64,
    pub proof: Vec<Sha256Digest>,
}

/// The name of a key's file: its fingerprint has characters that no file name should have.
#[must_use]
pub fn key_file(hint: &str) -> String {
    let name = hint.replace(['/', ':'], "_").replace('+', "-");
    format!("{KEYS}{name}.pem")
}

/// The name of the `number`th statement about a key.
#[must_use]
pub fn key_event_file(number: usize, event: &str) -> String {
    let event: String = event.chars().filter(char::is_ascii_alphabetic).collect();
    format!("{KEY_EVENTS}{number:04}-{event}.json")
}

/// The name of a manifest's bundle.
#[must_use]
pub fn bundle_file(id: Uuid) -> String {
    format!("{BUNDLES}{id}.json")
}

/// The path of a file within the archive, without the one folder that holds all.
pub(crate) fn inner_path(path: &[u8], folder: &mut Option<String>) -> Result<String, Error> {
    let refused = || Error::Stray(String::from_utf8_lossy(path).into_owned());
    let text = str::from_utf8(path).map_err(|_| refused())?;
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let (outer, inner) = text.split_once('/').ok_or_else(refused)?;
    if !text.split('/').all(plain) || text.contains(|c: char| c.is_control() || c == '\\') {
        return Err(refused());
    }
    if folder.get_or_insert_with(|| outer.to_owned()) != outer {
        return Err(refused());
    }
    Ok(inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_the_one_folder() {
        let mut folder = None;
        let mut inner = |path: &str| inner_path(path.as_bytes(), &mut folder).ok();
        assert_eq!(inner("evidence-a/keys/k.pem").as_deref(), Some("keys/k.pem"));
        for path in ["evidence-b/x", "x", "/x", "evidence-a/../x", "evidence-a//x", "evidence-a/"] {
            assert_eq!(inner(path), None, "{path}");
        }
        assert_eq!(inner("evidence-a/a\\b"), None);
        assert_eq!(inner("evidence-a/a\nb"), None);
    }
}
