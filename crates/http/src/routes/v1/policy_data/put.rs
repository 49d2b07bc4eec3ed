//! `PUT /v1/policy/data/{*path}`: puts policy data. Roles: author, admin, bound to no tenant.

use axum::extract::State;
use axum::response::Response;
use sentinel_api::PolicyData;
use sentinel_core::json::Limits;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;
use sentinel_service::policy_data::{DataEdit, DataRequest};
use serde_json::Value;

use super::{At, Precondition, Why, shown};
use crate::app::Shared;

/// Put policy data
///
/// The body is the value, at most 1 MiB of JSON. Policies see it as `data` at that path, on every
/// server: no decision that is returned after this has returned rests on what was there before.
/// Where the policy in force has a package, a root or data of its own, nothing can be put. With
/// `If-Match` and the tag of what was read, a change that somebody else made meanwhile is not lost.
///
/// Roles: `author`, `admin`; not for keys that are bound to a tenant, since data is the same for
/// all tenants.
#[utoipa::path(
    put, path = "/v1/policy/data/{*path}", tag = "policy",
    params(
        ("path" = String, Path, description = "names, parted by `/`; a slash in one is `%2F`"),
        Why,
        ("If-Match" = Option<String>, Header, description = "an `ETag`, or `*`: something is there"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: nothing is there yet"),
    ),
    request_body(content = Value, description = "any JSON value"),
    responses(
        (status = 200, description = "what is stored there now", body = PolicyData),
        (status = 409, description = "the place belongs to the policy or is not below an object"),
        (status = 412, description = "something else is there"),
    ),
)]
pub(crate) async fn policy_data_put(
    State(app): State<Shared>,
    caller: Caller,
    at: Result<At, Problem>,
    why: Result<Params<Why>, Problem>,
    precondition: Result<Precondition, Problem>,
    body: Unread,
) -> Result<Response, Problem> {
    caller.require(&[Role::Author])?;
    caller.require_unbound()?;
    let (At(path), Params(why), Precondition(expected)) = (at?, why?, precondition?);
    let value: Value = body.value(&Limits::POLICY_DATA).await?;
    let edit = DataEdit::Put(value);
    let request = DataRequest { path: path.clone(), edit, expected, reason: why.reason };
    let changed = app.services.policy_data.change(caller.principal(), request).await?;
    let changed = changed.ok_or_else(|| Problem::internal("what was put is not there"))?;
    Ok(shown(Some(&path), changed))
}
