//! The port of provenance manifests.

use async_trait::async_trait;

use super::error::StoreError;
use crate::id::ManifestId;
use crate::log::LogPlace;
use crate::manifest::{Manifest, ManifestFilter, NewManifest};
use crate::page::{Page, Paged};

/// Stores and reads manifests.
#[async_trait]
pub trait ManifestStore: Send + Sync + std::fmt::Debug {
    /// Stores manifests and appends them to the open shard of the log, all or none; returns their
    /// places. [`StoreError::NoOpenShard`] when there is nothing to append to.
    async fn insert_manifests(
        &self,
        manifests: Vec<NewManifest>,
    ) -> Result<Vec<LogPlace>, StoreError>;

    /// One manifest.
    async fn manifest(&self, id: ManifestId) -> Result<Option<Manifest>, StoreError>;

    /// Manifests, newest first.
    async fn manifests(
        &self,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, StoreError>;
}
