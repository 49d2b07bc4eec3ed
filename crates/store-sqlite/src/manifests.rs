//! Provenance manifests.

use rusqlite::{Connection, Transaction, params};
use sentinel_core::id::{DecisionId, ManifestId, TenantId};
use sentinel_core::log::{LogPlace, NewManifest};
use sentinel_core::manifest::{Manifest, ManifestFilter};
use sentinel_core::page::{Page, Paged};
use sentinel_core::payload::SealedPayload;

use crate::error::Result;
use crate::listing::{Conditions, Order, blob};
use crate::log_append;
use crate::row::{Columns, Stored};

impl Stored for Manifest {
    const TABLE: &'static str = "manifests";
    const COLUMNS: &'static str = "id, tenant_id, tool_name, action, purpose, decision_id, \
        payload_digest, bundle, created_at, phase, key_generation, log_shard, log_index";

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self> {
        Ok(Self {
            id: ManifestId(columns.uuid()?),
            tenant_id: TenantId(columns.uuid()?),
            tool: columns.parse()?,
            action: columns.parse()?,
            purpose: columns.parse_optional()?,
            decision_id: columns.uuid_optional()?.map(DecisionId),
            payload_digest: columns.take()?,
            bundle: columns.take()?,
            created_at: columns.time()?,
            phase: columns.parse()?,
            key_generation: columns.take()?,
            place: columns
                .take::<Option<u32>>()?
                .zip(columns.count_optional()?)
                .map(|(shard, index)| LogPlace { shard, index }),
        })
    }
}

pub(crate) fn insert(
    transaction: &Transaction<'_>,
    manifests: &[NewManifest],
) -> Result<Vec<LogPlace>> {
    let leaves: Vec<_> = manifests.iter().map(|new| new.leaf.as_slice()).collect();
    let places = log_append::leaves(transaction, &leaves)?;
    let sql = "INSERT INTO manifests (id, tenant_id, tool_name, action, purpose, decision_id,
        payload_digest, bundle, created_at, phase, key_generation, log_shard, log_index)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let mut statement = transaction.prepare_cached(sql)?;
    let sql = "INSERT INTO payloads (manifest_id, tenant_id, generation, sealed)
        VALUES (?1, ?2, ?3, ?4)";
    let mut keep = transaction.prepare_cached(sql)?;
    for (NewManifest { manifest, payload, .. }, place) in manifests.iter().zip(&places) {
        statement.execute(params![
            manifest.id.0.as_bytes(),
            manifest.tenant_id.0.as_bytes(),
            manifest.tool.as_str(),
            manifest.action.as_str(),
            manifest.purpose.as_ref().map(AsRef::<str>::as_ref),
            manifest.decision_id.as_ref().map(|id| id.0.as_bytes()),
            manifest.payload_digest,
            manifest.bundle,
            manifest.created_at.as_microsecond(),
            manifest.phase.as_str(),
            manifest.key_generation,
            place.shard,
            place.index.cast_signed(),
        ])?;
        if let Some(SealedPayload { generation, sealed }) = payload {
            let (id, tenant) = (manifest.id.0.as_bytes(), manifest.tenant_id.0.as_bytes());
            keep.execute(params![id, tenant, generation, sealed])?;
        }
    }
    Ok(places)
}

pub(crate) fn manifests(
    connection: &Connection,
    filter: &ManifestFilter,
    page: &Page,
) -> Result<Paged<Manifest>> {
    let mut conditions = Conditions::default();
    conditions.bound_optional("tenant_id =", filter.tenant_id.map(|id| blob(id.0)));
    conditions.bound_optional("tool_name =", filter.tool.as_ref().map(ToString::to_string));
    conditions.bound_optional("decision_id =", filter.decision_id.map(|id| blob(id.0)));
    conditions.bound_optional("phase =", filter.phase.map(|phase| phase.as_str().to_owned()));
    conditions.page(connection, page, Order::NewestFirst)
}
