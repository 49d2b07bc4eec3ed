//! `GET /metrics`: returns the metrics, for Prometheus.
//! Roles: operator, auditor, admin, bound to no tenant.

use axum::extract::State;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics
///
/// OpenMetrics text for Prometheus, about the whole deployment.
///
/// Roles: `operator`, `auditor`, `admin`, with a key that is bound to no tenant.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = 200, description = "the metrics", body = String,
        content_type = "application/openmetrics-text")),
)]
pub(crate) async fn metrics(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    caller.require(&[Role::Operator, Role::Auditor])?;
    caller.require_unbound()?;
    let text = app.metrics.encode(&app.services);
    let text = text.map_err(|error| Problem::internal(format!("metrics: {error}")))?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}
