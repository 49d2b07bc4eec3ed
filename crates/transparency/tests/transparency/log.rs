//! A log in memory, whose tiles are computed from its leaves whenever they are read.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, Frontier, NoteSigner as _, SignedCheckpoint, TILE_WIDTH, Tile,
    TilePath, VerifierKey, encode_entries, leaf_hash,
};
use sentinel_transparency::{SourceError, TileSource};

pub(crate) const ORIGIN: &str = "log.example";

pub(crate) struct Log {
    pub(crate) signer: Ed25519NoteSigner,
    pub(crate) leaves: Vec<Vec<u8>>,
    hashes: Vec<Sha256Digest>,
    away: AtomicBool,
}

impl Log {
    pub(crate) fn of(count: u64) -> Self {
        let signer = Ed25519NoteSigner::generate(ORIGIN).unwrap();
        Self { signer, leaves: vec![], hashes: vec![], away: AtomicBool::new(false) }.with(count)
    }

    /// The log under the same key with its first leaves only.
    pub(crate) fn cut(&self, count: usize) -> Self {
        let pem = self.signer.to_pkcs8_pem().unwrap();
        let signer = Ed25519NoteSigner::from_pkcs8_pem(ORIGIN, &pem).unwrap();
        let (leaves, hashes) = (self.leaves[..count].to_vec(), self.hashes[..count].to_vec());
        Self { signer, leaves, hashes, away: AtomicBool::new(false) }
    }

    pub(crate) fn with(mut self, count: u64) -> Self {
        self.grow(count);
        self
    }

    /// Appends leaves that are about nothing.
    pub(crate) fn grow(&mut self, count: u64) {
        for _ in 0..count {
            self.append(format!("leaf {}", self.leaves.len()).into_bytes());
        }
    }

    pub(crate) fn append(&mut self, leaf: Vec<u8>) {
        self.hashes.push(leaf_hash(&leaf));
        self.leaves.push(leaf);
    }

    /// The hash of a leaf is another one from now on, the leaf stays.
    pub(crate) fn exchange_hash(&mut self, index: usize) {
        self.hashes[index] = leaf_hash(b"another leaf");
    }

    /// The log with the hashes that its leaves have.
    pub(crate) fn honest(&self) -> Self {
        let mut log = self.cut(self.leaves.len());
        log.hashes = log.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        log
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(crate) fn key(&self) -> &VerifierKey {
        self.signer.verifier_key()
    }

    pub(crate) fn checkpoint(&self) -> SignedCheckpoint {
        self.checkpoint_at(self.size())
    }

    pub(crate) fn checkpoint_at(&self, size: u64) -> SignedCheckpoint {
        let root = root_over(&self.hashes[..size as usize]);
        let note = Checkpoint::new(ORIGIN, size, root).unwrap().sign(&self.signer).unwrap();
        Checkpoint::open(&note.to_string(), self.key()).unwrap()
    }

    /// Whether the tiles can be read from now on.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn bytes(&self, path: TilePath) -> Option<Vec<u8>> {
        let range = |index: u64, width: u16| {
            let first = usize::try_from(index * u64::from(TILE_WIDTH)).unwrap();
            first..first + usize::from(width)
        };
        match path {
            TilePath::Entries(tile) => {
                let leaves = self.leaves.get(range(tile.index(), tile.width()))?;
                Some(encode_entries(leaves).unwrap())
            }
            TilePath::Hashes(tile) => {
                let below = 1usize << (8 * tile.level());
                let roots = range(tile.index(), tile.width())
                    .map(|n| self.hashes.get(n * below..(n + 1) * below).map(root_over));
                Some(Tile::write_hashes(&roots.collect::<Option<Vec<_>>>()?))
            }
        }
    }
}

fn root_over(hashes: &[Sha256Digest]) -> Sha256Digest {
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.append(*hash).unwrap();
    }
    frontier.root()
}

#[async_trait]
impl TileSource for Log {
    async fn read(&self, path: TilePath) -> Result<Bytes, SourceError> {
        let away = |why: &str| SourceError::Away(path, why.to_owned());
        if self.away.load(Ordering::SeqCst) {
            return Err(away("the log is away"));
        }
        self.bytes(path).map(Bytes::from).ok_or_else(|| away("there is none"))
    }
}
