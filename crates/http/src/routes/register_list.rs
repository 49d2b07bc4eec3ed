//! `GET /register`: lists tools, unpaged. Roles: any.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::LINK;
use sentinel_api::Tool;
use sentinel_core::name::TenantSlug;
use sentinel_core::page::Page;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;
use crate::wire;

/// Tools that one response holds at most, in pages of [`Page::MAX_LIMIT`].
const MAX_PAGES: usize = 10;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Tools of this tenant only.
    #[param(value_type = Option<String>)]
    tenant_slug: Option<TenantSlug>,
}

/// List tools, unpaged
///
/// Every tool that the caller may see, at most 10,000; the header `Link` leads to the rest. Better
/// use `/v1/tools`.
///
/// Roles: `agent`, `operator`, `author`, `auditor`, `admin`; a key bound to a tenant sees that
/// tenant's.
#[utoipa::path(
    get, path = "/register", tag = "registry",
    params(Filter),
    responses((status = 200, description = "the tools, oldest first", body = [Tool])),
)]
pub(crate) async fn register_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Response, Problem> {
    caller.require(&[Role::Agent, Role::Operator, Role::Author, Role::Auditor])?;
    let registry = &app.services.registry;
    let tenant = filter.tenant_slug.as_ref();
    let mut tools = Vec::new();
    let mut page = Page::first(Page::MAX_LIMIT);
    for _ in 0..MAX_PAGES {
        let found = registry.tools(caller.principal(), tenant, page.clone()).await?;
        tools.extend(found.items.into_iter().map(wire::tool));
        page.cursor = found.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    let mut response = Json(tools).into_response();
    if let Some(link) = page.cursor.and_then(|cursor| rest(tenant, &cursor)) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

fn rest(tenant: Option<&TenantSlug>, cursor: &str) -> Option<HeaderValue> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(tenant) = tenant {
        query.append_pair("tenant", tenant.as_str());
    }
    query.append_pair("cursor", cursor);
    HeaderValue::try_from(format!("</v1/tools?{}>; rel=\"next\"", query.finish())).ok()
}
