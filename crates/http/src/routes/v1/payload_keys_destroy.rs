//! `POST /v1/payload-keys/destroy`: destroys a tenant's payload key.
//! Roles: admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_core::name::{Reason, TenantSlug};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;
use crate::wire::TombstoneAnswer;

/// Whose payloads are to be destroyed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DestroyRequest)]
pub(crate) struct DestroyBody {
    #[schema(value_type = String, example = "platform-eng")]
    tenant_slug: TenantSlug,
    /// Why, for people. It becomes part of the signed tombstone.
    #[schema(value_type = String, example = "erasure request 4711")]
    reason: Reason,
}

/// What was destroyed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DestroyAnswer)]
pub(crate) struct DestroyedAnswer {
    /// Payloads that were kept under the key.
    payloads_destroyed: u64,
    tombstone: TombstoneAnswer,
}

/// Destroy a tenant's payload key
///
/// Destroys every payload and every salt of the tenant so far, for good: none can be read any more,
/// and what manifests commit to cannot be guessed. The manifests stay, and verify. A signed tombstone
/// in the transparency log says so. The next manifest of the tenant begins another key.
///
/// Answers 409 (`no_payload_key`) when the tenant has no key that is not destroyed already.
///
/// Roles: `admin`, with a key that is bound to no tenant.
#[utoipa::path(
    post, path = "/v1/payload-keys/destroy", tag = "provenance",
    request_body = DestroyBody,
    responses((status = 200, description = "destroyed", body = DestroyedAnswer)),
)]
pub(crate) async fn payload_keys_destroy(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<DestroyedAnswer>, Problem> {
    caller.require(&[])?;
    caller.require_unbound()?;
    let DestroyBody { tenant_slug, reason } = body.object().await?;
    let payloads = &app.services.payloads;
    let destroyed = payloads.destroy(caller.principal(), &tenant_slug, &reason).await?;
    Ok(Json(DestroyedAnswer {
        payloads_destroyed: destroyed.payloads,
        tombstone: destroyed.tombstone.into(),
    }))
}
