//! The audit log: inserting decisions and asking for them.

use std::sync::Arc;

use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::check::ArgumentHash;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::page::{Page, Paged};
use sentinel_core::quota::{Quota, Window};
use sentinel_core::self_test;
use sqlx::PgPool;

use crate::error::Result;
use crate::listing::{Listing, Order};
use crate::row::{Columns, Stored};
use crate::time::Time;

impl Stored for DecisionRecord {
    const TABLE: &'static str = "policy_logs";
    const COLUMNS: &'static str = "id, sequence, epoch, tenant_slug, tenant_id, tool_name, tool_id, \
        decision, code, reason, reasons::text, quota_limit, quota_window, quota_remaining, \
        policy_revision, principal, agent, action, purpose, argument_hash, call_id, \
        event_metadata::text, created_at, duration_us";

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: DecisionId(columns.uuid()?),
            sequence: columns.count()?,
            epoch: Epoch(columns.count()?),
            tenant: columns.parse()?,
            tenant_id: columns.uuid_optional()?.map(TenantId),
            tool: columns.parse()?,
            tool_id: columns.uuid_optional()?.map(ToolId),
            allow: read_allow(columns)?,
            code: columns.parse()?,
            reason: columns.take()?,
            reasons: columns.json_optional()?.unwrap_or_default(),
            quota: read_quota(columns)?,
            quota_remaining: columns.count_optional()?,
            policy_revision: columns.take::<Option<&str>>()?.map(Arc::from),
            principal: columns.take()?,
            agent: columns.parse_optional()?,
            action: columns.parse()?,
            purpose: columns.parse_optional()?,
            argument_hash: ArgumentHash(columns.bytes()?),
            call_id: columns.parse_optional()?,
            event_metadata: columns.json()?,
            created_at: columns.time()?,
            duration_us: columns.count()?,
        })
    }
}

fn read_allow(columns: &mut Columns<'_>) -> Result<bool> {
    match columns.take::<String>()?.as_str() {
        "allow" => Ok(true),
        "deny" => Ok(false),
        _ => Err(columns.wrong(&"neither allow nor deny")),
    }
}

fn read_quota(columns: &mut Columns<'_>) -> Result<Option<Quota>> {
    let limit = columns.count_optional()?;
    let window = columns.parse_optional::<Window>()?;
    match (limit, window) {
        (Some(limit), Some(window)) => Ok(Some(Quota { limit, window })),
        (None, None) => Ok(None),
        _ => Err(columns.wrong(&"a quota has both a limit and a window")),
    }
}

pub(crate) async fn decisions(
    pool: &PgPool,
    filter: &DecisionFilter,
    page: &Page,
) -> Result<Paged<DecisionRecord>> {
    listing_of(filter).page(pool, page, Order::NewestFirst).await
}

fn listing_of(filter: &DecisionFilter) -> Listing {
    let mut listing = Listing::of::<DecisionRecord>("sequence::text");
    if !filter.self_tests {
        listing.bound("tenant_id IS DISTINCT FROM", self_test::TENANT.0);
    }
    listing
        .bound_optional("tenant_id =", filter.tenant_id.map(|id| id.0))
        .bound_optional("tool_name =", filter.tool.as_ref().map(|tool| tool.as_str()))
        .bound_optional("agent =", filter.agent.as_ref().map(AsRef::<str>::as_ref))
        .bound_optional("code =", filter.code.map(ReasonCode::as_str))
        .bound_optional("created_at >=", filter.from.map(Time::bound))
        .bound_optional("created_at <", filter.to.map(Time::bound));
    // Literals, so that the planner sees that the index of denies fits.
    if filter.allow == Some(true) {
        listing.fixed("decision = 'allow'");
    }
    let denied = filter.code.is_some_and(|code| code != ReasonCode::Allowed);
    if denied || filter.allow == Some(false) {
        listing.fixed("decision = 'deny'");
    }
    listing
}
