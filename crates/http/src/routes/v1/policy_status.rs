//! `GET /v1/policy`: returns the policy's status. Roles: author, auditor, admin.

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
    /// What decides, as decisions name it; `null` while nothing does: everything is denied.
    revision: Option<String>,
    engine: &'static str,
    /// What the source brought: another revision than the one that decides when data was put beside
    /// it (`1.0+data.17`) or a candidate was promoted.
    source_revision: Option<String>,
    /// When the source's revision was loaded.
    loaded_at: Option<Timestamp>,
    /// Why the last attempt to load was refused, when it was.
    error: Option<String>,
    /// Since when every attempt was refused with that error.
    refused_at: Option<Timestamp>,
    /// Who wrote the source's revision, where its manifest says so.
    author: Option<String>,
    /// Of the data that was put beside it, 0 when none ever was.
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
    let control = app.services.control.current();
    let state = control.policy();
    let (decides, data_version) = (app.services.policy.revision(state), state.data.version());
    Ok(Json(PolicyAnswer {
        revision: decides,
        engine,
        source_revision: revision,
        loaded_at,
        error,
        refused_at,
        author,
        data_version,
    }))
}
