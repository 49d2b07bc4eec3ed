//! `DELETE /v1/policy/data/{*path}`: removes policy data that was put.
//! Roles: author, admin, bound to no tenant.

use axum::extract::State;
use http::StatusCode;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;
use sentinel_service::policy_data::{DataEdit, DataRequest};

use super::{At, Precondition, Why};
use crate::app::Shared;

/// Remove policy data that was put
///
/// With everything below it.
///
/// Roles: `author`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    delete, path = "/v1/policy/data/{*path}", tag = "policy",
    params(
        ("path" = String, Path, description = "names, parted by `/`; a slash in one is `%2F`"),
        Why,
        ("If-Match" = Option<String>, Header, description = "an `ETag`, or `*`: something is there"),
    ),
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "nothing was put there"),
        (status = 412, description = "something else is there"),
    ),
)]
pub(crate) async fn policy_data_delete(
    State(app): State<Shared>,
    caller: Caller,
    at: Result<At, Problem>,
    why: Result<Params<Why>, Problem>,
    precondition: Result<Precondition, Problem>,
) -> Result<StatusCode, Problem> {
    caller.require(&[Role::Author])?;
    caller.require_unbound()?;
    let (At(path), Params(why), Precondition(expected)) = (at?, why?, precondition?);
    let request = DataRequest { path, edit: DataEdit::Remove, expected, reason: why.reason };
    app.services.policy_data.change(caller.principal(), request).await?;
    Ok(StatusCode::NO_CONTENT)
}
