//! `POST /v1/payload-keys/destroy`: destroys a tenant's payload key.
//! Roles: admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_api::{DestroyAnswer, DestroyRequest};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;

use crate::app::Shared;
use crate::wire;

/// Destroy a tenant's payload key
///
/// Destroys every payload and every salt of the tenant so far, for good: none can be read any more,
/// and what manifests commit to cannot be guessed. The manifests stay, and verify. A signed
/// tombstone in the transparency log says so. The next manifest of the tenant begins another key.
///
/// Returns 409 (`no_payload_key`) when the tenant has no key that is not destroyed already.
///
/// Roles: `admin`, with a key that is bound to no tenant.
#[utoipa::path(
    post, path = "/v1/payload-keys/destroy", tag = "provenance",
    request_body = DestroyRequest,
    responses((status = 200, description = "destroyed", body = DestroyAnswer)),
)]
pub(crate) async fn payload_keys_destroy(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<DestroyAnswer>, Problem> {
    caller.require(&[])?;
    caller.require_unbound()?;
    let DestroyRequest { tenant_slug, reason } = body.object().await?;
    let payloads = &app.services.payloads;
    let destroyed = payloads.destroy(caller.principal(), &tenant_slug, &reason).await?;
    Ok(Json(DestroyAnswer {
        payloads_destroyed: destroyed.payloads,
        tombstone: wire::tombstone(destroyed.tombstone),
    }))
}
