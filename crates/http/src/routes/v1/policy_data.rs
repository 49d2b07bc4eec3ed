//! Policy data that is put beside what the policy's source brings: what the methods of one place
//! have in common.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use sentinel_api::PolicyData;
use sentinel_core::name::Reason;
use sentinel_core::policy_data::DataPath;
use sentinel_ingress::problem::Problem;
use sentinel_service::policy_data::{Document, Expected};
use serde::Deserialize;
use utoipa::IntoParams;

mod all;
mod delete;
mod get;
mod patch;
mod put;

pub(super) use all::*;
pub(super) use delete::*;
pub(super) use get::*;
pub(super) use patch::*;
pub(super) use put::*;

/// A value as it was put, with its tag in the header too.
fn shown(path: Option<&DataPath>, Document { value, tag, version }: Document) -> Response {
    let path = path.map(ToString::to_string).unwrap_or_default();
    let etag = format!("\"{tag}\"");
    let header = HeaderValue::from_str(&etag);
    let mut response = Json(PolicyData { path, value, etag, version }).into_response();
    if let Ok(header) = header {
        response.headers_mut().insert(ETAG, header);
    }
    response
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Why {
    /// Why it is changed; kept in the history.
    #[param(value_type = Option<String>)]
    reason: Option<Reason>,
}

/// The place that the address names.
#[derive(Debug)]
pub(crate) struct At(DataPath);

const PREFIX: &str = "/v1/policy/data/";

impl<S: Send + Sync> FromRequestParts<S> for At {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Not the router's parameter: decoded as a whole, it cannot tell a slash in a name.
        let raw = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let path = DataPath::from_address(raw);
        path.map(Self).map_err(|error| Problem::bad_request("invalid_path", error.to_string()))
    }
}

/// What `If-Match` and `If-None-Match` say.
#[derive(Debug)]
pub(crate) struct Precondition(Expected);

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let expected = match (one(&parts.headers, &IF_MATCH)?, one(&parts.headers, &IF_NONE_MATCH)?)
        {
            (None, None) => Expected::Anything,
            (None, Some("*")) => Expected::Nothing,
            (Some("*"), None) => Expected::Something,
            (Some(tag), None) => Expected::Tag(bare(tag)?.to_owned()),
            _ => return Err(malformed()),
        };
        Ok(Self(expected))
    }
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(|text| Some(text.trim())).map_err(|_| malformed())
        }
        _ => Err(malformed()),
    }
}

/// A strong tag without its quotes. A weak one never matches, so it is a mistake.
fn bare(tag: &str) -> Result<&str, Problem> {
    let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.contains(['"', ','])).ok_or_else(malformed)
}

fn malformed() -> Problem {
    let detail = "send `If-Match` with one tag as `ETag` gave it, or `If-None-Match: *`";
    Problem::bad_request("invalid_precondition", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn expected(headers: &[(&str, &str)]) -> Option<Expected> {
        let mut request = http::Request::builder().uri("/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Precondition::from_request_parts(&mut parts, &()).await.ok().map(|found| found.0)
    }

    #[tokio::test]
    async fn preconditions_are_read_or_refused_never_ignored() {
        assert_eq!(expected(&[]).await, Some(Expected::Anything));
        assert_eq!(expected(&[("if-match", "*")]).await, Some(Expected::Something));
        assert_eq!(expected(&[("if-none-match", " * ")]).await, Some(Expected::Nothing));
        let tag = Some(Expected::Tag("a1".to_owned()));
        assert_eq!(expected(&[("if-match", "\"a1\"")]).await, tag);
        for refused in [
            &[("if-match", "a1")][..],
            &[("if-match", "W/\"a1\"")],
            &[("if-match", "\"a1\", \"b2\"")],
            &[("if-match", "\"a1\""), ("if-match", "\"a1\"")],
            &[("if-match", "")],
            &[("if-none-match", "\"a1\"")],
            &[("if-none-match", "*"), ("if-match", "*")],
        ] {
            assert_eq!(expected(refused).await, None, "{refused:?}");
        }
    }
}
