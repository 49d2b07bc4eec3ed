//! Provenance manifests.

use async_trait::async_trait;
use sentinel_core::id::ManifestId;
use sentinel_core::log::LogPlace;
use sentinel_core::manifest::{Manifest, ManifestFilter, NewManifest, Phase};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::{ManifestStore, StoreError};
use sqlx::{PgPool, query_as};

use crate::error::Result as Work;
use crate::listing::{Listing, Order};
use crate::row::by_id;
use crate::store::PostgresStore;
use crate::time::Time;

#[async_trait]
impl ManifestStore for PostgresStore {
    async fn insert_manifests(
        &self,
        manifests: Vec<NewManifest>,
    ) -> Result<Vec<LogPlace>, StoreError> {
        let pool = self.pool.clone();
        self.to_end(async move { insert(&pool, &manifests).await }).await
    }

    async fn manifest(&self, id: ManifestId) -> Result<Option<Manifest>, StoreError> {
        self.read(async { by_id(&mut *self.pool.acquire().await?, id.0).await }).await
    }

    async fn manifests(
        &self,
        filter: ManifestFilter,
        page: Page,
    ) -> Result<Paged<Manifest>, StoreError> {
        self.read(manifests(&self.listings, &filter, &page)).await
    }
}

/// All or none.
async fn insert(pool: &PgPool, manifests: &[NewManifest]) -> Work<Vec<LogPlace>> {
    let LogPlace { shard, index } =
        append(pool, manifests).await?.ok_or(StoreError::NoOpenShard)?;
    let indexes = (index..).take(manifests.len());
    Ok(indexes.map(|index| LogPlace { shard, index }).collect())
}

/// One statement, which holds the row of the counter until it has committed. Returns the first
/// place; `None` when the shard was sealed while this waited for that row, or there is none.
async fn append(pool: &PgPool, manifests: &[NewManifest]) -> Work<Option<LogPlace>> {
    let sql = "WITH taken AS (
            UPDATE log_counters SET next_index = next_index + cardinality($1::uuid[]) WHERE is_open
            RETURNING shard, next_index - cardinality($1::uuid[]) AS first
        ), new AS (
            SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                $6::uuid[], $7::bytea[], $8::text[], $9::timestamptz[], $10::text[], $11::int[],
                $12::bytea[], $13::int[], $14::bytea[]) WITH ORDINALITY
                AS m (id, tenant_id, tool_name, action, purpose, decision_id, payload_digest, bundle,
                created_at, phase, key_generation, leaf, generation, sealed, position)
        ), logged AS (
            INSERT INTO log_entries (shard, log_index, leaf)
            SELECT shard, first + position - 1, leaf FROM taken, new ORDER BY position
        ), kept AS (
            INSERT INTO payloads (manifest_id, tenant_id, generation, sealed)
            SELECT id, tenant_id, generation, sealed FROM taken, new WHERE sealed IS NOT NULL
        ), stored AS (
            INSERT INTO manifests (id, tenant_id, tool_name, action, purpose, decision_id,
                payload_digest, bundle, created_at, phase, key_generation, log_shard, log_index)
            SELECT id, tenant_id, tool_name, action, purpose, decision_id, payload_digest, bundle,
                created_at, phase, key_generation, shard, first + position - 1
            FROM taken, new ORDER BY position
        )
        SELECT shard, first FROM taken";
    let column = |value: fn(&Manifest) -> &str| -> Vec<&str> {
        manifests.iter().map(|new| value(&new.manifest)).collect()
    };
    let all = || manifests.iter().map(|new| &new.manifest);
    let payloads = || manifests.iter().map(|new| new.payload.as_ref());
    let purpose = |manifest: &'_ Manifest| manifest.purpose.as_ref().map(ToString::to_string);
    let row: Option<(i32, i64)> = query_as(sql)
        .bind(all().map(|manifest| manifest.id.0).collect::<Vec<_>>())
        .bind(all().map(|manifest| manifest.tenant_id.0).collect::<Vec<_>>())
        .bind(column(|manifest| manifest.tool.as_str()))
        .bind(column(|manifest| manifest.action.as_str()))
        .bind(all().map(purpose).collect::<Vec<_>>())
        .bind(all().map(|manifest| manifest.decision_id.map(|id| id.0)).collect::<Vec<_>>())
        .bind(all().map(|manifest| manifest.payload_digest.as_slice()).collect::<Vec<_>>())
        .bind(column(|manifest| manifest.bundle.as_str()))
        .bind(all().map(|manifest| Time(manifest.created_at)).collect::<Vec<_>>())
        .bind(column(|manifest| manifest.phase.as_str()))
        .bind(all().map(|manifest| signed(manifest.key_generation)).collect::<Vec<_>>())
        .bind(manifests.iter().map(|new| new.leaf.as_slice()).collect::<Vec<_>>())
        .bind(payloads().map(|kept| signed(kept.map(|kept| kept.generation))).collect::<Vec<_>>())
        .bind(payloads().map(|kept| kept.map(|kept| kept.sealed.as_slice())).collect::<Vec<_>>())
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|(shard, index)| LogPlace {
        shard: shard.cast_unsigned(),
        index: index.cast_unsigned(),
    }))
}

fn signed(count: Option<u32>) -> Option<i32> {
    count.map(u32::cast_signed)
}

async fn manifests(pool: &PgPool, filter: &ManifestFilter, page: &Page) -> Work<Paged<Manifest>> {
    let mut listing = Listing::of::<Manifest>("sequence::text");
    listing
        .bound_optional("tenant_id =", filter.tenant_id.map(|id| id.0))
        .bound_optional("tool_name =", filter.tool.as_ref().map(|tool| tool.as_str()))
        .bound_optional("decision_id =", filter.decision_id.map(|id| id.0));
    listing.bound_optional("phase =", filter.phase.map(Phase::as_str));
    listing.page(pool, page, Order::NewestFirst).await
}
