//! The keys that sign manifests, as the log knows them.
//!
//! `GET /v1/provenance/keys`: lists them. Roles: any.
//!
//! `POST /v1/provenance/keys/retire`, `POST /v1/provenance/keys/revoke`: ends the trust in one.
//! Roles: admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use sentinel_core::name::Reason;
use sentinel_core::principal::Role;
use sentinel_provenance::KeyEventKind;
use sentinel_service::ServiceError;
use sentinel_service::log::{KeyEvent, LoggedKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;

/// Every key that ever signed here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningKeys)]
pub(crate) struct SigningKeysAnswer {
    items: Vec<SigningKey>,
}

/// A key, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigningKey {
    /// SSH fingerprint, as bundles name it.
    hint: String,
    /// PEM.
    public_key: String,
    /// `active`, `retired` or `revoked`.
    #[schema(value_type = String)]
    state: &'static str,
    events: Vec<SigningKeyEventShown>,
}

/// What happened to a key, as it was logged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SigningKeyEvent)]
pub(crate) struct SigningKeyEventShown {
    /// `introduced`, `certified`, `retired` or `revoked`.
    #[schema(value_type = String)]
    event: Value,
    at: Timestamp,
    reason: Option<String>,
    log_index: Option<u64>,
    /// The signed statement with its place in the log, a Sigstore bundle about the PEM.
    #[schema(value_type = Object)]
    bundle: Box<RawValue>,
}

/// The key that is to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EndSigningKey)]
pub(crate) struct EndBody {
    /// SSH fingerprint of the key.
    hint: String,
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
}

/// List signing keys
///
/// The keys that sign manifests, those of the past included, each with the logged statements of what
/// became of it.
///
/// Roles: any.
#[utoipa::path(
    get, path = "/v1/provenance/keys", tag = "provenance",
    responses((status = 200, description = "the keys", body = SigningKeysAnswer)),
)]
pub(crate) async fn signing_keys(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<SigningKeysAnswer>, Problem> {
    caller.require(&Role::ALL)?;
    let mut items = Vec::new();
    for known in app.services.log.keys().await?.into_values() {
        items.push(shown(&app, known).await?);
    }
    Ok(Json(SigningKeysAnswer { items }))
}

/// Retire a signing key
///
/// Logs that a key signs no more. What it signed stays good.
///
/// Roles: `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    post, path = "/v1/provenance/keys/retire", tag = "provenance", request_body = EndBody,
    responses((status = 200, description = "the key", body = SigningKey)),
)]
pub(crate) async fn signing_key_retire(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<SigningKey>, Problem> {
    end(&app, &caller, body, KeyEventKind::Retired).await
}

/// Revoke a signing key
///
/// Logs that a key is in wrong hands: verifiers reject its leaves at and beyond that of the
/// revocation.
///
/// Roles: `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    post, path = "/v1/provenance/keys/revoke", tag = "provenance", request_body = EndBody,
    responses((status = 200, description = "the key", body = SigningKey)),
)]
pub(crate) async fn signing_key_revoke(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<Json<SigningKey>, Problem> {
    end(&app, &caller, body, KeyEventKind::Revoked).await
}

async fn end(
    app: &Shared,
    caller: &Caller,
    body: Unread,
    kind: KeyEventKind,
) -> Result<Json<SigningKey>, Problem> {
    caller.require(&[])?;
    caller.require_unbound()?;
    let EndBody { hint, reason } = body.object().await?;
    let reason = reason.map(|reason| reason.to_string());
    let known = app.services.log.end_key(&hint, kind, reason).await?;
    Ok(Json(shown(app, known).await?))
}

async fn shown(app: &Shared, known: LoggedKey) -> Result<SigningKey, Problem> {
    let state = match (known.revoked_at(), known.is_over()) {
        (Some(_), _) => "revoked",
        (None, true) => "retired",
        (None, false) => "active",
    };
    let mut events = Vec::new();
    for KeyEvent { event, statement } in known.events {
        let failed = |error: &dyn std::fmt::Display| ServiceError::Unavailable(error.to_string());
        let bundle = app.services.log.statement_bundle(&statement).await?;
        let bundle = bundle.to_json().map_err(|error| failed(&error))?;
        let bundle = serde_json::from_slice(&bundle).map_err(|error| failed(&error))?;
        events.push(SigningKeyEventShown {
            event: serde_json::to_value(event.event).unwrap_or_default(),
            at: event.timestamp,
            reason: event.reason,
            log_index: statement.place.map(|place| place.index),
            bundle,
        });
    }
    Ok(SigningKey { hint: known.hint, public_key: known.pem, state, events })
}
