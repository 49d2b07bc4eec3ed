//! `POST /provenance/sign`: signs an action. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_api::{SignAnswer, SignRequest, payload_hash};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_service::provenance;

use crate::app::Shared;

/// Sign an action
///
/// Makes a manifest of what an agent did: an in-toto statement in a signed DSSE envelope, which
/// commits to the payload by a salted hash. Returns once it is on disk.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/provenance/sign", tag = "provenance",
    request_body = SignRequest,
    responses((status = 201, description = "signed", body = SignAnswer)),
)]
pub(crate) async fn provenance_sign(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<SignAnswer>), Problem> {
    caller.require(&[Role::Agent])?;
    let body: SignRequest = body.object().await?;
    let request = provenance::SignRequest {
        tenant: body.tenant_slug,
        tool: body.tool_name,
        action: body.action,
        purpose: body.purpose,
        agent: body.agent,
        payload: body.payload.get().as_bytes().to_vec(),
        keep_payload: body.keep_payload,
        decision_id: body.decision_id,
        decision: None,
        idempotency_key: body.idempotency_key,
        metadata: body.metadata.unwrap_or_default(),
    };
    let signed = app.services.provenance.sign(caller.principal(), request).await?;
    app.metrics.signed();
    let response = SignAnswer {
        manifest_id: signed.manifest.id,
        signature: signed.signature,
        timestamp: signed.manifest.created_at.as_millisecond(),
        payload_hash: payload_hash(&signed.manifest),
        log_index: signed.place.index,
        salt: hex::encode(signed.salt.as_bytes()),
    };
    Ok((StatusCode::CREATED, Json(response)))
}
