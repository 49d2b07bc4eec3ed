//! Where a server listens, and by which names it is reached.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::problems::Problems;
use crate::config::section::Section;
use crate::runtime::listeners::Addresses;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Listen {
    /// Address and port to listen on. An address other than loopback also needs
    /// `tls_terminated_upstream` and `allowed_hosts`.
    pub(crate) listen: SocketAddr,
    /// Address and port where operators and administrators are served, and no other caller, beside
    /// `listen`: with 256 connections of its own, so that nothing that happens there keeps them
    /// out. An address other than loopback also needs `tls_terminated_upstream`.
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Address and port where Envoy asks by gRPC (`ext_authz`), without TLS; nowhere by default.
    /// An address other than loopback also needs `tls_terminated_upstream`.
    pub(crate) ext_authz_listen: Option<SocketAddr>,
    /// States that a proxy in front terminates TLS. There is no TLS listener yet, so without it
    /// only loopback addresses are accepted: keys would cross the network in clear text.
    pub(crate) tls_terminated_upstream: bool,
    /// Host names under which clients reach the server (`sentinel.example.com`); requests for
    /// other hosts are refused. Required unless listening on loopback, where the names of loopback
    /// are the default. As an environment variable, separated by commas.
    pub(crate) allowed_hosts: Vec<String>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            admin_listen: None,
            ext_authz_listen: None,
            tls_terminated_upstream: false,
            allowed_hosts: Vec::new(),
        }
    }
}

/// Where a server listens, and by which names it is reached.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) addresses: Addresses,
    /// Names by which clients may address the server.
    pub(crate) allowed_hosts: Vec<String>,
}

/// The names by which a browser or a program on this machine reaches the server. Others are
/// refused, so that no web page can reach it through a name of its own.
pub(crate) fn loopback_hosts() -> Vec<String> {
    ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned).to_vec()
}

impl Section for Listen {
    type Built = Listening;

    fn check(&self, problems: &mut Problems) {
        self.clear_text(problems);
        if !self.listen.ip().is_loopback() && self.allowed_hosts.is_empty() {
            problems.add(
                format!("`listen: {}` without `allowed_hosts` accepts any host name", self.listen),
                "set `allowed_hosts: [sentinel.example.com]` (or SENTINEL_ALLOWED_HOSTS) to the \
                 names that clients use",
            );
        }
    }

    fn build(&self, _: &mut Problems) -> Option<Listening> {
        // No names are refused unless the server listens on loopback, where only its names are
        // used.
        let mut allowed_hosts = self.allowed_hosts.clone();
        let admin_on_loopback = self.admin_listen.is_some_and(|listen| listen.ip().is_loopback());
        if allowed_hosts.is_empty() || admin_on_loopback {
            allowed_hosts.extend(loopback_hosts());
        }
        let addresses = Addresses {
            clients: self.listen,
            ext_authz: self.ext_authz_listen,
            operators: self.admin_listen,
        };
        Some(Listening { addresses, allowed_hosts })
    }
}

impl Listen {
    fn clear_text(&self, problems: &mut Problems) {
        if self.tls_terminated_upstream {
            return;
        }
        let listeners = [
            ("listen", Some(self.listen)),
            ("admin_listen", self.admin_listen),
            ("ext_authz_listen", self.ext_authz_listen),
        ];
        for (name, address) in listeners {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
                problems.add(
                    format!("`{name}: {address}` would carry API keys in clear text"),
                    "there is no TLS listener yet: listen on loopback, or put a proxy that \
                     terminates TLS in front and set `tls_terminated_upstream: true`",
                );
            }
        }
    }
}
