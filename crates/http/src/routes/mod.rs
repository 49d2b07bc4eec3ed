//! The endpoints. Each is one file; this is the table of them, from which both the router and the
//! OpenAPI document come, so that nothing is served that is not documented.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;

mod authzen;
mod docs;
mod healthz;
mod kill;
mod kill_restore;
mod metrics;
mod opa;
mod openapi_json;
mod policy_check;
mod provenance_sign;
mod provenance_verify;
mod readyz;
mod register;
mod register_list;
mod register_tenants;
mod v1;

/// The path of a check. Its errors say `"allow": false`.
pub(crate) const CHECK: &str = "/policy/check";

/// Every endpoint.
pub(crate) fn table() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(policy_check::policy_check))
        .routes(routes!(register::register, register_list::register_list))
        .routes(routes!(register_tenants::register_tenants))
        .routes(routes!(kill::kill))
        .routes(routes!(kill_restore::kill_restore))
        .routes(routes!(provenance_sign::provenance_sign))
        .routes(routes!(provenance_verify::provenance_verify))
        .merge(v1::table())
        .merge(opa::table())
        .merge(authzen::table())
        .routes(routes!(healthz::healthz))
        .routes(routes!(readyz::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi_json::openapi_json))
        .routes(routes!(docs::docs))
        .routes(routes!(docs::docs_file))
}
