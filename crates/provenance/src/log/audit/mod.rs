//! The full audit of a log, from its files alone.
//!
//! Everything is recomputed from the entries: each leaf, each hash tile, the root,
//! which must be that of the signed checkpoint, and the root at the size of every
//! checkpoint that was kept. Only one history can satisfy all of these. The files
//! are passed in one by one, in the order of [`log_files`], and are not kept. Of
//! each entry 16 bytes remain, to detect entries that are in the log twice.
//!
//! ```
//! # use std::collections::BTreeMap;
//! # use sentinel_provenance::{EcdsaP256Signer, Envelope, Signer as _};
//! # use sentinel_provenance::log::{
//! #     Checkpoint, Ed25519NoteSigner, Frontier, Growth, HashedRekord, NoteSigner as _, Tile,
//! #     encode_entries,
//! # };
//! use sentinel_provenance::log::{Audit, Expectations, LogFile, ReadFile, log_files};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let signer = EcdsaP256Signer::generate()?;
//! # let log = Ed25519NoteSigner::generate("log.example")?;
//! # let envelope = Envelope::sign(b"{}".to_vec(), &signer)?;
//! # let leaf = HashedRekord::of(&envelope, signer.public_key());
//! # let growth = Growth::of(&Frontier::new(), &[leaf.leaf_hash()], |_| Err("none"))?;
//! # let (tile, hashes) = &growth.tiles[0];
//! # let files = BTreeMap::from([
//! #     (tile.to_string(), Tile::write_hashes(hashes)),
//! #     ("tile/entries/000.p/1".to_owned(), encode_entries([leaf.to_bytes()])?),
//! # ]);
//! # let checkpoint = Checkpoint::new("log.example", 1, growth.frontier.root())?;
//! # let note = checkpoint.sign(&log)?.to_string();
//! let mut audit = Audit::begin(&note, log.verifier_key(), Expectations::default())?;
//! for path in log_files(audit.size()) {
//!     let file = match files.get(&path.to_string()) {
//!         Some(bytes) => LogFile::Found(bytes.clone()),
//!         None => LogFile::Absent,
//!     };
//!     audit.take(ReadFile::of(path, &file));
//! }
//! let report = audit.finish();
//! assert!(report.sound(), "{:?}", report.findings);
//! # Ok(())
//! # }
//! ```

mod expectations;
mod file;
mod finding;
mod state;
mod succession;

use std::collections::BTreeMap;
use std::mem;

pub use expectations::{Expectations, Retained, Revoked};
pub use file::{LogFile, MAX_LOG_FILE_BYTES, ReadFile, log_files};
pub use finding::{Contradiction, Finding};
pub use state::{AuditState, AuditStateError, MAX_AUDIT_STATE_BYTES};
pub use succession::Succession;

use crate::digest::Sha256Digest;
use crate::log::audit::file::{Content, Leaf};
use crate::log::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::log::frontier::Frontier;
use crate::log::merkle::perfect_root;
use crate::log::note_key::VerifierKey;
use crate::log::tile::{TILE_WIDTH, Tile, TilePath};

/// The most findings that are listed; further ones are counted. Damage spreads, and the
/// first findings show where it begins.
const MAX_FINDINGS: usize = 100;

/// The most keys whose entries are counted separately.
const MAX_KEYS: usize = 1000;

/// Entries for which memory is reserved at the start. The claimed size is not trusted.
const MAX_RESERVED: usize = 1 << 24;

/// An audit in progress, of a log whose checkpoint is valid.
#[derive(Debug)]
pub struct Audit {
    checkpoint: SignedCheckpoint,
    expected: Expectations,
    /// How many of the expected checkpoints and entries were reached.
    reached: Reached,
    /// The kept checkpoints that the entries do not match.
    contradicted: Vec<Retained>,
    frontier: Frontier,
    /// The hashes of the tile at the right edge of each level.
    edge: Vec<Vec<Sha256Digest>>,
    /// The leaves whose tile comes next.
    leaves: Option<Vec<Leaf>>,
    /// Whether every leaf so far is known, at least by its hash.
    whole: bool,
    seen: Vec<(u64, u64)>,
    signers: BTreeMap<String, u64>,
    findings: Vec<Finding>,
    omitted: u64,
}

#[derive(Debug, Default)]
struct Reached {
    retained: usize,
    entries: usize,
    /// Entries that are what a bundle proves.
    found: usize,
}

/// The result of an audit.
#[derive(Debug)]
pub struct AuditReport {
    /// The checkpoint that was audited.
    pub checkpoint: SignedCheckpoint,
    /// Valid entries, by the fingerprint of their key.
    pub signers: BTreeMap<String, u64>,
    /// How many of the kept checkpoints match.
    pub retained: usize,
    /// How many entries of bundles are at their places.
    pub entries: usize,
    /// The findings, the most severe first.
    pub findings: Vec<Finding>,
    /// How many further findings there are.
    pub omitted: u64,
}

