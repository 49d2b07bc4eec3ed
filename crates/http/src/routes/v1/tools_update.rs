//! `PATCH /v1/tools/{id}`: changes a tool. Roles: admin.

use axum::Json;
use axum::extract::State;
use sentinel_core::id::ToolId;
use sentinel_core::name::Owner;
use sentinel_core::tool::ToolChange;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::Unread;
use crate::path::Id;
use crate::problem::Problem;
use crate::wire::{Address, ToolAnswer};

/// What is to change; fields that are left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ToolChange)]
pub(crate) struct ChangeBody {
    #[schema(value_type = Option<String>)]
    url: Option<Address>,
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    scopes: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// `null` removes the health check.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    healthcheck: Option<Option<Address>>,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Address>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Change a tool
///
/// Changes where a tool is, who owns it and what is said about it; its name stays. The digest
/// changes with it, so a policy that pins the digest denies until it is changed too.
///
/// Roles: `admin`; a key bound to a tenant changes that tenant's tools.
#[utoipa::path(
    patch, path = "/v1/tools/{id}", tag = "registry",
    params(("id" = uuid::Uuid, Path, description = "the tool")),
    request_body = ChangeBody,
    responses((status = 200, description = "the tool as changed", body = ToolAnswer)),
)]
pub(crate) async fn tools_update(
    State(app): State<Shared>,
    caller: Caller,
    Id(id): Id<ToolId>,
    body: Unread,
) -> Result<Json<ToolAnswer>, Problem> {
    caller.require(&[])?;
    let ChangeBody { url, owner, scopes, metadata, healthcheck } = body.object().await?;
    let change = ToolChange {
        url: url.map(|address| address.0),
        owner,
        scopes,
        metadata,
        healthcheck: healthcheck.map(|address| address.map(|address| address.0)),
        retire: false,
    };
    let changed = app.services.registry.update(caller.principal(), id, change).await?;
    let tool = changed.ok_or_else(|| Problem::not_found("unknown_tool", "tool", &id))?;
    Ok(Json(tool.into()))
}
