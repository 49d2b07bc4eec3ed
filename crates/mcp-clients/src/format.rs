//! The formats in which configurations are written.

mod json;
mod toml;
mod yaml;

use crate::entry::Entry;
use crate::error::Error;

/// The language of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With comments and trailing commas, which several clients allow.
    Json,
    Toml,
    Yaml,
}

/// Where in a configuration servers are, and what their parts are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Paths to the objects that hold servers by name, or in YAML to lists of servers; `*` is any
    /// name, and the scope of the server.
    pub(crate) servers: &'static [&'static [&'static str]],
    pub(crate) command: &'static str,
    pub(crate) args: &'static str,
}

/// Names that clients have for the address of a remote server.
const URLS: [&str; 4] = ["url", "serverUrl", "httpUrl", "uri"];

/// The most levels of nesting that are read.
const MAX_DEPTH: usize = 100;

impl Format {
    pub(crate) fn entries(self, shape: &Shape, text: &str) -> Result<Vec<Entry>, Error> {
        match self {
            Self::Json => json::entries(shape, text),
            Self::Toml => toml::entries(shape, text),
            Self::Yaml => yaml::entries(shape, text),
        }
    }

    /// The text with the values of environment variables and headers left out, for display.
    pub(crate) fn masked(self, text: &str) -> String {
        let spans = match self {
            Self::Json => json::secrets(text),
            Self::Toml => toml::secrets(text),
            Self::Yaml => yaml::secrets(text),
        };
        let edits = spans.into_iter().map(|span| (span, "\"…\"".to_owned())).collect();
        crate::splice::apply(text, edits)
    }

    pub(crate) const fn is_yaml(self) -> bool {
        matches!(self, Self::Yaml)
    }
}

/// Names of what may be, or contain, a secret: addresses have keys in their queries.
fn holds_secrets(name: &str) -> bool {
    matches!(name, "env" | "envs" | "headers" | "http_headers" | "bearer_token")
        || URLS.contains(&name)
}

/// What stands between the beginning of a line and `at`.
fn line_start(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default()
}
