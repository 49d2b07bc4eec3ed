//! Reading what is used of each quota.

use std::sync::Arc;

use sentinel_core::clock::Clock;
use sentinel_core::name::{TenantSlug, ToolName};
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::QuotaStore;
use sentinel_core::principal::Principal;
use sentinel_core::quota::Counter;
use sentinel_core::self_test;

use crate::ServiceError;
use crate::control::Control;

/// Queries over quota counters.
#[derive(Debug)]
pub struct Quotas {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn QuotaStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A counter with the names it counts for.
#[derive(Debug, Clone)]
pub struct QuotaView {
    pub counter: Counter,
    pub tenant: TenantSlug,
    pub tool: ToolName,
}

impl Quotas {
    /// The counters whose window is under way.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, the cursor is bad, or the store is away.
    pub async fn usage(
        &self,
        principal: &Principal,
        tenant: Option<&TenantSlug>,
        page: Page,
    ) -> Result<Paged<QuotaView>, ServiceError> {
        let tenant_id = match tenant {
            Some(slug) => Some(self.control.tenant_for(principal, slug).await?.1.id),
            None => principal.tenant(),
        };
        let found = self.store.counters(tenant_id, self.clock.now(), page).await?;
        let control = self.control.current();
        let view = |counter: Counter| {
            if counter.key.tenant_id == self_test::TENANT {
                return None;
            }
            let tenant = control.tenant_by_id(counter.key.tenant_id)?.slug.clone();
            let tool = control.tool_by_id(counter.key.tool_id)?.name.clone();
            Some(QuotaView { counter, tenant, tool })
        };
        let items = found.items.into_iter().filter_map(view).collect();
        Ok(Paged { items, next_cursor: found.next_cursor })
    }
}
