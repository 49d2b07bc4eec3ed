use sentinel_core::id::{DecisionId, ToolId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Secret;

/// A permit, and the call it is to be used for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemRequest<'a> {
    /// As the check answered it.
    #[schema(value_type = String)]
    pub permit: Secret<'a>,
    #[schema(value_type = uuid::Uuid)]
    pub tool_id: ToolId,
    /// The arguments of the call, as they were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<Map<String, Value>>,
}

/// The call may be made, now and once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedeemAnswer {
    /// Always `true`.
    pub redeemed: bool,
    #[schema(value_type = uuid::Uuid)]
    pub decision_id: DecisionId,
    #[schema(value_type = uuid::Uuid)]
    pub tool_id: ToolId,
}
