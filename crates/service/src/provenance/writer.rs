//! Writing manifests in groups.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::NewManifest;
use sentinel_core::ports::{ManifestStore, StoreError};
use tokio::time::Instant;

use crate::ServiceError;
use crate::group::{GroupWriter, Settled, Waiting, take_within};
use crate::log::TransparencyLog;

/// Writes manifests in groups.
#[derive(Debug)]
pub(crate) struct ManifestWriter {
    pub(crate) store: Arc<dyn ManifestStore>,
    pub(crate) log: Arc<TransparencyLog>,
}

/// How long manifests wait while the log goes on in its next shard.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two attempts meanwhile.
const GLANCE: Duration = Duration::from_millis(20);

/// Bytes that one write stores at most. Kept payloads are large, and a write that the database
/// refuses or is too slow for fails for all who are in it.
const GROUP_BYTES: usize = 16 << 20;

impl ManifestWriter {
    async fn insert(&self, manifests: Vec<NewManifest>) -> Result<Vec<LogPlace>, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.store.insert_manifests(manifests.clone()).await {
                Err(StoreError::NoOpenShard) if Instant::now() < deadline => {
                    tokio::time::sleep(GLANCE).await;
                }
                inserted => return inserted,
            }
        }
    }
}

#[async_trait]
impl GroupWriter for ManifestWriter {
    type Item = NewManifest;
    type Answer = LogPlace;

    async fn write(
        &self,
        queue: &mut Vec<Waiting<NewManifest, LogPlace>>,
    ) -> Vec<Settled<LogPlace>> {
        let (manifests, waiting): (Vec<_>, Vec<_>) =
            take_within(queue, GROUP_BYTES, NewManifest::bytes)
                .into_iter()
                .map(|waiting| (waiting.item, waiting.answer))
                .unzip();
        match self.insert(manifests).await {
            Ok(places) => {
                self.log.note_appended(places.len());
                waiting.into_iter().zip(places.into_iter().map(Ok)).collect()
            }
            Err(error) => {
                tracing::error!(%error, manifests = waiting.len(), "manifests were not stored");
                let error = ServiceError::from(error);
                waiting.into_iter().map(|answer| (answer, Err(error.clone()))).collect()
            }
        }
    }
}
