//! `GET /v1/keys`: lists keys. Roles: admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::{ApiKey, List};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::{PageLimit, Params, page};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;
use crate::wire;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List keys
///
/// Roles: `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys",
    params(Filter),
    responses((status = 200, description = "keys, newest first", body = List<ApiKey>)),
)]
pub(crate) async fn keys_list(
    State(app): State<Shared>,
    caller: Caller,
    Params(filter): Params<Filter>,
) -> Result<Json<List<ApiKey>>, Problem> {
    caller.require(&[])?;
    let page = page(filter.limit, filter.cursor)?;
    let found = app.services.keys.list(caller.principal(), page).await?;
    let control = app.services.control.current();
    Ok(Json(List::of(found, |key| wire::key(&control, key))))
}
