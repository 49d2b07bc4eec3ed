//! `GET /openapi.json`: returns the OpenAPI document. Public.

use axum::extract::State;
use bytes::Bytes;
use http::HeaderName;
use http::header::CONTENT_TYPE;

use crate::app::Shared;

/// This document
///
/// The OpenAPI 3.1 document of this server.
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/openapi.json", tag = "discovery", security(()),
    responses((status = 200, description = "the document", body = Object)),
)]
pub(crate) async fn openapi_json(
    State(app): State<Shared>,
) -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(CONTENT_TYPE, "application/json")], app.openapi.clone())
}
