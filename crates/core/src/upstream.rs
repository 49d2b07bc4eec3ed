//! Upstreams: MCP servers behind the gateway, and the names of what they offer.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::id::{TenantId, UpstreamId};
use crate::name::{NameError, ToolName, UpstreamName, qualified};

/// An MCP server of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub id: UpstreamId,
    pub tenant_id: TenantId,
    /// What its tools are prefixed with. No two upstreams of a tenant that are not removed have the
    /// same.
    pub name: UpstreamName,
    pub transport: Transport,
    /// Identifier of the principal who added it.
    pub created_by: String,
    pub created_at: Timestamp,
    pub removed_at: Option<Timestamp>,
}

/// How an upstream is reached. Credentials are references, resolved only when it is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A command that is run on the server.
    Stdio(StdioTransport),
    /// Streamable HTTP.
    Http(HttpTransport),
    /// HTTP with server-sent events, of the revision 2024-11-05.
    Sse(HttpTransport),
    /// Run by `sentinel mcp wrap` on the machine of a client; this server never connects to it.
    Wrapped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdioTransport {
    /// The program, and its arguments.
    pub command: Vec<String>,
    /// Environment variables beside the few that every child gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, SecretRef>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTransport {
    #[serde(with = "address")]
    pub url: Url,
    /// Headers of requests that carry a grant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretRef>,
}

/// An absolute address as text. What is wrong with one is said without repeating it: it may hold a
/// password.
mod address {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Url::parse(&text).map_err(|error| {
            serde::de::Error::custom(format_args!("must be an absolute address: {error}"))
        })
    }
}

impl Transport {
    /// `stdio`, `http`, `sse` or `wrapped`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Stdio(_) => "stdio",
            Self::Http(_) => "http",
            Self::Sse(_) => "sse",
            Self::Wrapped => "wrapped",
        }
    }

    /// Where the server is, as tools are pinned to it: neither credentials nor environment.
    #[must_use]
    pub fn endpoint(&self) -> Vec<&str> {
        let mut endpoint = vec![self.kind()];
        match self {
            Self::Stdio(stdio) => endpoint.extend(stdio.command.iter().map(String::as_str)),
            Self::Http(http) | Self::Sse(http) => endpoint.push(http.url.as_str()),
            Self::Wrapped => {}
        }
        endpoint
    }

    /// The secrets that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = (&String, &SecretRef)> {
        let named = match self {
            Self::Stdio(stdio) => Some(&stdio.env),
            Self::Http(http) | Self::Sse(http) => Some(&http.headers),
            Self::Wrapped => None,
        };
        named.into_iter().flatten()
    }
}

/// Where a secret is: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable of the server, as `env:NAME`.
    Env(String),
    /// A file on the server, as `file:/PATH`.
    File(String),
}

/// Why a text does not refer to a secret. It does not repeat the text, which may be the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must refer to a secret, as `env:NAME` or `file:/ABSOLUTE/PATH`")]
pub struct NotASecretRef;

const MAX_SECRET_REF: usize = 512;

impl FromStr for SecretRef {
    type Err = NotASecretRef;

    fn from_str(text: &str) -> Result<Self, NotASecretRef> {
        if text.len() > MAX_SECRET_REF || text.chars().any(char::is_control) {
            return Err(NotASecretRef);
        }
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(path.to_owned())),
            _ => Err(NotASecretRef),
        }
    }
}

/// Whether `name` can be the name of an environment variable.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What an upstream offers besides tools. Each door is in the registry as `upstream__door`, so that
/// policy, kills and quotas govern it as they govern a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    Resources,
    Prompts,
    Completion,
    Sampling,
    Elicitation,
}

impl Door {
    pub const ALL: [Self; 5] =
        [Self::Resources, Self::Prompts, Self::Completion, Self::Sampling, Self::Elicitation];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Prompts => "prompts",
            Self::Completion => "completion",
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
        }
    }

    /// Its name in the registry.
    ///
    /// # Errors
    /// Never: the names of upstreams leave room for the doors.
    pub fn registered(self, upstream: &UpstreamName) -> Result<ToolName, NameError> {
        qualified(upstream.as_str(), self.as_str())
    }
}

/// A name to speak of a tool by whose own name is refused. Nothing is registered under it.
///
/// # Errors
/// Never: it is made of a hash.
pub fn refused_name(upstream: &UpstreamName, tool: &str) -> Result<ToolName, NameError> {
    let mut hash = hex::encode(Sha256::digest(tool));
    hash.truncate(12);
    qualified(upstream.as_str(), &format!("refused-{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_referred_to_and_never_written() {
        for good in ["env:GITHUB_TOKEN", "file:/run/secrets/token"] {
            assert_eq!(good.parse::<SecretRef>().unwrap().to_string(), good);
        }
        for bad in ["", "hunter2", "env:", "env:1A", "env:A-B", "file:token", "file:", "env:A\n"] {
            let error = bad.parse::<SecretRef>().unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_transport_is_written_as_the_contract_says() {
        for json in [
            r#"{"stdio":{"command":["mcp-server-time"],"env":{"TZ":"env:TZ"}}}"#,
            r#"{"http":{"url":"https://mcp.example.com/mcp"}}"#,
            r#"{"sse":{"url":"https://mcp.example.com/sse","headers":{"authorization":"env:T"}}}"#,
            r#""wrapped""#,
        ] {
            let transport: Transport = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&transport).unwrap(), json);
        }
        for bad in [
            r#"{"http":{"url":"https://x.example.com","headers":{"authorization":"Bearer x"}}}"#,
            r#"{"stdio":{"command":["x"],"cwd":"/"}}"#,
            r#"{"tcp":{}}"#,
        ] {
            assert!(serde_json::from_str::<Transport>(bad).is_err(), "{bad}");
        }
    }
}
