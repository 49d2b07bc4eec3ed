//! Networks, and the address of a client behind proxies that are trusted.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;

/// A network, as `10.0.0.0/8` or `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text does not describe a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNetwork;

impl std::str::FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| NoNetwork)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most { Err(NoNetwork) } else { Ok(Self { address, prefix }) }
    }
}

impl Network {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let bits = u32::from(32 - self.prefix.min(32));
                let top = |address: u32| address.checked_shr(bits).unwrap_or(0);
                top(own.to_bits()) == top(other.to_bits())
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let bits = u32::from(128 - self.prefix.min(128));
                let top = |address: u128| address.checked_shr(bits).unwrap_or(0);
                top(own.to_bits()) == top(other.to_bits())
            }
            _ => false,
        }
    }
}

const FORWARDED: &str = "x-forwarded-for";

/// The address of the client: the peer, or if that is a trusted proxy, the last address in
/// `X-Forwarded-For` that is not one. What is before that the client can have written itself.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    let hops = lines.iter().rev().filter_map(|line| line.to_str().ok());
    for hop in hops.flat_map(|line| line.rsplit(',')) {
        if !is_trusted(client) {
            return client;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else { return client };
        client = address.to_canonical();
    }
    client
}

/// Whom an address belongs to: one machine, or the network that one customer gets in IPv6.
pub(super) fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_its_addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(network("10.0.0.0/8").contains(ip("10.255.1.2")));
        assert!(network("10.0.0.0/8").contains(ip("::ffff:10.1.1.1")));
        assert!(!network("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(network("0.0.0.0/0").contains(ip("203.0.113.9")));
        assert!(!network("0.0.0.0/0").contains(ip("2001:db8::1")));
        assert!(network("2001:db8::/32").contains(ip("2001:db8:ffff::1")));
        assert!(!network("2001:db8::/32").contains(ip("2001:db9::1")));
        assert!(network("127.0.0.1").contains(ip("127.0.0.1")));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "host", "::/129", "10.0.0.0/"] {
            assert_eq!(bad.parse::<Network>(), Err(NoNetwork), "{bad}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_whom_it_speaks_for() {
        let trusted = [network("10.0.0.0/8")];
        let of = |peer: &str, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED, http::HeaderValue::from_static(line));
            }
            client(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(of("203.0.113.1", &["198.51.100.7"]), "203.0.113.1");
        assert_eq!(of("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["1.1.1.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["10.0.0.9"]), "10.0.0.9");
    }
}
