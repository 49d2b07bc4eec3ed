//! `POST /v1/keys`: makes a key. Roles: admin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_core::name::{AgentName, DisplayName, Owner, TenantSlug};
use sentinel_core::principal::Role;
use sentinel_service::keys::{KeySpec, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::problem::Problem;
use crate::wire::KeyAnswer;

/// The key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyRequest)]
pub(crate) struct KeyBody {
    /// For people.
    #[schema(value_type = String, example = "ci runner")]
    name: DisplayName,
    /// `agent`, `operator`, `author`, `auditor` or `admin`.
    #[schema(value_type = String, example = "agent")]
    role: Role,
    /// Binds the key to one tenant; to all when left out.
    #[schema(value_type = Option<String>)]
    tenant_slug: Option<TenantSlug>,
    /// Binds the key to one agent.
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// The person or service that holds the key. Keys of one owner and tenant are one principal, so
    /// that a new key can go on with what an old one began.
    #[schema(value_type = Option<String>, example = "alice")]
    owner: Option<Owner>,
}

/// A key just made.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(crate) struct NewKeyAnswer {
    #[serde(flatten)]
    key: KeyAnswer,
    /// The key itself, `snt_<role>_<random>`. It is shown here and never again.
    secret: String,
}

/// Make a key
///
/// Roles: `admin`; with a key bound to a tenant, `tenant_slug` must name that tenant.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys",
    request_body = KeyBody,
    responses((status = 201, description = "the key", body = NewKeyAnswer)),
)]
pub(crate) async fn keys_create(
    State(app): State<Shared>,
    caller: Caller,
    body: Unread,
) -> Result<(StatusCode, Json<NewKeyAnswer>), Problem> {
    caller.require(&[])?;
    let KeyBody { name, role, tenant_slug, agent, owner } = body.object().await?;
    let spec = KeySpec { name, role, tenant: tenant_slug, agent, owner };
    let NewKey { key, secret } = app.services.keys.create(caller.principal(), spec).await?;
    let key = KeyAnswer::of(&app.services.control.current(), key);
    Ok((StatusCode::CREATED, Json(NewKeyAnswer { key, secret })))
}
