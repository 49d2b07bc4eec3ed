//! The configuration of `sentinel serve`: one YAML file, every field also an environment variable.

pub(crate) mod load;
pub(crate) mod problems;
#[cfg(test)]
mod reference;

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::LogFormat;

/// Configuration of `sentinel serve`. Every field can also be given as an environment variable,
/// `SENTINEL_` followed by the field's name in capitals; the variable wins over the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Sentinel MCP configuration")]
pub(crate) struct Config {
    /// Address and port to listen on. An address other than loopback also needs
    /// `tls_terminated_upstream` and `allowed_hosts`.
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    /// Where decisions, manifests and the registry are kept: `sqlite:///absolute/path`. Required.
    #[serde(default)]
    pub(crate) database_url: Option<String>,
    /// Directory with the policies (`*.rego`) and their data (`data.json`, `data.yaml`). Required.
    #[serde(default)]
    pub(crate) policy_dir: Option<PathBuf>,
    /// ECDSA P-256 private key that signs manifests, as an unencrypted PKCS#8 PEM file that only
    /// its owner can read. Required.
    #[serde(default)]
    pub(crate) signing_key_file: Option<PathBuf>,
    /// States that a proxy in front terminates TLS. There is no TLS listener yet, so without it
    /// only loopback addresses are accepted: keys would cross the network in clear text.
    #[serde(default)]
    pub(crate) tls_terminated_upstream: bool,
    /// Host names under which clients reach the server (`sentinel.example.com`); requests for
    /// other hosts are refused. Required unless listening on loopback, where the names of loopback
    /// are the default. As an environment variable, separated by commas.
    #[serde(default)]
    pub(crate) allowed_hosts: Vec<String>,
    /// Whether the health checks of registered tools are polled.
    #[serde(default = "yes")]
    pub(crate) health_checks: bool,
    /// Seconds between two polls of a tool's health check.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) health_check_interval_seconds: u64,
    /// Networks in which a tool's health check may lie.
    #[serde(default)]
    pub(crate) health_check_networks: HealthNetworks,
    /// Decisions, and manifests, that may wait to be written before more are refused.
    #[serde(default = "default_queue")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_waiting: usize,
    /// Connections held at one time; further ones wait to be accepted.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: usize,
    /// Seconds that requests in flight get to finish after SIGTERM.
    #[serde(default = "default_grace")]
    #[schemars(range(max = 3600))]
    pub(crate) shutdown_grace_seconds: u64,
    /// Form of the logs; by default text on a terminal and JSON elsewhere.
    #[serde(default)]
    pub(crate) log_format: Option<LogFormat>,
    /// Least severe level of the operational log, as a `tracing` filter.
    #[serde(default = "default_level")]
    pub(crate) log_level: String,
    /// Whether the event log has a line for every check. Kills, registrations and signatures are
    /// always in it, and the audit has every decision in any case.
    #[serde(default = "yes")]
    pub(crate) log_checks: bool,
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

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8000))
}

const fn yes() -> bool {
    true
}

const fn default_interval() -> u64 {
    30
}

const fn default_queue() -> usize {
    8192
}

const fn default_connections() -> usize {
    8192
}

const fn default_grace() -> u64 {
    10
}

fn default_level() -> String {
    "info".to_owned()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            database_url: None,
            policy_dir: None,
            signing_key_file: None,
            tls_terminated_upstream: false,
            allowed_hosts: Vec::new(),
            health_checks: true,
            health_check_interval_seconds: default_interval(),
            health_check_networks: HealthNetworks::default(),
            max_waiting: default_queue(),
            max_connections: default_connections(),
            shutdown_grace_seconds: default_grace(),
            log_format: None,
            log_level: default_level(),
            log_checks: true,
        }
    }
}

/// The JSON Schema of the configuration.
pub(crate) fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
