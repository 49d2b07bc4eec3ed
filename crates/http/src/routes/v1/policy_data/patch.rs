//! `PATCH /v1/policy/data/{*path}`: changes a part of policy data.
//! Roles: author, admin, bound to no tenant.

use axum::extract::State;
use axum::response::Response;
use sentinel_api::PolicyData;
use sentinel_core::json::Limits;
use sentinel_core::json::patch::PatchOperation;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;
use sentinel_service::policy_data::{DataEdit, DataRequest};

use super::{At, Precondition, Why, shown};
use crate::app::Shared;

/// Change a part of policy data
///
/// The body is a JSON Patch (RFC 6902) of `add`, `replace`, `remove` and `test`, its paths relative
/// to the value at this path. All of it is carried out, or nothing.
///
/// Roles: `author`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    patch, path = "/v1/policy/data/{*path}", tag = "policy",
    params(
        ("path" = String, Path, description = "names, parted by `/`; a slash in one is `%2F`"),
        Why,
        ("If-Match" = Option<String>, Header, description = "an `ETag`, or `*`: something is there"),
    ),
    request_body(
        content = Vec<Object>, description = "a JSON Patch",
        example = json!([{"op": "add", "path": "/search", "value": 5}]),
    ),
    responses(
        (status = 200, description = "what is stored there now", body = PolicyData),
        (status = 404, description = "nothing was put there"),
        (status = 409, description = "the patch does not fit, or the place belongs to the policy"),
        (status = 412, description = "something else is there"),
    ),
)]
pub(crate) async fn policy_data_patch(
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
    let operations: Vec<PatchOperation> = body.patch(&Limits::POLICY_DATA).await?;
    let edit = DataEdit::Patch(operations);
    let request = DataRequest { path: path.clone(), edit, expected, reason: why.reason };
    let changed = app.services.policy_data.change(caller.principal(), request).await?;
    let changed = changed.ok_or_else(|| Problem::internal("what was put is not there"))?;
    Ok(shown(Some(&path), changed))
}