impl AuditReport {
    /// Whether there is no finding.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds what was found beside the log itself.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.findings.sort_by_key(Finding::rank);
    }
}

impl Audit {
    /// Begins with the log's checkpoint, which `key` must have signed.
    ///
    /// # Errors
    /// [`Finding::Checkpoint`] when it did not. Then there is nothing to audit.
    pub fn begin(
        note: &str,
        key: &VerifierKey,
        mut expected: Expectations,
    ) -> Result<Self, Finding> {
        let checkpoint = Checkpoint::open(note, key)?;
        expected.sort();
        let entries = usize::try_from(checkpoint.size()).unwrap_or(usize::MAX);
        let mut audit = Self {
            seen: Vec::with_capacity(entries.min(MAX_RESERVED)),
            findings: mem::take(&mut expected.findings),
            checkpoint,
            expected,
            reached: Reached::default(),
            contradicted: Vec::new(),
            frontier: Frontier::new(),
            edge: Vec::new(),
            leaves: None,
            whole: true,
            signers: BTreeMap::new(),
            omitted: 0,
        };
        audit.compare_notes();
        // Every tree begins with the empty one.
        let empty = |kept: &&Retained| kept.checkpoint.size() == 0;
        audit.reached.retained = audit.expected.retained.iter().take_while(empty).count();
        Ok(audit)
    }

    /// How many entries the log has: see [`log_files`].
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// How many entries were recomputed so far.
    #[must_use]
    pub const fn audited(&self) -> u64 {
        self.frontier.size()
    }

    /// Takes the next file.
    pub fn take(&mut self, file: ReadFile) {
        for finding in file.findings {
            self.find(finding);
        }
        match file.content {
            Content::Entries(leaves) => self.leaves = leaves,
            Content::Hashes(tile, hashes) if tile.level() == 0 => {
                self.lowest(tile, hashes.as_deref())
            }
            Content::Hashes(tile, hashes) => self.above(tile, hashes.as_deref()),
        }
    }

