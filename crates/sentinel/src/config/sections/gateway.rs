//! The MCP gateway: which servers may stand behind it, what becomes of their tools, and how calls
//! are enforced.

mod meta_tools;

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use sentinel_core::name::{NameError, TenantSlug, UpstreamName};
use sentinel_core::upstream::Transport;
use sentinel_gateway::enforce::{self, Sign};
use sentinel_gateway::front::http::Settings as Front;
use sentinel_gateway::server::{Lists, Options};
use sentinel_service::health::Networks;
use sentinel_service::upstreams::{AllowedCommand, NewTools, UpstreamRules, UpstreamSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

use self::meta_tools::ConfiguredMetaTool;
use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// As an environment variable, as JSON.
    pub(crate) gateway_upstreams: Vec<ConfiguredUpstream>,
    /// Whether lists show tools that policy denies, too. Calls are decided all the same, and what is
    /// quarantined stays hidden.
    pub(crate) gateway_show_all: bool,
    /// When the outcome of a call is signed: `before` the client gets the result, which then names
    /// the manifest; `after`, at the same time; or `off`. Decisions are recorded in any case.
    pub(crate) gateway_sign: SignSetting,
    /// Tools that call other tools by name. Policy decides the tool that is called, too. As an
    /// environment variable, as JSON.
    pub(crate) gateway_meta_tools: Vec<ConfiguredMetaTool>,
    /// Seconds after the end of a call in which the same call counts as a repeat, unless the tool
    /// says that it only reads or is idempotent; 0 recognises none.
    #[schemars(range(max = 3600))]
    pub(crate) gateway_repeat_seconds: u64,
    /// Address at which clients reach this server, such as `https://sentinel.example.com`: what
    /// clients without a key are told. Without it, it is taken from each request.
    pub(crate) public_url: Option<String>,
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            gateway_allowed_commands: Vec::new(),
            gateway_networks: GatewayNetworks::default(),
            gateway_new_tools: NewToolsSetting::default(),
            gateway_wrap: false,
            gateway_upstreams: Vec::new(),
            gateway_show_all: false,
            gateway_sign: SignSetting::default(),
            gateway_meta_tools: Vec::new(),
            gateway_repeat_seconds: enforce::Settings::default().repeats.as_secs(),
            public_url: None,
        }
    }
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

/// When outcomes are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignSetting {
    #[default]
    Before,
    After,
    Off,
}

impl From<SignSetting> for Sign {
    fn from(when: SignSetting) -> Self {
        match when {
            SignSetting::Before => Self::Before,
            SignSetting::After => Self::After,
            SignSetting::Off => Self::Off,
        }
    }
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

/// Which upstreams there may be, which there are from the start, and how calls are enforced.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) rules: UpstreamRules,
    pub(crate) upstreams: Vec<UpstreamSpec>,
    pub(crate) enforce: enforce::Settings,
    pub(crate) show_all: bool,
    pub(crate) public_url: Option<String>,
}

impl Gateway {
    /// How the gateway serves, within these limits.
    pub(crate) fn options(&self, limits: Options) -> Options {
        let (lists, front) = (limits.lists, limits.front);
        Options {
            enforce: self.enforce.clone(),
            lists: Lists { show_all: self.show_all, ..lists },
            front: Front { public_url: self.public_url.clone(), ..front },
            limits: limits.limits,
        }
    }
}

impl Section for GatewaySection {
    type Built = Gateway;

    fn build(&self, problems: &mut Problems) -> Option<Gateway> {
        let commands = problems.keep(self.commands());
        let upstreams = problems.keep(self.upstreams());
        let enforce = problems.keep(self.enforce());
        let public_url = problems.keep(self.public_url());
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
        let show_all = self.gateway_show_all;
        Some(Gateway { rules, upstreams, enforce: enforce?, show_all, public_url: public_url? })
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

    fn enforce(&self) -> Result<enforce::Settings, Problem> {
        Ok(enforce::Settings {
            sign: self.gateway_sign.into(),
            meta_tools: meta_tools::read(&self.gateway_meta_tools)?,
            repeats: Duration::from_secs(self.gateway_repeat_seconds),
        })
    }

    fn public_url(&self) -> Result<Option<String>, Problem> {
        let Some(text) = &self.public_url else { return Ok(None) };
        let problem = |why: &str| {
            let fix = "set `public_url: https://sentinel.example.com`, with a path if a proxy adds \
                       one";
            Problem::new(format!("`public_url` {why}"), fix)
        };
        let url: Url = text.parse().map_err(|_| problem("is not an absolute address"))?;
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => {}
            ("http", Some(host)) if is_loopback(&host) => {}
            ("http", Some(_)) => {
                return Err(problem("must be an https address, except on loopback"));
            }
            _ => return Err(problem("must be an http or https address")),
        }
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || url.query().is_some() || url.fragment().is_some() {
            return Err(problem("must not contain credentials, a query or a fragment"));
        }
        Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
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

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::from(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).is_loopback(),
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

    #[test]
    fn what_is_not_said_is_as_safe_as_it_was() {
        let gateway = of(json!({})).unwrap();
        assert!(!gateway.show_all && gateway.public_url.is_none());
        let usual = enforce::Settings::default();
        assert_eq!((gateway.enforce.sign, gateway.enforce.repeats), (usual.sign, usual.repeats));
        let said = of(json!({
            "gateway_show_all": true,
            "gateway_sign": "after",
            "gateway_repeat_seconds": 0,
            "gateway_meta_tools": [{"tool": "hub__call", "name": "/tool", "arguments": "/args"}],
        }));
        let Gateway { enforce, show_all, .. } = said.unwrap();
        assert!(show_all && enforce.meta_tools.contains_key("hub__call"));
        assert_eq!((enforce.sign, enforce.repeats), (Sign::After, Duration::ZERO));
    }

    #[test]
    fn the_address_of_the_server_is_one_that_clients_can_use() {
        let read = |url: &str| of(json!({"public_url": url})).unwrap().public_url.unwrap();
        assert_eq!(read("https://mcp.example.com/"), "https://mcp.example.com");
        assert_eq!(read("https://example.com/sentinel/"), "https://example.com/sentinel");
        assert_eq!(read("http://[::1]:8000"), "http://[::1]:8000");
        for (url, why) in [
            ("mcp.example.com", "absolute"),
            ("http://mcp.example.com", "https"),
            ("ftp://mcp.example.com", "http or https"),
            ("https://u:hunter2@mcp.example.com", "credentials"),
            ("https://mcp.example.com/?a=1", "query"),
        ] {
            let found = refused(json!({"public_url": url}));
            assert!(found.contains(why) && !found.contains("hunter2"), "{found}");
        }
    }
}
