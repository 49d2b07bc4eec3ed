//! `POST /provenance/sign`: signs an action. Roles: agent, admin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_core::id::{DecisionId, ManifestId};
use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName};
use sentinel_core::principal::Role;
use sentinel_service::provenance::SignRequest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;
use crate::wire::payload_hash;

/// The action that is to be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignRequest)]
pub(crate) struct SignBody {
    #[schema(value_type = String, example = "platform-eng")]
    tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    tool_name: ToolName,
    #[schema(value_type = String, example = "invoke")]
    action: Action,
    /// Any JSON value. The manifest commits to its exact bytes.
    #[schema(value_type = Value)]
    payload: Box<RawValue>,
    /// Keeps the payload, encrypted; without it nothing of it is kept. Answers 422
    /// (`payloads_not_kept`) where the deployment keeps none.
    #[serde(default)]
    keep_payload: bool,
    /// That of the decision when it is left out.
    #[schema(value_type = Option<String>)]
    purpose: Option<Purpose>,
    /// The agent that acted; a key bound to an agent may leave it out, and may name no other. That
    /// of the decision when it is left out.
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// The decision that the action rests on. It must be of the same tenant, tool, action, purpose,
    /// agent and principal; else 409 (`decision_mismatch`) names what differs.
    #[schema(value_type = Option<uuid::Uuid>)]
    decision_id: Option<DecisionId>,
    /// Signed as it is, and public.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// The manifest, which is on disk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignAnswer)]
pub(crate) struct SignedAnswer {
    #[schema(value_type = uuid::Uuid)]
    manifest_id: ManifestId,
    /// The DSSE signature, base64.
    signature: String,
    /// Milliseconds since the Unix epoch.
    timestamp: i64,
    /// SHA-256 of salt and payload.
    payload_hash: String,
    /// Where the manifest is in the transparency log.
    log_index: u64,
    /// Hex; needed, with the payload, to show what was committed to. Keep it as you keep the
    /// payload.
    salt: String,
}

/// Sign an action
///
/// Makes a manifest of what an agent did: an in-toto statement in a signed DSSE envelope, which
/// commits to the payload by a salted hash. Answers once it is on disk.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/provenance/sign", tag = "provenance",
    request_body = SignBody,
    responses((status = 201, description = "signed", body = SignedAnswer)),
)]
pub(crate) async fn provenance_sign(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<SignedAnswer>), Problem> {
    caller.require(&[Role::Agent])?;
    let body: SignBody = body.object().await?;
    let request = SignRequest {
        tenant: body.tenant_slug,
        tool: body.tool_name,
        action: body.action,
        purpose: body.purpose,
        agent: body.agent,
        payload: body.payload.get().as_bytes().to_vec(),
        keep_payload: body.keep_payload,
        decision_id: body.decision_id,
        metadata: body.metadata.unwrap_or_default(),
    };
    let signed = app.services.provenance.sign(caller.principal(), request).await?;
    app.metrics.signed();
    let response = SignedAnswer {
        manifest_id: signed.manifest.id,
        signature: signed.signature,
        timestamp: signed.manifest.created_at.as_millisecond(),
        payload_hash: payload_hash(&signed.manifest),
        log_index: signed.place.index,
        salt: hex::encode(signed.salt.as_bytes()),
    };
    Ok((StatusCode::CREATED, Json(response)))
}
