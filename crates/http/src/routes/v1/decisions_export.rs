//! `GET /v1/decisions/export`: exports decisions. Roles: auditor, admin.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use sentinel_api::Decision;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::page::{Page, Paged};
use sentinel_core::principal::{Principal, Role};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;

use super::decision_filter::{ExportParams, ListParams};
use crate::app::Shared;

/// Export decisions
///
/// Every decision that matches, newest first, as NDJSON: one decision a line, in the form of
/// `/v1/decisions/{id}`. The answer is streamed; when it fails under way, the connection is cut, so
/// an export that ends properly is complete.
///
/// Roles: `auditor`, `admin`; a key bound to a tenant sees that tenant's.
#[utoipa::path(
    get, path = "/v1/decisions/export", tag = "audit",
    params(ExportParams),
    responses((status = 200, description = "the decisions", body = String,
        content_type = "application/x-ndjson")),
)]
pub(crate) async fn decisions_export(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<ExportParams>,
) -> Result<Response, Problem> {
    caller.require(&[Role::Auditor])?;
    let params = ListParams::from(params);
    let principal = caller.into_principal();
    // The first page is read before the response begins, so that errors are problem documents.
    let first = page(&app, &principal, &params, None).await?;
    let mut response = Body::from_stream(stream(app, principal, params, first)).into_response();
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, ndjson);
    Ok(response)
}

/// One page after the other, each read when the client has taken the one before.
fn stream(
    app: Shared,
    principal: Principal,
    params: ListParams,
    first: Paged<DecisionRecord>,
) -> impl Stream<Item = Result<Bytes, Cut>> {
    async_stream::try_stream! {
        let mut found = first;
        loop {
            let next = found.next_cursor.take();
            yield lines(found.items)?;
            let Some(cursor) = next else { return };
            if !app.services.control.current().vouches_for(principal.credential()) {
                Err(Cut("the key was revoked"))?;
            }
            found = page(&app, &principal, &params, Some(cursor)).await.map_err(|problem| {
                tracing::error!(?problem, "an export was cut short");
                Cut("the store is unavailable")
            })?;
        }
    }
}

/// Ends the connection before the response is complete.
#[derive(Debug)]
struct Cut(&'static str);

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Cut {}

async fn page(
    app: &Shared,
    principal: &Principal,
    params: &ListParams,
    cursor: Option<String>,
) -> Result<Paged<DecisionRecord>, Problem> {
    let page = Page { limit: Page::MAX_LIMIT, cursor };
    let tenant = params.tenant.as_ref();
    Ok(app.services.audit.decisions(principal, tenant, params.filter(), page).await?)
}

fn lines(records: Vec<DecisionRecord>) -> Result<Bytes, Cut> {
    let mut text = Vec::with_capacity(records.len() * 512);
    for record in records {
        serde_json::to_writer(&mut text, &Decision::from(record))
            .map_err(|_| Cut("a decision cannot be written"))?;
        text.push(b'\n');
    }
    Ok(text.into())
}
