//! `GET /register/tenants`: lists tenants, unpaged. Roles: operator, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::Tenant;
use sentinel_core::page::Page;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;

/// Tenants that one response holds at most, in pages of [`Page::MAX_LIMIT`].
const MAX_PAGES: usize = 10;

/// List tenants, unpaged
///
/// Every tenant that the caller may see, at most 10,000. Better use `/v1/tenants`.
///
/// Roles: `operator`, `auditor`, `admin`; a key bound to a tenant sees that one.
#[utoipa::path(
    get, path = "/register/tenants", tag = "registry",
    responses((status = 200, description = "the tenants, by slug", body = [Tenant])),
)]
pub(crate) async fn register_tenants(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Vec<Tenant>>, Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    let mut tenants = Vec::new();
    let mut page = Page::first(Page::MAX_LIMIT);
    for _ in 0..MAX_PAGES {
        let found = app.services.registry.tenants(caller.principal(), page.clone()).await?;
        tenants.extend(found.items.into_iter().map(Tenant::from));
        page.cursor = found.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    Ok(Json(tenants))
}
