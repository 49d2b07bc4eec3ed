//! Which addresses are dialled for a user who names them.
//!
//! A request to an address that a user registered is aimed by that user. The check is made on the
//! address that is dialled, not on an earlier result of the resolver.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use url::{Host, Url};

/// Which networks may be dialled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Networks {
    /// Public addresses only.
    #[default]
    Public,
    /// Private, loopback and link-local addresses too, but never a cloud's metadata address.
    PublicAndPrivate,
}

impl Networks {
    /// Whether `address` may be dialled.
    #[must_use]
    pub fn allow(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if is_metadata(address) || address.is_unspecified() || address.is_multicast() {
            return false;
        }
        self == Self::PublicAndPrivate || is_public(address)
    }

    /// Whether the address literal in `url`, if it is one, may be dialled: literals never reach the
    /// resolver, so this is checked before each request.
    #[must_use]
    pub fn allow_literal(self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(v4)) => self.allow(v4.into()),
            Some(Host::Ipv6(v6)) => self.allow(v6.into()),
            Some(Host::Domain(_)) => matches!(url.scheme(), "http" | "https"),
            None => false,
        }
    }
}

/// Addresses at which clouds hand out credentials.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(
            v4.octets(),
            [169, 254, 169, 254] | [169, 254, 170, 2] | [100, 100, 100, 200] | [192, 0, 0, 192]
        ),
        IpAddr::V6(v6) => v6.segments() == [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254],
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            // Only global unicast, and of that no range that embeds an IPv4 address (6to4,
            // Teredo) or is for documentation.
            let [first, second, ..] = v6.segments();
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0x0db8))
        }
    }
}

/// Resolves names to allowed addresses only. The connection is made to what this returns, so a
/// name that resolves differently the next time gains nothing.
#[derive(Debug)]
struct GuardedResolver(Networks);

#[derive(Debug, thiserror::Error)]
#[error("the address is in a network that is not allowed")]
pub struct Refused;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|to| networks.allow(to.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// An HTTP client that dials `networks` only, goes through no proxy, and follows no redirects. Check
/// each address with [`Networks::allow_literal`] before it is requested.
pub fn client(networks: Networks) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .dns_resolver(Arc::new(GuardedResolver(networks)))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
}

/// Whether a request failed because its address is in a network that is not allowed.
#[must_use]
pub fn was_refused(error: &reqwest::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<Refused>().is_some() {
            return true;
        }
        source = cause.source();
    }
    false
}
