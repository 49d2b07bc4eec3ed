//! `input` as a type, and its JSON Schema: what editors and `opa check --schema` know it by.
//!
//! The engines build `input` by [`crate::input`], without this type, because it is on the path of
//! every check. A test holds both to be the same document.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use sentinel_core::policy::PolicyInput;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::tool::Tool;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a policy of Sentinel MCP sees as `input`. What is absent is left out, and never `null`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Input of a Sentinel policy")]
pub struct InputDocument<'a> {
    /// Name of the tenant.
    pub tenant: &'a str,
    /// Name of the tool.
    pub tool: &'a str,
    /// What is to be done with the tool: `call`, unless the caller says otherwise.
    pub action: &'a str,
    /// What for, when the caller says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub purpose: Option<&'a str>,
    /// The agent that calls, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub agent: Option<&'a str>,
    /// What is used in the window of the quota that the rule states, and in the UTC day when it
    /// states none; this call not included.
    pub usage: u64,
    /// Whatever else the caller states. Nothing in it is known to be true.
    #[schemars(with = "Map<String, Value>")]
    pub context: &'a Map<String, Value>,
    /// The arguments of the call, as the caller states them.
    #[schemars(with = "Map<String, Value>")]
    pub arguments: &'a Map<String, Value>,
    /// Who asks, by the key.
    pub principal: PrincipalDocument,
    /// The tool, as it is registered.
    pub tool_record: ToolDocument<'a>,
    /// Of the decision, RFC 3339 in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct PrincipalDocument {
    /// `key:` and the key's identifier.
    pub id: String,
    /// One of `agent`, `operator`, `author`, `auditor`, `admin`.
    pub roles: Vec<&'static str>,
}

/// A tool as it is registered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct ToolDocument<'a> {
    pub owner: &'a str,
    pub scopes: &'a [String],
    #[schemars(with = "Map<String, Value>")]
    pub metadata: &'a Map<String, Value>,
    pub url: &'a str,
    /// Of all that was registered, SHA-256 in hex: a policy can pin it.
    pub digest: String,
}

impl<'a> From<&PolicyInput<'a>> for InputDocument<'a> {
    fn from(input: &PolicyInput<'a>) -> Self {
        // Named one by one, so that a field that is added is not forgotten here.
        let PolicyInput {
            tenant,
            tool,
            action,
            purpose,
            usage,
            context,
            agent,
            arguments,
            principal,
            tool_record,
            time,
            // What decides and what is decided are not part of the input.
            state: _,
            decision_id: _,
        } = *input;
        Self {
            tenant: tenant.as_str(),
            tool: tool.as_str(),
            action: action.as_str(),
            purpose: purpose.map(|purpose| purpose.as_str()),
            agent: agent.map(|agent| agent.as_str()),
            usage,
            context,
            arguments,
            principal: principal.into(),
            tool_record: tool_record.as_ref().into(),
            time: time.to_string(),
        }
    }
}

impl From<&Principal> for PrincipalDocument {
    fn from(principal: &Principal) -> Self {
        Self { id: principal.id(), roles: principal.roles().iter().map(Role::as_str).collect() }
    }
}

impl<'a> From<&'a Tool> for ToolDocument<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self {
            owner: tool.owner.as_str(),
            scopes: &tool.scopes,
            metadata: &tool.metadata,
            url: tool.url.as_str(),
            digest: tool.digest(),
        }
    }
}

/// JSON Schema of [`InputDocument`], in the draft that OPA reads.
#[must_use]
pub fn input_schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<InputDocument<'static>>().to_value()
}
