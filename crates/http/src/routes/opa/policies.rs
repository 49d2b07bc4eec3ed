//! `GET /v1/policies`: lists policy modules, as OPA.
//! Roles: author, auditor, admin, bound to no tenant.
//!
//! `GET /v1/policies/`: lists policy modules, as some of OPA's clients ask.
//! Roles: author, auditor, admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;

/// The modules of the policy in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpaPolicies)]
pub(crate) struct Policies {
    result: Vec<Module>,
}

/// One file of Rego.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpaModule)]
pub(crate) struct Module {
    id: String,
    raw: String,
}

/// List policy modules, as OPA
///
/// Read-only, and empty when a remote OPA decides. There is no syntax tree (`ast`).
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policies", tag = "opa",
    responses((status = 200, description = "the modules", body = Policies)),
)]
pub(crate) async fn opa_policies(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Policies>, Problem> {
    caller.require(&[Role::Author, Role::Auditor])?;
    caller.require_unbound()?;
    let control = app.services.control.current();
    let modules = app.services.policy.modules(control.policy()).into_iter();
    let module = |module: sentinel_core::policy::PolicyModule| Module {
        id: module.id,
        raw: module.raw.as_ref().to_owned(),
    };
    Ok(Json(Policies { result: modules.map(module).collect() }))
}

/// List policy modules, as some of OPA's clients ask
///
/// As `/v1/policies`: OPA's Python client asks for it with a slash at the end.
///
/// Roles: `author`, `auditor`, `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    get, path = "/v1/policies/", tag = "opa",
    responses((status = 200, description = "the modules", body = Policies)),
)]
pub(crate) async fn opa_policies_slash(
    app: State<Shared>,
    caller: Caller,
) -> Result<Json<Policies>, Problem> {
    opa_policies(app, caller).await
}
