//! `sentinel evidence`: what an auditor is handed about one tenant, and how it is checked.

mod archive;
mod export;
mod list;
mod readme;
mod report;
mod verify;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Outcome;

/// Version of the archive's layout.
const VERSION: u32 = 1;

/// Names within the archive.
const ABOUT: &str = "evidence.json";
const BUNDLES: &str = "bundles/";
const CHECKPOINTS: &str = "checkpoints/";
const CONSISTENCY: &str = "consistency.json";
const DECISIONS: &str = "decisions.ndjson";
const KEYS: &str = "keys/";
const KEY_EVENTS: &str = "key-events/";
const MANIFESTS: &str = "manifests.ndjson";
const README: &str = "README.md";
const REPORT: &str = "report.html";
const SALTS: &str = "salts.ndjson";
const SUMS: &str = "SHA256SUMS";
const TRUSTED_ROOT: &str = "trusted-root.json";

/// A line of a listing that is longer is not ours. Bytes.
const MAX_LINE: usize = 4 * 1024 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Collects what is recorded about a tenant in one archive, to be verified without a server.
    Export(export::Args),
    /// Verifies such an archive; needs no server.
    Verify(verify::Args),
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Export(args) => export::run(args, json).await,
        Command::Verify(args) => verify::run(&args, json),
    }
}

/// What an archive says it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    version: u32,
    tenant: String,
    /// Not before this time.
    from: Timestamp,
    /// Before this time.
    to: Timestamp,
    decisions: u64,
    manifests: u64,
}

/// That the tree of a log's newest checkpoint begins with that of an earlier state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consistency {
    /// Which log.
    origin: String,
    /// Entries of the earlier state.
    size: u64,
    proof: Vec<sentinel_provenance::Sha256Digest>,
}

/// The name of a key's file: its fingerprint has characters that no file name should have.
fn key_file(hint: &str) -> String {
    let name = hint.replace(['/', ':'], "_").replace('+', "-");
    format!("{KEYS}{name}.pem")
}

fn bundle_file(id: uuid::Uuid) -> String {
    format!("{BUNDLES}{id}.json")
}
