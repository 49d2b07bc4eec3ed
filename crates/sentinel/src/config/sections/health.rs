//! Health checks of registered tools.

use std::time::Duration;

use schemars::JsonSchema;
use sentinel_service::health::Networks;
use serde::{Deserialize, Serialize};

use crate::config::problems::Problems;
use crate::config::section::Section;
use crate::runtime::tasks::HealthChecks;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Health {
    /// Whether the health checks of registered tools are polled.
    pub(crate) health_checks: bool,
    /// Seconds between two polls of a tool's health check.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) health_check_interval_seconds: u64,
    /// Networks in which the address of a tool's health check may be.
    pub(crate) health_check_networks: HealthNetworks,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            health_checks: true,
            health_check_interval_seconds: 30,
            health_check_networks: HealthNetworks::default(),
        }
    }
}

/// Networks that health checks may dial. The metadata addresses of clouds are never dialled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthNetworks {
    /// Public addresses only.
    #[default]
    Public,
    /// Private, loopback and link-local addresses too.
    PublicAndPrivate,
}

impl From<HealthNetworks> for Networks {
    fn from(networks: HealthNetworks) -> Self {
        match networks {
            HealthNetworks::Public => Self::Public,
            HealthNetworks::PublicAndPrivate => Self::PublicAndPrivate,
        }
    }
}

impl Section for Health {
    type Built = Option<HealthChecks>;

    fn build(&self, _: &mut Problems) -> Option<Option<HealthChecks>> {
        Some(self.health_checks.then(|| HealthChecks {
            networks: self.health_check_networks.into(),
            interval: Duration::from_secs(self.health_check_interval_seconds),
        }))
    }
}
