use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use sentinel_core::policy::PolicyStatus;
use sentinel_core::principal::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::Problem;

/// The policy in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyStatus)]
pub(crate) struct PolicyAnswer {
    /// `null` while nothing is loaded: everything is denied.
    revision: Option<String>,
    engine: &'static str,
    /// When that revision came into force.
    loaded_at: Option<Timestamp>,
    /// Why the last attempt to load was refused, when it was.
    error: Option<String>,
    /// Since when every attempt was refused with that error.
    refused_at: Option<Timestamp>,
    /// Who wrote the revision, where its manifest says so.
    author: Option<String>,
    /// Of the data that was put beside it, 0 when none ever was. Decisions name it after the
    /// revision: `1.0+data.17`.
    data_version: u64,
}

/// Get the policy's status
///
/// Roles: `author`, `auditor`, `admin`.
#[utoipa::path(
    get, path = "/v1/policy", tag = "policy",
    responses((status = 200, description = "the policy in force", body = PolicyAnswer)),
)]
pub(crate) async fn policy_status(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<PolicyAnswer>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    let PolicyStatus { revision, engine, loaded_at, error, refused_at, author, .. } =
        app.services.policy.status();
    let data_version = app.services.control.current().policy().data.version();
    Ok(Json(PolicyAnswer { revision, engine, loaded_at, error, refused_at, author, data_version }))
}
