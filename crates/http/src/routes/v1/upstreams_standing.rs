//! `POST /v1/upstreams/{tenant}/{name}/standing`: what may be shown of a wrapped server's tools.
//! Roles: agent, admin.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use sentinel_api::{StandingAnswer, StandingRequest};
use sentinel_core::json::Limits;
use sentinel_core::name::{TenantSlug, UpstreamName};
use sentinel_ingress::ask::Asker;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use sentinel_service::upstreams::Viewer;

use crate::app::Shared;
use crate::wire;

/// As large as what a gateway reads of a server at once.
const LIMITS: Limits = Limits {
    max_bytes: 4 * 1024 * 1024,
    max_depth: 64,
    max_nodes: 200_000,
    max_string_bytes: 128 * 1024,
    max_key_bytes: 1024,
};

/// The upstream that the path names.
#[derive(Debug)]
pub(crate) struct Named {
    tenant: TenantSlug,
    name: UpstreamName,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().strip_prefix("/v1/upstreams/").unwrap_or_default();
        let mut names = path.split('/');
        let mut name = || names.next().unwrap_or_default();
        let (tenant, name) = (name().parse(), name().parse());
        let invalid = |error: sentinel_core::name::NameError| {
            Problem::bad_request(error.code(), error.to_string())
        };
        Ok(Self { tenant: tenant.map_err(invalid)?, name: name.map_err(invalid)? })
    }
}

/// Find out where a wrapped server's tools stand
///
/// For `sentinel mcp wrap`. Registers and pins the tools that are new, quarantines those whose
/// definition has changed, and says of each whether the agent may see and call it. The upstream is
/// added when there is none of that name, unless the configuration reserves that to administrators.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/v1/upstreams/{tenant}/{name}/standing", tag = "registry",
    params(
        ("tenant" = String, Path, description = "slug of the tenant"),
        ("name" = String, Path, description = "name of the upstream"),
    ),
    request_body = StandingRequest,
    responses(
        (status = 200, description = "where each tool stands", body = StandingAnswer),
        (status = 409, description = "`upstream_not_wrapped`: the server connects to it itself"),
    ),
)]
pub(crate) async fn upstreams_standing(
    State(app): State<Shared>,
    asker: Asker,
    named: Result<Named, Problem>,
    body: Unread,
) -> Result<Json<StandingAnswer>, Problem> {
    let Named { tenant, name } = named?;
    let StandingRequest { agent, purpose, context, tools } = body.object_within(&LIMITS).await?;
    let viewer = Viewer {
        principal: asker.principal,
        agent,
        purpose,
        context: context.unwrap_or_default(),
        request_id: asker.request_id,
    };
    let upstreams = &app.services.upstreams;
    let standings = upstreams.standing_of_wrapped(&viewer, &tenant, &name, &tools).await?;
    Ok(Json(StandingAnswer { tools: standings.into_iter().map(wire::standing).collect() }))
}
