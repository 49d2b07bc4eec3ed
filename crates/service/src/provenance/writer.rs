//! Writing manifests in groups.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::NewManifest;
use sentinel_core::ports::{Conflict, ManifestStore, StoreError};
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
    /// Writes each manifest by itself, so that one whose identifier is taken fails alone.
    async fn insert_each<A>(
        &self,
        each: impl Iterator<Item = (NewManifest, A)> + Send,
    ) -> Vec<(A, Result<LogPlace, ServiceError>)>
    where
        A: Send,
    {
        let mut settled = Vec::new();
        for (manifest, answer) in each {
            let stored = self.insert(&[manifest]).await.map_err(ServiceError::from);
            let place = stored.and_then(|places| {
                let lost = || ServiceError::Unavailable("the store returned no place".to_owned());
                places.first().copied().ok_or_else(lost)
            });
            self.log.note_appended(usize::from(place.is_ok()));
            settled.push((answer, place));
        }
        settled
    }

    async fn insert(&self, manifests: &[NewManifest]) -> Result<Vec<LogPlace>, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.store.insert_manifests(manifests.to_vec()).await {
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
        match self.insert(&manifests).await {
            Ok(places) => {
                self.log.note_appended(places.len());
                waiting.into_iter().zip(places.into_iter().map(Ok)).collect()
            }
            Err(StoreError::Conflict(Conflict::ManifestExists)) => {
                self.insert_each(manifests.into_iter().zip(waiting)).await
            }
            Err(error) => {
                tracing::error!(%error, manifests = waiting.len(), "manifests were not stored");
                let error = ServiceError::from(error);
                waiting.into_iter().map(|answer| (answer, Err(error.clone()))).collect()
            }
        }
    }
}
