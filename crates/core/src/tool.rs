//! Tools: what agents call, and what the registry knows about each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use crate::id::{TenantId, ToolId};
use crate::name::{Owner, ToolName};
use crate::pin::Pin;

/// One registered tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    pub id: ToolId,
    pub tenant_id: TenantId,
    pub name: ToolName,
    pub url: Url,
    pub owner: Owner,
    pub scopes: Vec<String>,
    pub metadata: Map<String, Value>,
    /// Absolute `http(s)` address that the health checker polls, when there is one.
    pub healthcheck: Option<Url>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Set once the tool is retired: it denies for ever, its history stays.
    pub retired_at: Option<Timestamp>,
    /// What a tool or a door of an upstream is pinned to; `None` for what was registered by hand.
    pub pin: Option<Pin>,
}

impl Tool {
    /// SHA-256 over what was registered (name, address, owner, scopes, metadata), in hex. A policy
    /// can pin it; a change of any of these changes it.
    #[must_use]
    pub fn digest(&self) -> String {
        let record = serde_json::json!([
            self.name.as_ref(),
            self.url.as_str(),
            self.owner.as_ref(),
            self.scopes,
            self.metadata,
        ]);
        hex::encode(Sha256::digest(record.to_string()))
    }

    /// Changes what `change` names, at `at`. A tool that is retired already keeps the time.
    pub fn apply(&mut self, change: ToolChange, at: Timestamp) {
        if let Some(url) = change.url {
            self.url = url;
        }
        if let Some(owner) = change.owner {
            self.owner = owner;
        }
        if let Some(scopes) = change.scopes {
            self.scopes = scopes;
        }
        if let Some(metadata) = change.metadata {
            self.metadata = metadata;
        }
        if let Some(healthcheck) = change.healthcheck {
            self.healthcheck = healthcheck;
        }
        if change.retire {
            self.retired_at = self.retired_at.or(Some(at));
        }
        self.updated_at = at;
    }
}

/// A new tool as asked for, before identifiers are given.
#[derive(Debug, Clone)]
pub struct ToolSpec {
    pub name: ToolName,
    pub url: Url,
    pub owner: Owner,
    pub scopes: Vec<String>,
    pub metadata: Map<String, Value>,
    pub healthcheck: Option<Url>,
}

/// What a change of a tool asks for; `None` leaves a field as it is.
#[derive(Debug, Clone)]
pub struct ToolChange {
    pub url: Option<Url>,
    pub owner: Option<Owner>,
    pub scopes: Option<Vec<String>>,
    pub metadata: Option<Map<String, Value>>,
    /// `Some(None)` removes the health check.
    pub healthcheck: Option<Option<Url>>,
    pub retire: bool,
}

/// Last result of a tool's health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: HealthStatus,
    pub checked_at: Timestamp,
    /// Milliseconds the check took.
    pub latency_ms: u64,
    /// Why it is not healthy.
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    Healthy,
    Unhealthy,
    /// The address resolves to a network that the configuration does not allow.
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

impl std::str::FromStr for HealthStatus {
    type Err = UnknownHealthStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Healthy, Self::Unhealthy, Self::Refused];
        all.into_iter().find(|status| status.as_str() == text).ok_or(UnknownHealthStatus)
    }
}

/// A status that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown status")]
pub struct UnknownHealthStatus;
