//! The names by which this server may be addressed.

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName};

/// Host names, each with a port or for every port.
#[derive(Debug)]
pub(crate) struct HostGuard(Vec<(String, Option<u16>)>);

impl HostGuard {
    /// Entries that are not host names match nothing.
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().filter_map(|entry| split(entry)).collect())
    }

    /// Whether the request is addressed to an allowed name, and comes from a page of one if it
    /// comes from a page at all.
    pub(crate) fn admits(&self, parts: &Parts) -> bool {
        // HTTP/2 has the name in the URI and may leave `Host` out.
        let named = match (only(&parts.headers, HOST), parts.uri.authority()) {
            (Ok(Some(host)), None) => self.allows(host),
            (Ok(Some(host)), Some(authority)) => {
                self.allows(host) && self.allows(authority.as_str())
            }
            (Ok(None), Some(authority)) => self.allows(authority.as_str()),
            _ => false,
        };
        let from = match only(&parts.headers, ORIGIN) {
            Ok(None) => true,
            Ok(Some(origin)) => {
                authority_of(origin).is_some_and(|authority| self.allows(authority))
            }
            Err(()) => false,
        };
        named && from
    }

    fn allows(&self, authority: &str) -> bool {
        self.0.iter().any(|(host, port)| is_addressed(authority, host, *port))
    }
}

/// Whether the request comes from no page, or from a page of the server that it is addressed to.
pub(crate) fn is_same_origin(parts: &Parts) -> bool {
    match (only(&parts.headers, ORIGIN), only(&parts.headers, HOST)) {
        (Ok(None), _) => true,
        (Ok(Some(origin)), Ok(Some(host))) => {
            authority_of(origin).is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        }
        _ => false,
    }
}

fn authority_of(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

/// The value of a header that may come once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        _ => Err(()),
    }
}

/// Whether `authority` is `host`, in any letter case and perhaps with the dot of a full name, at
/// `port` or with any port. Nothing is copied, since every request passes here.
fn is_addressed(authority: &str, host: &str, port: Option<u16>) -> bool {
    let Some((name, rest)) = authority.split_at_checked(host.len()) else { return false };
    let rest = rest.trim_start_matches('.');
    let asked = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok(),
        _ => return false,
    };
    let has_port = asked.is_some() || rest.is_empty();
    has_port && name.eq_ignore_ascii_case(host) && (port.is_none() || port == asked)
}

fn split(authority: &str) -> Option<(String, Option<u16>)> {
    let parsed: Authority = authority.parse().ok()?;
    // A `Host` has no user information, and its port is a number.
    if authority.contains('@') || (parsed.port().is_some() && parsed.port_u16().is_none()) {
        return None;
    }
    let host = parsed.host().trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then(|| (host, parsed.port_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn admits(headers: &[(&str, &str)]) -> bool {
        let guard = HostGuard::new(&[
            "localhost".to_owned(),
            "127.0.0.1:8000".to_owned(),
            "[::1]".to_owned(),
        ]);
        let mut request = Request::builder().uri("/kill");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.admits(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn allowed_names_are_admitted() {
        assert!(admits(&[("host", "localhost")]));
        assert!(admits(&[("host", "LOCALHOST:1234")]));
        assert!(admits(&[("host", "localhost.")]));
        assert!(admits(&[("host", "127.0.0.1:8000")]));
        assert!(admits(&[("host", "[::1]:8000")]));
        assert!(admits(&[("host", "localhost"), ("origin", "http://127.0.0.1:8000")]));
    }

    #[test]
    fn other_names_are_not() {
        assert!(!admits(&[]));
        assert!(!admits(&[("host", "")]));
        assert!(!admits(&[("host", "attacker.example")]));
        assert!(!admits(&[("host", "localhost.attacker.example")]));
        assert!(!admits(&[("host", "attacker.example@localhost")]));
        assert!(!admits(&[("host", "127.0.0.1")]));
        assert!(!admits(&[("host", "127.0.0.1:8001")]));
        assert!(!admits(&[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn pages_of_other_origins_are_not() {
        for origin in ["http://attacker.example", "null", "file://", "http://localhost@evil", ""] {
            assert!(!admits(&[("host", "localhost"), ("origin", origin)]), "{origin}");
        }
    }
}
