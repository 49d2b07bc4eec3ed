//! From what the registry says of an upstream to a connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use sentinel_core::upstream::{
    SecretRef, Transport as RegisteredTransport, Upstream as Registered,
};
use sentinel_service::networks::Networks;
use sentinel_service::upstreams::secret;

use super::Connector;
use crate::upstream::{Limits, Secret, Spec, Transport, Upstream, connect};

/// Connects as the registry says.
#[derive(Debug, Clone)]
pub struct Registry {
    pub limits: Limits,
    /// Which addresses may be dialled.
    pub networks: Networks,
}

impl Connector for Registry {
    fn connect(&self, upstream: &Registered) -> Result<Arc<dyn Upstream>, String> {
        let transport = match &upstream.transport {
            RegisteredTransport::Stdio(stdio) => {
                Transport::Stdio { command: stdio.command.clone(), env: revealed(&stdio.env)? }
            }
            RegisteredTransport::Http(http) => {
                Transport::Http { url: http.url.clone(), headers: revealed(&http.headers)? }
            }
            RegisteredTransport::Sse(http) => {
                Transport::Sse { url: http.url.clone(), headers: revealed(&http.headers)? }
            }
            RegisteredTransport::Wrapped => {
                return Err("it runs beside its client, by `sentinel mcp wrap`".to_owned());
            }
        };
        let mut spec = Spec::new(upstream.name.as_str(), transport);
        (spec.limits, spec.networks) = (self.limits.clone(), self.networks);
        Ok(connect(spec))
    }
}

/// The secrets themselves.
fn revealed(references: &BTreeMap<String, SecretRef>) -> Result<Vec<(String, Secret)>, String> {
    let reveal = |(name, reference): (&String, &SecretRef)| match secret(reference) {
        Ok(text) => Ok((name.clone(), Secret::from(text))),
        Err(error) => Err(error.to_string()),
    };
    references.iter().map(reveal).collect()
}
