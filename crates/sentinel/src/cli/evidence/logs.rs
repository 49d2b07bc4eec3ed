//! Adds logs to the evidence: the newest checkpoint of each, and proof that it continues every
//! state that a bundle refers to.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use sentinel_evidence::layout::CHECKPOINTS;
use sentinel_evidence::{Consistency, Writer};
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{
    Checkpoint, Tile, TrustedRoot, consistency_tiles, prove_consistency,
};

use crate::client::{Client, OrExplain as _};
use crate::failure::{Failure, OrFail as _, Outcome};

/// States of logs, by origin and size.
pub(super) type States = BTreeSet<(String, u64)>;

/// Adds the checkpoints to the archive, and returns the proofs.
pub(super) async fn collect(
    client: &Client,
    states: &States,
    trusted: &TrustedRoot,
    archive: &mut Writer,
) -> Outcome<Vec<Consistency>> {
    let mut proofs = Vec::new();
    for log in &trusted.logs {
        let origin = log.origin();
        let of_it = states.iter().filter(|(of, _)| of == origin).map(|(_, size)| *size);
        let sizes: Vec<u64> = of_it.collect();
        if sizes.is_empty() {
            continue;
        }
        let files = LogFiles { client, origin };
        let note = files.checkpoint().await?;
        let newest = Checkpoint::open(&note, log.key())
            .or_fail(|| format!("the checkpoint of log `{origin}` cannot be used"))?;
        archive.add(&format!("{CHECKPOINTS}{origin}"), note.as_bytes()).map_err(said)?;
        let mut tiles = BTreeMap::new();
        for size in sizes {
            let proof = files.consistency(size, newest.size(), &mut tiles).await?;
            proofs.push(Consistency { origin: origin.to_owned(), size, proof });
        }
    }
    Ok(proofs)
}

/// The files of one log.
struct LogFiles<'a> {
    client: &'a Client,
    origin: &'a str,
}

impl LogFiles<'_> {
    async fn get(&self, path: &str) -> Outcome<Vec<u8>> {
        self.client.api.log_file(self.origin, path).await.or_explain(self.client)
    }

    async fn checkpoint(&self) -> Outcome<String> {
        String::from_utf8(self.get("checkpoint").await?)
            .or_fail(|| format!("the checkpoint of log `{}` is not text", self.origin))
    }

    async fn consistency(
        &self,
        from: u64,
        to: u64,
        tiles: &mut BTreeMap<Tile, Vec<Sha256Digest>>,
    ) -> Outcome<Vec<Sha256Digest>> {
        let origin = self.origin;
        let doing = || format!("cannot prove that log `{origin}` of {to} entries continues {from}");
        for tile in consistency_tiles(from, to).ok_or_else(|| Failure::new(doing()))? {
            if let Entry::Vacant(unknown) = tiles.entry(tile) {
                let bytes = self.get(&tile.to_string()).await?;
                unknown.insert(tile.parse_hashes(&bytes).or_fail(doing)?);
            }
        }
        prove_consistency(from, to, |tile| tiles.get(&tile).cloned().ok_or("absent")).or_fail(doing)
    }
}

/// The error as it words itself.
pub(super) fn said(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}
