//! A log in memory, built from the public pieces as a server would.

use std::collections::BTreeMap;

use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, Frontier, Growth, HashedRekord, Note, NoteSigner as _, Tile,
    leaf_hash, prove_consistency, prove_inclusion,
};
use sentinel_provenance::{Bundle, EcdsaP256Signer, Envelope, Sha256Digest, Signer as _};

pub(crate) const ORIGIN: &str = "log.example";

pub(crate) struct MemoryLog {
    pub(crate) signer: Ed25519NoteSigner,
    pub(crate) tiles: BTreeMap<Tile, Vec<Sha256Digest>>,
    pub(crate) frontier: Frontier,
}

impl MemoryLog {
    pub(crate) fn new() -> Self {
        let signer = Ed25519NoteSigner::generate(ORIGIN).unwrap();
        Self { signer, tiles: BTreeMap::new(), frontier: Frontier::new() }
    }

    /// An empty log under the same key: what a log that lost or rewrites its tree becomes.
    #[allow(dead_code, reason = "not every test target asks for one")]
    pub(crate) fn started_over(&self) -> Self {
        let pem = self.signer.to_pkcs8_pem().unwrap();
        Self { signer: Ed25519NoteSigner::from_pkcs8_pem(ORIGIN, &pem).unwrap(), ..Self::new() }
    }

    pub(crate) fn read(&self, tile: Tile) -> Result<Vec<Sha256Digest>, String> {
        self.tiles.get(&tile).cloned().ok_or_else(|| format!("no tile `{tile}`"))
    }

    /// Appends leaves in one batch; gives the index of the first.
    pub(crate) fn append<T: AsRef<[u8]>>(&mut self, leaves: &[T]) -> u64 {
        let first = self.frontier.size();
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
        let growth = Growth::of(&self.frontier, &hashes, |tile| self.read(tile)).unwrap();
        self.tiles.extend(growth.tiles);
        self.frontier = growth.frontier;
        first
    }

    /// Appends `count` leaves that are about nothing.
    pub(crate) fn fill(&mut self, count: u64) {
        let from = self.frontier.size();
        let leaves: Vec<_> = (from..from + count).map(|n| format!("leaf {n}")).collect();
        self.append(&leaves);
    }

    pub(crate) fn checkpoint(&self) -> Note {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        Checkpoint::new(ORIGIN, size, root).unwrap().sign(&self.signer).unwrap()
    }

    pub(crate) fn inclusion(&self, index: u64) -> Vec<Sha256Digest> {
        prove_inclusion(index, self.frontier.size(), |tile| self.read(tile)).unwrap()
    }

    #[allow(dead_code, reason = "not every test target asks for one")]
    pub(crate) fn consistency(&self, from: u64) -> Vec<Sha256Digest> {
        prove_consistency(from, self.frontier.size(), |tile| self.read(tile)).unwrap()
    }

    /// The bundle's entry at `index`, up to `checkpoint`.
    pub(crate) fn entry(
        &self,
        leaf: &HashedRekord,
        index: u64,
        checkpoint: &Note,
    ) -> TransparencyLogEntry {
        let key = self.signer.verifier_key();
        let signed = Checkpoint::open(&checkpoint.to_string(), key).unwrap();
        TransparencyLogEntry::new(key, leaf, index, self.inclusion(index), &signed).unwrap()
    }
}

/// The payload, signed and logged between others: the bundle and its log.
pub(crate) fn logged(
    payload: &[u8],
    signer: &EcdsaP256Signer,
    before: u64,
    after: u64,
) -> (Bundle, MemoryLog) {
    let mut log = MemoryLog::new();
    log.fill(before);
    let envelope = Envelope::sign(payload.to_vec(), signer).unwrap();
    let leaf = HashedRekord::of(&envelope, signer.public_key());
    let index = log.append(&[leaf.to_bytes()]);
    log.fill(after);
    let entry = log.entry(&leaf, index, &log.checkpoint());
    let bundle = Bundle::new(envelope, signer.public_key()).unwrap();
    (bundle.with_log_entry(entry).unwrap(), log)
}
