use jiff::Timestamp;
use sentinel_core::id::{DecisionId, TenantId, ToolId};
use sentinel_core::name::{Action, Owner, TenantSlug, ToolName};
use sentinel_core::tool;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use crate::ToolPin;

/// A call that reached a tool without Sentinel, and that the tool's server refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UncoveredRequest {
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    /// As the server knows it; it need not be registered.
    #[schema(value_type = String, example = "langsmith-docs-search")]
    pub tool_name: ToolName,
    #[schema(value_type = String, example = "call")]
    pub action: Action,
    pub reason: Uncovered,
}

/// Why the server of a tool refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Uncovered {
    /// The call carried no permit.
    NoPermit,
    /// Its permit was not issued here, has expired, or is for another call.
    PermitInvalid,
    /// Its permit was used before.
    PermitUsed,
    /// Its permit was refused, since the call would be denied by now.
    PermitRefused,
}

impl Uncovered {
    /// In words.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::NoPermit => "the call carried no permit",
            Self::PermitInvalid => "the permit is not valid for this call",
            Self::PermitUsed => "the permit was used before",
            Self::PermitRefused => "the call would be denied by now",
        }
    }
}

/// The report is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UncoveredAnswer {
    /// The deny that records it, with the code `no_permit`.
    #[schema(value_type = uuid::Uuid)]
    pub decision_id: DecisionId,
}

/// A registered tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    #[schema(value_type = uuid::Uuid)]
    pub id: ToolId,
    #[schema(value_type = uuid::Uuid)]
    pub tenant_id: TenantId,
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    pub name: ToolName,
    pub url: String,
    #[schema(value_type = String)]
    pub owner: Owner,
    pub scopes: Vec<String>,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Address that is polled for the tool's health.
    pub healthcheck: Option<String>,
    /// Last result of the health check.
    pub health: Option<Health>,
    /// Not retired, not quarantined, and not covered by a kill of it, of a scope or tag that it has,
    /// of its tenant, or everything.
    pub is_active: bool,
    /// What a tool of an upstream is pinned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<ToolPin>,
    /// SHA-256 of what is registered; a policy can pin it.
    pub digest: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub retired_at: Option<Timestamp>,
}

impl Tool {
    /// A tool of a tenant, with what the registry knows of its state.
    #[must_use]
    pub fn new(
        tool: tool::Tool,
        tenant: TenantSlug,
        is_active: bool,
        health: Option<tool::Health>,
    ) -> Self {
        Self {
            digest: tool.digest(),
            id: tool.id,
            tenant_id: tool.tenant_id,
            tenant_slug: tenant,
            name: tool.name,
            url: tool.url.into(),
            owner: tool.owner,
            scopes: tool.scopes,
            metadata: tool.metadata,
            healthcheck: tool.healthcheck.map(String::from),
            health: health.map(Health::from),
            is_active,
            pin: tool.pin.map(ToolPin::from),
            created_at: tool.created_at,
            updated_at: tool.updated_at,
            retired_at: tool.retired_at,
        }
    }
}

/// Result of a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    #[schema(inline)]
    pub status: HealthStatus,
    pub checked_at: Timestamp,
    /// Milliseconds the check took.
    pub latency_ms: u64,
    /// Why it is not healthy.
    pub detail: Option<String>,
}

// How the last health check ended. A doc comment would be published in the OpenAPI document, which
// has no description here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    Healthy,
    Unhealthy,
    Refused,
}

impl HealthStatus {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Refused => "refused",
        }
    }
}

impl From<tool::Health> for Health {
    fn from(health: tool::Health) -> Self {
        let tool::Health { status, checked_at, latency_ms, detail } = health;
        let status = match status {
            tool::HealthStatus::Healthy => HealthStatus::Healthy,
            tool::HealthStatus::Unhealthy => HealthStatus::Unhealthy,
            tool::HealthStatus::Refused => HealthStatus::Refused,
        };
        Self { status, checked_at, latency_ms, detail }
    }
}

/// The tool that is to be registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// Created when new.
    #[schema(value_type = String, example = "platform-eng")]
    pub tenant_slug: TenantSlug,
    #[schema(value_type = String, example = "langsmith-docs-search")]
    pub name: ToolName,
    #[schema(value_type = String, example = "https://docs.example.com/mcp")]
    pub url: Address,
    #[schema(value_type = String, example = "platform@example.com")]
    pub owner: Owner,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Absolute `http` or `https` address that is polled for the tool's health.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub healthcheck: Option<Address>,
}

/// What is to change; fields that are left out stay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub url: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// `null` removes the health check.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub healthcheck: Option<Option<Address>>,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Address>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// An absolute address in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(pub Url);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let parsed = Url::parse(&text).map_err(|error| {
            serde::de::Error::custom(format!("must be an absolute address: {error}"))
        })?;
        Ok(Self(parsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_removes_a_health_check_and_absence_keeps_it() {
        let read = |json: &str| serde_json::from_str::<ToolChange>(json).unwrap();
        assert_eq!(read("{}").healthcheck, None);
        assert_eq!(read(r#"{"healthcheck":null}"#).healthcheck, Some(None));
        for change in [ToolChange::default(), read(r#"{"healthcheck":null}"#)] {
            let json = serde_json::to_string(&change).unwrap();
            assert_eq!(read(&json), change, "{json}");
        }
        assert!(serde_json::from_str::<ToolChange>(r#"{"healthchek":null}"#).is_err());
    }
}