    /// The report, after the last file.
    #[must_use]
    pub fn finish(mut self) -> AuditReport {
        self.find_twice();
        self.whole &= self.frontier.size() == self.checkpoint.size();
        let served = Retained {
            checkpoint: self.checkpoint.clone(),
            label: expectations::SERVED.to_owned(),
        };
        let sound = self.whole && self.frontier.root() == self.checkpoint.root();
        let contradicted = mem::take(&mut self.contradicted);
        let held = self.reached.retained - contradicted.len();
        if sound {
            // The entries lead to what was signed last, and not to what was signed before.
            // Notes of one size were compared at the beginning.
            let size = self.checkpoint.size();
            for kept in contradicted.into_iter().filter(|kept| kept.checkpoint.size() != size) {
                self.find(kept.against(&served).fork());
            }
        } else {
            let held_sizes = self.expected.retained.iter().take(self.reached.retained);
            let unsound = contradicted.first().map(|kept| kept.checkpoint.size());
            let before = |size: &u64| unsound.is_none_or(|unsound| *size < unsound);
            let sound = held_sizes.map(|kept| kept.checkpoint.size()).filter(before).max();
            if self.whole {
                self.find(Finding::Root {
                    size: self.checkpoint.size(),
                    computed: self.frontier.root(),
                    signed: self.checkpoint.root(),
                    sound,
                    unsound,
                });
            }
        }
        self.findings.sort_by_key(Finding::rank);
        AuditReport {
            checkpoint: self.checkpoint,
            signers: self.signers,
            retained: held,
            entries: self.reached.found,
            findings: self.findings,
            omitted: self.omitted,
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS || finding.rank() == 0 {
            self.findings.push(finding);
        } else {
            self.omitted += 1;
        }
    }

    /// Compares the notes alone.
    fn compare_notes(&mut self) {
        if let Some(policy) = &self.expected.witnesses
            && let Err(error) = self.checkpoint.cosignatures(policy)
        {
            self.findings.push(error.into());
        }
        let served = Retained {
            checkpoint: self.checkpoint.clone(),
            label: expectations::SERVED.to_owned(),
        };
        let mut notes: Vec<_> = self.expected.retained.iter().chain([&served]).collect();
        notes.sort_by_key(|note| note.checkpoint.size());
        let mut found = Vec::new();
        for pair in notes.windows(2) {
            if let [one, other] = pair
                && one.checkpoint.size() == other.checkpoint.size()
                && one.checkpoint.root() != other.checkpoint.root()
            {
                found.push(one.against(other).fork());
            }
        }
        // Only the largest rollback is reported.
        if let Some(last) = self.expected.retained.last()
            && last.checkpoint.size() > served.checkpoint.size()
        {
            found.push(Finding::Rollback(Box::new(last.against(&served))));
        }
        self.findings.extend(found);
    }

    /// A tile of leaf hashes, right after the entries that it is about.
    fn lowest(&mut self, tile: Tile, hashes: Option<&[Sha256Digest]>) {
        let first = tile.index() * u64::from(TILE_WIDTH);
        let read = self.leaves.take();
        // If entries are lost, their hashes still show whether the others are valid.
        let row: Vec<_> = match &read {
            Some(leaves) => leaves.iter().map(|leaf| leaf.hash).collect(),
            None => hashes.unwrap_or_default().to_vec(),
        };
        if let (Some(_), Some(hashes)) = (&read, hashes) {
            self.compare(tile, &row, hashes);
        }
        if let Some(leaves) = read {
            self.leaves_at(first, leaves);
        }
        if row.len() != usize::from(tile.width()) {
            self.whole = false;
        }
        if self.whole {
            for hash in &row {
                self.append(*hash);
            }
            self.grow(0, tile, &row);
        }
    }

    fn above(&mut self, tile: Tile, hashes: Option<&[Sha256Digest]>) {
        if !self.whole {
            return;
        }
        let level = usize::from(tile.level());
        let row = self.edge.get_mut(level).map(mem::take).unwrap_or_default();
        if let Some(hashes) = hashes {
            self.compare(tile, &row, hashes);
        }
        self.grow(level, tile, &row);
    }

    /// Hands a full row's root to the level above.
    fn grow(&mut self, level: usize, tile: Tile, row: &[Sha256Digest]) {
        let above = level + 1;
        if self.edge.len() <= above {
            self.edge.resize(above + 1, Vec::new());
        }
        if tile.is_full()
            && let (Some(root), Some(edge)) = (perfect_root(row), self.edge.get_mut(above))
        {
            edge.push(root);
        }
    }

    fn compare(&mut self, tile: Tile, computed: &[Sha256Digest], hashes: &[Sha256Digest]) {
        let differs = computed.iter().zip(hashes).position(|(one, other)| one != other);
        let differs = differs.or((computed.len() != hashes.len()).then_some(0));
        let Some(position) = differs else { return };
        let below = 1_u64.checked_shl(8 * u32::from(tile.level())).unwrap_or(u64::MAX);
        let number = tile.index() * u64::from(TILE_WIDTH) + position as u64;
        let first = number.saturating_mul(below);
        let last = first.saturating_add(below - 1);
        self.find(Finding::Hash { path: TilePath::Hashes(tile), first, last });
    }

    fn leaves_at(&mut self, first: u64, leaves: Vec<Leaf>) {
        for (index, leaf) in (first..).zip(leaves) {
            let [a, b, c, d, e, f, g, h, ..] = *leaf.about.as_bytes();
            self.seen.push((u64::from_be_bytes([a, b, c, d, e, f, g, h]), index));
            let Some(key) = leaf.key else { continue };
            let revoked = self.expected.revoked.iter().find(|revoked| revoked.key == key);
            if let Some(since) =
                revoked.map(|revoked| revoked.since).filter(|since| index >= *since)
            {
                self.find(Finding::Revoked { index, key: key.clone(), since });
            }
            if let Some(count) = self.signers.get_mut(&key) {
                *count += 1;
            } else if self.signers.len() < MAX_KEYS {
                self.signers.insert(key, 1);
            }
        }
    }

    /// Adds a leaf, which must agree with everything that is known about its place.
    fn append(&mut self, hash: Sha256Digest) {
        let index = self.frontier.size();
        if self.frontier.append(hash).is_err() {
            self.whole = false;
            return;
        }
        let mut found = Vec::new();
        while let Some(entry) = self.expected.entries.get(self.reached.entries)
            && entry.index == index
        {
            if entry.hash == hash {
                self.reached.found += 1;
            } else {
                found.push(Finding::Entry { index, label: entry.label.clone() });
            }
            self.reached.entries += 1;
        }
        while let Some(kept) = self.expected.retained.get(self.reached.retained)
            && kept.checkpoint.size() == self.frontier.size()
        {
            if kept.checkpoint.root() != self.frontier.root() {
                self.contradicted.push(kept.clone());
            }
            self.reached.retained += 1;
        }
        for finding in found {
            self.find(finding);
        }
    }

    /// Each statement has its own identifier, so no two are the same. They are compared by
    /// the first 64 bits of a digest. Among ten million different statements, two share
    /// these bits with a probability of three in a million.
    fn find_twice(&mut self) {
        let mut seen = mem::take(&mut self.seen);
        seen.sort_unstable();
        for pair in seen.windows(2) {
            if let [(one, first), (other, index)] = *pair
                && one == other
            {
                self.find(Finding::Twice { first, index });
            }
        }
    }
}
