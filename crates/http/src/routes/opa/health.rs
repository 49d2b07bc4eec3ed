//! `GET /health`: says whether the server is healthy, as OPA. Public.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::app::Shared;

/// Health, as OPA
///
/// 200 `{}` while the server responds. With `?bundles` or `?plugins`: 500 while it cannot decide,
/// for the reasons that `/readyz` reports.
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/health", tag = "opa", security(()),
    params(
        ("bundles" = Option<String>, Query, description = "whether a policy decides, too"),
        ("plugins" = Option<String>, Query, description = "as `bundles`"),
    ),
    responses(
        (status = 200, description = "healthy", body = serde_json::Value),
        (status = 500, description = "not healthy", body = serde_json::Value),
    ),
)]
pub(crate) async fn opa_health(State(app): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let asked = query.unwrap_or_default();
    let names = asked.split('&').filter_map(|pair| pair.split('=').next());
    let deep = names.into_iter().any(|name| matches!(name, "bundles" | "plugins"));
    let reasons = if deep { app.door.not_ready().await } else { Vec::new() };
    if reasons.is_empty() {
        return Json(json!({})).into_response();
    }
    let error = format!("not ready: {}", reasons.join(", "));
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": error}))).into_response()
}
