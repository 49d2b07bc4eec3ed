//! Provenance manifests.

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, params};
use sentinel_core::id::ManifestId;
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::{Manifest, ManifestFilter, NewManifest};
use sentinel_core::page::{Page, Paged};
use sentinel_core::payload::SealedPayload;
use sentinel_core::ports::{ManifestStore, StoreError};

use crate::error::Result as Work;
use crate::listing::{Conditions, Order, blob};
use crate::log_append;
use crate::row::{self, one};
use crate::store::SqliteStore;

#[async_trait]
impl ManifestStore for SqliteStore {
    async fn insert_manifests(
        &self,
        manifests: Vec<NewManifest>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        self.writer.run(move |write| insert(write, &manifests)).await
    }

    async fn manifest(&self, id: ManifestId) -> Result<Option<Manifest>, StoreError> {
        self.readers.run(move |read| one(read, "id = ?1", [id.0.as_bytes()])).await
    }

    async fn manifests(
        &self,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, StoreError> {
        self.readers.run(move |read| manifests(read, &filter, &page)).await
    }
}

fn insert(transaction: &Transaction<'_>, manifests: &[NewManifest]) -> Work<Vec<LogPlace>> {
    let leaves: Vec<_> = manifests.iter().map(|new| new.leaf.as_slice()).collect();
    let places = log_append::leaves(transaction, &leaves)?;
    let sql = "INSERT INTO payloads (manifest_id, tenant_id, generation, sealed)
        VALUES (?1, ?2, ?3, ?4)";
    let mut keep = transaction.prepare_cached(sql)?;
    for (NewManifest { manifest, payload, .. }, place) in manifests.iter().zip(&places) {
        row::insert(transaction, &Manifest { place: Some(*place), ..manifest.clone() }, &[])?;
        if let Some(SealedPayload { generation, sealed }) = payload {
            let (id, tenant) = (manifest.id.0.as_bytes(), manifest.tenant_id.0.as_bytes());
            keep.execute(params![id, tenant, generation, sealed])?;
        }
    }
    Ok(places)
}

fn manifests(
    connection: &Connection,
    filter: &ManifestFilter,
    page: &Page,
) -> Work<Paged<Manifest>> {
    let mut conditions = Conditions::default();
    conditions.bound_optional("tenant_id =", filter.tenant_id.map(|id| blob(id.0)));
    conditions.bound_optional("tool_name =", filter.tool.as_ref().map(ToString::to_string));
    conditions.bound_optional("decision_id =", filter.decision_id.map(|id| blob(id.0)));
    conditions.bound_optional("phase =", filter.phase.map(|phase| phase.as_str().to_owned()));
    conditions.page(connection, page, Order::NewestFirst)
}
