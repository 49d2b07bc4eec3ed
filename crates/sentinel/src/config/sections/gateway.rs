//! The MCP gateway: which servers may stand behind it, and what becomes of their tools.

use schemars::JsonSchema;
use sentinel_core::name::{NameError, TenantSlug, UpstreamName};
use sentinel_core::upstream::Transport;
use sentinel_service::health::Networks;
use sentinel_service::upstreams::{AllowedCommand, NewTools, UpstreamRules, UpstreamSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct GatewaySection {
    /// Commands that an upstream may run on this server, as they must be written, word for word
    /// (`npx -y @modelcontextprotocol/server-filesystem *`); a last word `*` permits any further
    /// words. None by default. As an environment variable, separated by commas.
    pub(crate) gateway_allowed_commands: Vec<String>,
    /// Networks in which the address of an upstream may be.
    pub(crate) gateway_networks: GatewayNetworks,
    /// What becomes of a tool that an upstream lists for the first time: `pin` pins it as it is,
    /// `quarantine` denies its calls until an operator approves it.
    pub(crate) gateway_new_tools: NewToolsSetting,
    /// Whether `sentinel mcp wrap` may add the server that it wraps, with the key of an agent.
    /// Otherwise an administrator adds it first.
    pub(crate) gateway_wrap: bool,
    /// Upstreams that the server adds when it starts, and removes when they are no longer listed.
    /// Only in the file.
    pub(crate) gateway_upstreams: Vec<ConfiguredUpstream>,
}

/// Networks that the gateway may dial. The metadata addresses of clouds are never dialled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GatewayNetworks {
    /// Public addresses only.
    #[default]
    Public,
    /// Private, loopback and link-local addresses too.
    PublicAndPrivate,
}

/// What becomes of new tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NewToolsSetting {
    /// They are pinned as they are.
    #[default]
    Pin,
    /// They wait for approval.
    Quarantine,
}

/// An MCP server behind the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfiguredUpstream {
    /// Slug of the tenant, which is created when it is new.
    pub(crate) tenant: String,
    /// 1 to 32 lowercase letters, digits and single `-`.
    pub(crate) name: String,
    /// As in `POST /v1/upstreams`: `stdio`, `http` or `sse`. Values of `env` and `headers` are
    /// references to secrets: `env:NAME` or `file:/PATH`.
    pub(crate) transport: Value,
}

/// Which upstreams there may be, and which there are from the start.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) rules: UpstreamRules,
    pub(crate) upstreams: Vec<UpstreamSpec>,
}

impl Section for GatewaySection {
    type Built = Gateway;

    fn build(&self, problems: &mut Problems) -> Option<Gateway> {
        let commands = problems.keep(self.commands());
        let upstreams = problems.keep(self.upstreams());
        let rules = UpstreamRules {
            allowed_commands: commands?,
            any_command: false,
            new_tools: match self.gateway_new_tools {
                NewToolsSetting::Pin => NewTools::Pin,
                NewToolsSetting::Quarantine => NewTools::Quarantine,
            },
            wrap: self.gateway_wrap,
            networks: match self.gateway_networks {
                GatewayNetworks::Public => Networks::Public,
                GatewayNetworks::PublicAndPrivate => Networks::PublicAndPrivate,
            },
        };
        let upstreams = upstreams?;
        for spec in &upstreams {
            if let Err(error) = rules.check_configured(&spec.transport) {
                let what = format!("upstream `{}` of `gateway_upstreams`: {error}", spec.name);
                problems.add(what, "docs/gateway.md describes the transports");
            }
        }
        Some(Gateway { rules, upstreams })
    }
}

impl GatewaySection {
    fn commands(&self) -> Result<Vec<AllowedCommand>, Problem> {
        let command = |text: &String| {
            AllowedCommand::parse(text).ok_or_else(|| {
                Problem::new(
                    "an entry of `gateway_allowed_commands` names no program".to_owned(),
                    "write the program first, then its arguments; `*` only at the end",
                )
            })
        };
        self.gateway_allowed_commands.iter().map(command).collect()
    }

    fn upstreams(&self) -> Result<Vec<UpstreamSpec>, Problem> {
        let mut specs: Vec<UpstreamSpec> = Vec::with_capacity(self.gateway_upstreams.len());
        for (given, number) in self.gateway_upstreams.iter().zip(1..) {
            let spec = given.spec().map_err(|why| {
                Problem::new(
                    format!("upstream {number} of `gateway_upstreams`: {why}"),
                    "write `tenant`, `name`, and `transport: {http: {url: …}}`",
                )
            })?;
            if specs.iter().any(|known| known.tenant == spec.tenant && known.name == spec.name) {
                return Err(Problem::new(
                    format!("upstream {number} of `gateway_upstreams` is listed twice"),
                    "give each upstream of a tenant a name of its own",
                ));
            }
            specs.push(spec);
        }
        Ok(specs)
    }
}

impl ConfiguredUpstream {
    /// Messages do not repeat the transport: it may hold a secret that should be a reference.
    fn spec(&self) -> Result<UpstreamSpec, String> {
        let named = |error: NameError| error.to_string();
        let tenant: TenantSlug = self.tenant.parse().map_err(named)?;
        let name: UpstreamName = self.name.parse().map_err(named)?;
        let transport: Transport = serde_json::from_value(self.transport.clone())
            .map_err(|error| format!("`transport` cannot be used: {error}"))?;
        if transport == Transport::Wrapped {
            return Err("a wrapped server is added by `sentinel mcp wrap`".to_owned());
        }
        Ok(UpstreamSpec { tenant, name, transport })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Result<Gateway, Problems> {
        serde_json::from_value::<GatewaySection>(value).unwrap().checked()
    }

    fn refused(value: Value) -> String {
        of(value).unwrap_err().iter().map(|problem| problem.what.clone()).collect()
    }

    #[test]
    fn nothing_may_be_run_unless_the_configuration_says_so() {
        let gateway = of(json!({})).unwrap();
        assert!(gateway.rules.allowed_commands.is_empty() && !gateway.rules.any_command);
        assert!(!gateway.rules.wrap && gateway.upstreams.is_empty());
        let listed = json!([{"tenant": "acme", "name": "time",
            "transport": {"stdio": {"command": ["mcp-server-time"]}}}]);
        let found = refused(json!({"gateway_upstreams": listed}));
        assert!(found.contains("upstream `time`") && found.contains("does not allow"), "{found}");
        let allowed = json!({"gateway_upstreams": listed,
            "gateway_allowed_commands": ["mcp-server-time"]});
        assert_eq!(of(allowed).unwrap().upstreams.len(), 1);
        assert!(refused(json!({"gateway_allowed_commands": ["*"]})).contains("names no program"));
    }

    #[test]
    fn an_upstream_that_cannot_be_used_is_refused_without_its_secrets() {
        let with = |transport: Value| {
            refused(json!({"gateway_upstreams": [
                {"tenant": "acme", "name": "x", "transport": transport},
            ]}))
        };
        let secret = with(json!({"http": {"url": "https://x.example.com/",
            "headers": {"authorization": "hunter2"}}}));
        assert!(secret.contains("must refer to a secret") && !secret.contains("hunter2"));
        for (transport, why) in [
            (json!({"http": {"url": "http://127.0.0.1/mcp"}}), "network"),
            (json!({"http": {"url": "ftp://x.example.com/"}}), "http or https"),
            (json!("wrapped"), "sentinel mcp wrap"),
            (json!({"tcp": {}}), "cannot be used"),
        ] {
            let found = with(transport);
            assert!(found.contains(why), "{found}");
        }
    }
}
