//! `GET /v1/data/{*path}`: decides a call, as OPA, by GET. Roles: agent, admin.

use axum::extract::State;
use axum::response::Response;
use sentinel_core::json::{Limits, parse_object_as};
use sentinel_ingress::path::Id;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::query::Params;

use super::{DataAnswer, DataQuery, Input, Rule, decide, not_understood, undefined};
use crate::app::Shared;
use sentinel_ingress::ask::Asker;

/// Decide a call, as OPA, by GET
///
/// As the POST, with the input in the query. It decides, records and counts as the POST does, so
/// it must not be prefetched or repeated.
///
/// Roles: `agent`, `admin`.
#[utoipa::path(
    get, path = "/v1/data/{*path}", tag = "opa",
    params(
        ("path" = String, Path, description = "`sentinel/policy/decision` or `…/allow`"),
        ("input" = Option<String>, Query, description = "the input, as JSON"),
    ),
    responses((status = 200, description = "what the rule comes to", body = DataAnswer)),
)]
pub(crate) async fn opa_data_get(
    State(app): State<Shared>,
    asker: Asker,
    Id(path): Id<String>,
    query: Result<Params<DataQuery>, Problem>,
) -> Result<Response, Problem> {
    let Some(rule) = Rule::of(&path) else { return Ok(undefined()) };
    let input = query.and_then(|Params(query)| {
        let text = query.input.ok_or_else(|| {
            Problem::bad_request("invalid_query", "the parameter `input` is missing")
        })?;
        Ok(parse_object_as::<Input>(text.as_bytes(), &Limits::REQUEST)?)
    });
    match input {
        Ok(input) => decide(&app, rule, input, asker).await,
        Err(problem) => Ok(not_understood(&problem)),
    }
}
