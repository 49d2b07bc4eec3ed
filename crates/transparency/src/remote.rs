//! The tiles of a log behind an address.

use async_trait::async_trait;
use bytes::Bytes;
use sentinel_provenance::log::{
    EntryTile, MAX_NOTE_BYTES, TILE_WIDTH, Tile, TilePath, parse_entries,
};

use crate::peer::{Peer, PeerError};
use crate::tiles::{SourceError, TileSource};

/// The longest tile: 256 entries of 65,535 bytes, each after its length.
pub(crate) const MAX_TILE: usize = 256 * (65_535 + 2);

const GONE: [u16; 2] = [404, 410];

/// A log in the layout of tlog-tiles, read over HTTP.
#[derive(Debug, Clone)]
pub struct RemoteTiles {
    peer: Peer,
    /// Where the layout begins below the address; empty, or ends with a slash.
    below: &'static str,
}

impl RemoteTiles {
    pub(crate) const fn of(peer: Peer, below: &'static str) -> Self {
        Self { peer, below }
    }

    /// The text of the newest checkpoint, not verified.
    pub(crate) async fn checkpoint(&self) -> Result<Result<String, u16>, PeerError> {
        let answer = self.peer.get(&format!("{}checkpoint", self.below), MAX_NOTE_BYTES).await?;
        if answer.status != 200 {
            return Ok(Err(answer.status));
        }
        // Anything but text is not a note, which the caller detects.
        Ok(Ok(String::from_utf8_lossy(&answer.body).into_owned()))
    }

    async fn get(&self, path: TilePath) -> Result<Result<Vec<u8>, u16>, SourceError> {
        let away = |error: PeerError| SourceError::Away(path, error.to_string());
        let name = format!("{}{path}", self.below);
        let answer = self.peer.get(&name, MAX_TILE).await.map_err(away)?;
        Ok(if answer.status == 200 { Ok(answer.body) } else { Err(answer.status) })
    }
}

#[async_trait]
impl TileSource for RemoteTiles {
    async fn read(&self, path: TilePath) -> Result<Bytes, SourceError> {
        let refused = |status| SourceError::Away(path, format!("it answered with status {status}"));
        match self.get(path).await? {
            Ok(bytes) => Ok(bytes.into()),
            // A log may drop a partial tile once it has the full one.
            Err(status) if GONE.contains(&status) => {
                let full = full(path).ok_or_else(|| refused(status))?;
                let bytes = self.get(full).await?.map_err(refused)?;
                cut(path, &bytes).map(Bytes::from).ok_or_else(|| {
                    SourceError::Damaged(full, "it is not a tile of that width".to_owned())
                })
            }
            Err(status) => Err(refused(status)),
        }
    }
}

/// The full tile in the place of a partial one.
fn full(path: TilePath) -> Option<TilePath> {
    match path {
        TilePath::Hashes(tile) if !tile.is_full() => {
            Tile::new(tile.level(), tile.index(), TILE_WIDTH).ok().map(TilePath::Hashes)
        }
        TilePath::Entries(tile) if !tile.is_full() => {
            EntryTile::new(tile.index(), TILE_WIDTH).ok().map(TilePath::Entries)
        }
        _ => None,
    }
}

/// The beginning of a full tile that is the partial one at `path`.
fn cut(path: TilePath, full: &[u8]) -> Option<Vec<u8>> {
    let length = match path {
        TilePath::Hashes(tile) => 32 * usize::from(tile.width()),
        TilePath::Entries(tile) => {
            let entries = parse_entries(full, TILE_WIDTH).ok()?;
            entries.iter().take(usize::from(tile.width())).map(|entry| entry.len() + 2).sum()
        }
    };
    full.get(..length).map(<[u8]>::to_vec)
}
