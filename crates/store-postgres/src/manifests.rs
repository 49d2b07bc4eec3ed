//! Provenance manifests.

use sentinel_core::id::{DecisionId, ManifestId, TenantId};
use sentinel_core::manifest::{Manifest, ManifestFilter};
use sentinel_core::page::{Page, Paged};
use sqlx::{PgPool, query};

use crate::error::Result;
use crate::listing::{Listing, Order};
use crate::row::{Columns, Stored};
use crate::time::Time;

impl Stored for Manifest {
    const TABLE: &'static str = "manifests";
    const COLUMNS: &'static str = "id, tenant_id, tool_name, action, purpose, decision_id, \
        payload_digest, bundle, created_at";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: ManifestId(columns.uuid()?),
            tenant_id: TenantId(columns.uuid()?),
            tool: columns.parse()?,
            action: columns.parse()?,
            purpose: columns.parse_optional()?,
            decision_id: columns.uuid_optional()?.map(DecisionId),
            payload_digest: columns.bytes()?,
            bundle: columns.take()?,
            created_at: columns.time()?,
        })
    }
}

/// One statement, hence all or none.
pub(crate) async fn insert(pool: &PgPool, manifests: &[Manifest]) -> Result<()> {
    let sql = "INSERT INTO manifests (id, tenant_id, tool_name, action, purpose, decision_id,
            payload_digest, bundle, created_at)
        SELECT id, tenant_id, tool_name, action, purpose, decision_id, payload_digest, bundle,
            created_at
        FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[],
            $7::bytea[], $8::text[], $9::timestamptz[]) WITH ORDINALITY
            AS m (id, tenant_id, tool_name, action, purpose, decision_id, payload_digest, bundle,
            created_at, position)
        ORDER BY position";
    let column = |value: fn(&Manifest) -> &str| manifests.iter().map(value).collect::<Vec<_>>();
    let ids: Vec<_> = manifests.iter().map(|manifest| manifest.id.0).collect();
    let tenants: Vec<_> = manifests.iter().map(|manifest| manifest.tenant_id.0).collect();
    let purposes: Vec<_> = manifests
        .iter()
        .map(|manifest| manifest.purpose.as_ref().map(AsRef::<str>::as_ref))
        .collect();
    let decisions: Vec<_> =
        manifests.iter().map(|manifest| manifest.decision_id.map(|id| id.0)).collect();
    let digests: Vec<_> =
        manifests.iter().map(|manifest| manifest.payload_digest.as_slice()).collect();
    let times: Vec<_> = manifests.iter().map(|manifest| Time(manifest.created_at)).collect();
    query(sql)
        .bind(ids)
        .bind(tenants)
        .bind(column(|manifest| manifest.tool.as_str()))
        .bind(column(|manifest| manifest.action.as_str()))
        .bind(purposes)
        .bind(decisions)
        .bind(digests)
        .bind(column(|manifest| manifest.bundle.as_str()))
        .bind(times)
        .execute(pool)
        .await?;
    Ok(())
}

pub(crate) async fn manifests(
    pool: &PgPool,
    filter: &ManifestFilter,
    page: &Page,
) -> Result<Paged<Manifest>> {
    let mut listing = Listing::of::<Manifest>("sequence::text");
    listing
        .bound_optional("tenant_id =", filter.tenant_id.map(|id| id.0))
        .bound_optional("tool_name =", filter.tool.as_ref().map(|tool| tool.as_str()))
        .bound_optional("decision_id =", filter.decision_id.map(|id| id.0));
    listing.page(pool, page, Order::NewestFirst).await
}
