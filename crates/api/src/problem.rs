use std::borrow::Cow;

use sentinel_core::id::DecisionId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error: RFC 9457 `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem<'a> {
    /// `https://sentinel-mcp.dev/problems/` and the code.
    #[serde(rename = "type")]
    #[schema(value_type = String, format = "uri")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for people.
    #[schema(value_type = String)]
    pub detail: Cow<'a, str>,
    /// What went wrong, for programs; stable.
    #[schema(value_type = String)]
    pub code: Cow<'a, str>,
    /// Identifier of the request, also in the header `X-Request-Id`.
    #[schema(value_type = String)]
    pub request_id: Cow<'a, str>,
    /// Always `false`; present in responses of `/policy/check`, so that a client that reads nothing
    /// else stays closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<bool>,
    /// The recorded decision that this error is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub decision_id: Option<DecisionId>,
    /// Each of the reasons, where there can be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub reasons: Vec<Cow<'a, str>>,
}
