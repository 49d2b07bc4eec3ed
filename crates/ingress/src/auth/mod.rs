//! Who is calling, and whether they may.
//!
//! A way of saying who calls is a [`Scheme`]. The schemes of a request are a list; the first that
//! the request uses decides. A credential that is not valid never falls through to another scheme.

mod caller;
mod key;
mod local;
mod scheme;
mod socket;
#[cfg(test)]
mod tests;

pub use caller::Caller;
pub(crate) use key::presents_key;
pub use socket::{PROTOCOL, SocketCaller};

use scheme::Scheme;

/// Whether callers must present a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Every route but health and the discovery documents needs an API key.
    Keys,
    /// Every caller is an unauthenticated administrator. Only for loopback, during development;
    /// the caller that builds the router sees to that.
    Off,
}

impl AuthMode {
    /// The schemes of a request, in the order in which they are tried.
    fn schemes(self) -> &'static [&'static dyn Scheme] {
        match self {
            Self::Keys => &[&key::Bearer, &key::ApiKeyHeader],
            Self::Off => &[&local::Local],
        }
    }

    /// The schemes of a request that opens a WebSocket.
    fn socket_schemes(self) -> &'static [&'static dyn Scheme] {
        match self {
            Self::Keys => &[&key::Subprotocol, &key::Bearer, &key::ApiKeyHeader],
            Self::Off => &[&local::LocalSocket],
        }
    }
}
