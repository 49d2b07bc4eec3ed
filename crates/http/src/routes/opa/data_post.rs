//! `POST /v1/data/{*path}`: decides a call, as OPA. Roles: agent, admin.

use axum::extract::State;
use axum::response::Response;
use sentinel_ingress::body::Unread;
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{DataAnswer, DataQuery, Input, Rule, decide, not_understood, undefined};
use crate::app::Shared;
use sentinel_ingress::ask::Asker;

/// The question, as OPA takes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OpaQuestion)]
pub(crate) struct Question {
    input: Input,
}

/// Decide a call, as OPA
///
/// OPA's data API for `sentinel/policy/decision` and `sentinel/policy/allow`. Every question is a
/// check: it is recorded, and an allow counts against the quota. A deny, that of an unknown tool
/// or of a foreign tenant too, is a `result`. Any other path is undefined: `{}`. What cannot be
/// read is refused with 400 in OPA's form, `{code, message}`.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    post, path = "/v1/data/{*path}", tag = "opa",
    params(("path" = String, Path, description = "`sentinel/policy/decision` or `…/allow`")),
    request_body = Question,
    responses((status = 200, description = "what the rule comes to", body = DataAnswer)),
)]
pub(crate) async fn opa_data_post(
    State(app): State<Shared>,
    asker: Asker,
    Id(path): Id<String>,
    query: Result<Params<DataQuery>, Problem>,
    body: Unread,
) -> Result<Response, Problem> {
    match query {
        Err(problem) => return Ok(not_understood(&problem)),
        Ok(Params(DataQuery { input: Some(_), .. })) => {
            let detail = "`input` belongs into the body of a POST";
            return Ok(not_understood(&Problem::bad_request("invalid_query", detail)));
        }
        Ok(_) => {}
    }
    let Some(rule) = Rule::of(&path) else { return Ok(undefined()) };
    match body.object::<Question>().await {
        Ok(Question { input }) => decide(&app, rule, input, asker).await,
        Err(problem) => Ok(not_understood(&problem)),
    }
}
