//! Submits leaves to a Rekor v2, public or private.
//!
//! Our leaf is byte for byte what Rekor would log for the same envelope. A request is therefore
//! built from the leaf alone, and Rekor learns only a hash, a signature and a key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Checkpoint, EntryTile, HashedRekord, SignedCheckpoint, TILE_WIDTH, TilePath, TrustedLog,
    TrustedRoot, inclusion_tiles, parse_entries, prove_inclusion,
};
use sentinel_provenance::{JsonError, LogEntryError, MAX_LOG_ENTRY_BYTES};

use crate::peer::{Peer, PeerError, PeerUrlError};
use crate::remote::RemoteTiles;
use crate::tiles::{SourceError, TileSource as _, all_hashes};

/// Time limit of one request. Rekor responds only when its next checkpoint contains the entry.
pub const REKOR_PATIENCE: Duration = Duration::from_secs(30);

const ENTRIES: &str = "api/v2/log/entries";
const TILES: &str = "api/v2/";
/// The path of a duplicate's index in the response.
const INDEX: &str = "x-log-index";

/// Why there is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RekorError {
    #[error("rekor: {0}")]
    Peer(#[from] PeerError),
    /// Rekor refuses the entry permanently.
    #[error("rekor answered with status {0}")]
    Status(u16),
    /// Rekor accepted the entry, but did not return an entry.
    #[error("rekor answered nonsense: {0}")]
    Nonsense(JsonError),
    /// Rekor has the entry, but does not say at which index.
    #[error("rekor has the entry already, and named no index")]
    NoIndex,
    #[error("rekor is none of the logs in `rekor_key`")]
    Untrusted,
    /// The response does not prove that Rekor has the leaf.
    #[error("rekor's answer is not to be trusted: {0}")]
    Forged(#[from] LogEntryError),
    #[error("rekor's tiles: {0}")]
    Tiles(#[from] SourceError),
    /// The checkpoint does not cover the entry yet.
    #[error("rekor has not published entry {0} yet")]
    NotYet(u64),
}

/// A Rekor v2 at an address, and the keys of its possible logs.
#[derive(Debug, Clone)]
pub struct Rekor {
    peer: Peer,
    tiles: RemoteTiles,
    trusted: TrustedRoot,
}

impl Rekor {
    /// The Rekor at `url`; its key is in `trusted`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(url: &str, trusted: TrustedRoot, patience: Duration) -> Result<Self, PeerUrlError> {
        let peer = Peer::new(url, patience)?;
        Ok(Self { tiles: RemoteTiles::of(peer.clone(), TILES), peer, trusted })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.peer.url()
    }

    /// Its possible logs.
    #[must_use]
    pub const fn trusted(&self) -> &TrustedRoot {
        &self.trusted
    }

    /// Submits a leaf unless Rekor has it already, and returns the verified entry.
    ///
    /// # Errors
    /// [`RekorError`]. Rekor may have the leaf all the same; repeat the call.
    pub async fn enter(&self, leaf: &HashedRekord) -> Result<TransparencyLogEntry, RekorError> {
        let body = request(leaf).into_bytes();
        let answer = self
            .peer
            .post(ENTRIES, "application/json", body, Some(INDEX), MAX_LOG_ENTRY_BYTES)
            .await?;
        match answer.status {
            200 | 201 => {
                let entry = TransparencyLogEntry::parse(&answer.body);
                let entry = entry.map_err(RekorError::Nonsense)?;
                let log = self.trusted.log(&entry.log_id.key_id).ok_or(RekorError::Untrusted)?;
                entry.verify(log.key(), leaf)?;
                Ok(entry)
            }
            // Rekor returns only the index.
            409 => {
                let index = answer.header.as_deref().and_then(|index| index.parse().ok());
                self.find(leaf, index.ok_or(RekorError::NoIndex)?).await
            }
            status => Err(RekorError::Status(status)),
        }
    }

    /// The entry at an index, from checkpoint and tiles.
    async fn find(
        &self,
        leaf: &HashedRekord,
        index: u64,
    ) -> Result<TransparencyLogEntry, RekorError> {
        let (log, checkpoint) = self.checkpoint().await?;
        let size = checkpoint.size();
        let tiles = inclusion_tiles(index, size).ok_or(RekorError::NotYet(index))?;
        let width = u64::from(TILE_WIDTH);
        let bundle = EntryTile::in_tree(index / width, size).ok_or(RekorError::NotYet(index))?;
        let path = TilePath::Entries(bundle);
        let entries = self.tiles.read(path).await?;
        let entries = parse_entries(&entries, bundle.width())
            .map_err(|error| SourceError::Damaged(path, error.to_string()))?;
        let at = usize::try_from(index % width).ok();
        if at.and_then(|at| entries.get(at)) != Some(&leaf.to_bytes().as_slice()) {
            return Err(LogEntryError::Leaf.into());
        }
        let tiles = all_hashes(&self.tiles, tiles).await?;
        let read = |tile| tiles.get(&tile).cloned().ok_or("not planned");
        let proof = prove_inclusion(index, size, read)
            .map_err(|error| SourceError::NoProof(error.to_string()))?;
        let entry = TransparencyLogEntry::new(log.key(), leaf, index, proof, &checkpoint);
        entry.map_err(|error| LogEntryError::from(error).into())
    }

    /// The newest checkpoint, and the trusted log that signed it.
    async fn checkpoint(&self) -> Result<(&TrustedLog, SignedCheckpoint), RekorError> {
        let note = self.tiles.checkpoint().await?.map_err(RekorError::Status)?;
        let opened = |log| Checkpoint::open(&note, TrustedLog::key(log)).ok().map(|it| (log, it));
        self.trusted.logs.iter().find_map(opened).ok_or(RekorError::Untrusted)
    }
}

/// `hashedRekordRequestV002`. Every value is base64, so a template is enough.
fn request(leaf: &HashedRekord) -> String {
    let digest = STANDARD.encode(leaf.digest().as_bytes());
    let signature = leaf.signature().to_base64();
    let key = STANDARD.encode(leaf.key().to_spki_der());
    format!(
        concat!(
            r#"{{"hashedRekordRequestV002":{{"digest":"{}","signature":{{"content":"{}","#,
            r#""verifier":{{"publicKey":{{"rawBytes":"{}"}},"#,
            r#""keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}}}}}"#,
        ),
        digest, signature, key
    )
}
