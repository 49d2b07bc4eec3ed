//! The keys that sign manifests, as the log knows them.
//!
//! `GET /v1/provenance/keys`: lists them. Roles: any.
//!
//! `POST /v1/provenance/keys/retire`, `POST /v1/provenance/keys/revoke`: ends the trust in one.
//! Roles: admin, bound to no tenant.

use axum::Json;
use axum::extract::State;
use sentinel_api::{EndSigningKey, SigningKey, SigningKeyEvent, SigningKeys};
use sentinel_core::principal::Role;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_provenance::KeyEventKind;
use sentinel_service::ServiceError;
use sentinel_service::log::{KeyEvent, LoggedKey};

use crate::app::Shared;

/// List signing keys
///
/// The keys that sign manifests, those of the past included, each with the logged statements of
/// what became of it.
///
/// Roles: any.
#[utoipa::path(
    get, path = "/v1/provenance/keys", tag = "provenance",
    responses((status = 200, description = "the keys", body = SigningKeys)),
)]
pub(crate) async fn signing_keys(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<SigningKeys>, Problem> {
    caller.require(&Role::ALL)?;
    let mut items = Vec::new();
    for known in app.services.log.keys().await?.into_values() {
        items.push(shown(&app, known).await?);
    }
    Ok(Json(SigningKeys { items }))
}

/// Retire a signing key
///
/// Logs that a key signs no more. What it signed stays good.
///
/// Roles: `admin`; not for keys that are bound to a tenant.
#[utoipa::path(
    post, path = "/v1/provenance/keys/retire", tag = "provenance", request_body = EndSigningKey,
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
    post, path = "/v1/provenance/keys/revoke", tag = "provenance", request_body = EndSigningKey,
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
    let EndSigningKey { hint, reason } = body.object().await?;
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
        events.push(SigningKeyEvent {
            event: event.event.as_str().to_owned(),
            at: event.timestamp,
            reason: event.reason,
            log_index: statement.place.map(|place| place.index),
            bundle,
        });
    }
    let (hint, public_key) = (known.hint, known.pem);
    Ok(SigningKey { hint, public_key, state: state.into(), events })
}
