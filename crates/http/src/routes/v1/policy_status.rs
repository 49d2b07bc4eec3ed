//! `GET /v1/policy`: returns the policy's status. Roles: author, auditor, admin.

use axum::Json;
use axum::extract::State;
use sentinel_api::PolicyStatus;
use sentinel_core::policy;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;

/// Get the policy's status
///
/// Roles: `author`, `auditor`, `admin`.
#[utoipa::path(
    get, path = "/v1/policy", tag = "policy",
    responses((status = 200, description = "the policy in force", body = PolicyStatus)),
)]
pub(crate) async fn policy_status(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<PolicyStatus>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    let policy::PolicyStatus { revision, engine, loaded_at, error, refused_at, author, .. } =
        app.services.policy.status();
    let control = app.services.control.current();
    let state = control.policy();
    let (decides, data_version) = (app.services.policy.revision(state), state.data.version());
    Ok(Json(PolicyStatus {
        revision: decides,
        engine: engine.into(),
        source_revision: revision,
        loaded_at,
        error,
        refused_at,
        author,
        data_version,
    }))
}
