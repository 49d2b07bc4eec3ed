use std::num::NonZeroU32;

use sentinel_core::id::{DecisionId, ToolId};
use sentinel_core::name::{Action, ToolName};
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

/// A call that was allowed, and is to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// The decision that allowed it.
    #[schema(value_type = uuid::Uuid)]
    pub decision_id: DecisionId,
    /// As it was decided on.
    #[schema(value_type = String)]
    pub tool_name: ToolName,
    #[schema(value_type = String)]
    pub action: Action,
    /// Which time the call is sent next, from 1 on. It is under way then until its outcome is signed,
    /// and a second time of that number is refused (409 `permit_used`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub round: Option<NonZeroU32>,
    /// The arguments of the call, as they were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<Map<String, Value>>,
}

/// The call may go on, as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResumeAnswer {
    /// Always `true`.
    pub resumed: bool,
    #[schema(value_type = uuid::Uuid)]
    pub decision_id: DecisionId,
}
