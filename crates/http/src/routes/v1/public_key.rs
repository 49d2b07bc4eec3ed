use axum::extract::State;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use sentinel_core::principal::Role;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::Problem;

/// Get the public key
///
/// The key that verifies manifests, PEM (ECDSA P-256).
///
/// Roles: any.
#[utoipa::path(
    get, path = "/v1/provenance/public-key", tag = "provenance",
    responses((status = 200, description = "the key", body = String,
        content_type = "application/x-pem-file")),
)]
pub(crate) async fn public_key(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    caller.require(&Role::ALL)?;
    let pem = app.services.provenance.public_key_pem()?;
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], pem))
}
