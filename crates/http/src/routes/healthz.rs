//! `GET /healthz`: says whether the process is alive. Public.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alive)]
pub(crate) struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the process is alive
///
/// Succeeds as long as the process runs; see `/readyz` for whether it can decide.
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "alive", body = Alive)),
)]
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok" })
}
