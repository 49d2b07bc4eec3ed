//! Reading what was decided.

use std::sync::Arc;

use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::id::DecisionId;
use sentinel_core::name::TenantSlug;
use sentinel_core::page::{Page, Paged};
use sentinel_core::ports::DecisionStore;
use sentinel_core::principal::Principal;
use sentinel_core::self_test;

use crate::ServiceError;
use crate::control::Control;

/// Queries over recorded decisions.
#[derive(Debug)]
pub struct Audit {
    pub(crate) control: Arc<Control>,
    pub(crate) store: Arc<dyn DecisionStore>,
}

impl Audit {
    /// Decisions that match, newest first. A principal bound to a tenant sees its tenant only.
    ///
    /// # Errors
    /// When the tenant is unknown or forbidden, the cursor is bad, or the store is away.
    pub async fn decisions(
        &self,
        principal: &Principal,
        tenant: Option<&TenantSlug>,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, ServiceError> {
        let tenant_id = match tenant {
            Some(slug) => Some(self.control.tenant_for(principal, slug).await?.1.id),
            None => principal.tenant(),
        };
        let self_tests = filter.self_tests || tenant_id == Some(self_test::TENANT);
        let filter = DecisionFilter { tenant_id, self_tests, ..filter };
        Ok(self.store.decisions(filter, page).await?)
    }

    /// One decision; `None` when there is none that the principal may see.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn decision(
        &self,
        principal: &Principal,
        id: DecisionId,
    ) -> Result<Option<DecisionRecord>, ServiceError> {
        let found = self.store.decision(id).await?;
        Ok(found.filter(|record| match record.tenant_id {
            Some(tenant) => principal.may_access(tenant),
            None => principal.tenant().is_none(),
        }))
    }
}
