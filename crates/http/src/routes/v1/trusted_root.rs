//! `GET /v1/trusted-root`: returns the trusted root. Roles: any; public with `public_log`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sentinel_ingress::problem::Problem;
use sentinel_provenance::log::TRUSTED_ROOT_MEDIA_TYPE;
use sentinel_service::ServiceError;

use super::log_files::LogReader;
use crate::app::Shared;

/// Get the trusted root
///
/// What Sigstore's verifiers need to trust the logs of this deployment, and the other logs and
/// timestamp authorities that its bundles speak of: for `--trusted-root` of cosign. Fetch it once,
/// over a connection you trust, and keep it.
///
/// Roles: any; none where the configuration says `public_log`.
#[utoipa::path(
    get, path = "/v1/trusted-root", tag = "provenance",
    responses((status = 200, description = "the trusted root", body = Object,
        content_type = "application/vnd.dev.sigstore.trustedroot+json;version=0.1")),
)]
pub(crate) async fn trusted_root(
    State(app): State<Shared>,
    _: LogReader,
) -> Result<Response, Problem> {
    let also = &app.options.also_trusted;
    let mut root = app.services.log.trusted_root()?;
    root.logs.extend(also.logs.iter().cloned());
    let root = root.to_json_with(&also.authorities);
    let root = root.map_err(|error| ServiceError::Unavailable(error.to_string()))?;
    let headers = [(CONTENT_TYPE, TRUSTED_ROOT_MEDIA_TYPE), (CACHE_CONTROL, "no-cache")];
    Ok((headers, root).into_response())
}
