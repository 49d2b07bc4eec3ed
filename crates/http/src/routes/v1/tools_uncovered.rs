//! `POST /v1/tools/uncovered`: reports a call that reached a tool without Sentinel. Roles: agent,
//! admin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sentinel_api::{UncoveredAnswer, UncoveredRequest};
use sentinel_core::check::{Arguments, CheckRequest};
use sentinel_ingress::ask::Asker;
use sentinel_ingress::body::Unread;
use sentinel_ingress::problem::Problem;
use serde_json::Map;

use crate::app::Shared;

/// Report an uncovered call
///
/// The server of a tool reports a call that it refused, because it came without a valid permit: it
/// bypassed Sentinel. The report is recorded as a deny with the code `no_permit` whose principal is
/// the server that reports it. Decisions with that code are those reports.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/v1/tools/uncovered", tag = "registry",
    request_body = UncoveredRequest,
    responses((status = 201, description = "recorded", body = UncoveredAnswer)),
)]
pub(crate) async fn tools_uncovered(
    State(app): State<Shared>,
    asker: Asker,
    body: Unread,
) -> Result<(StatusCode, Json<UncoveredAnswer>), Problem> {
    let UncoveredRequest { tenant_slug, tool_name, action, reason } = body.object().await?;
    let request = CheckRequest {
        principal: asker.principal,
        tenant: tenant_slug,
        tool: tool_name,
        action,
        purpose: None,
        usage: 0,
        context: Map::new(),
        agent: None,
        arguments: Arguments::new(Map::new()),
        call_id: None,
        request_id: asker.request_id,
        arrived: asker.arrived,
        deadline: asker.deadline,
    };
    let record = app.services.checker.report_uncovered(request, reason.as_words()).await?;
    Ok((StatusCode::CREATED, Json(UncoveredAnswer { decision_id: record.id })))
}
