//! `GET /v1/provenance/public-key`: returns a public key. Roles: any.

use axum::extract::State;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::Shared;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// The key that a bundle names by this hint (`SHA256:…`), once it is known that the trusted key
    /// certified it.
    hint: Option<String>,
}

/// Get a public key
///
/// The key to trust, PEM (ECDSA P-256): it signs manifests, or certifies the keys that do. With
/// `hint` one of those.
///
/// Roles: any.
#[utoipa::path(
    get, path = "/v1/provenance/public-key", tag = "provenance",
    params(Filter),
    responses(
        (status = 200, description = "the key", body = String,
            content_type = "application/x-pem-file"),
        (status = 404, description = "no trusted key vouches for one with that hint"),
    ),
)]
pub(crate) async fn public_key(
    State(app): State<Shared>,
    caller: Caller,
    Params(Filter { hint }): Params<Filter>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    caller.require(&Role::ALL)?;
    let provenance = &app.services.provenance;
    let pem = match hint {
        None => provenance.public_key_pem()?,
        Some(hint) => provenance
            .public_key_by(&hint)
            .await?
            .ok_or_else(|| Problem::not_found("unknown_signing_key", "key", &hint))?,
    };
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], pem))
}
