//! `GET /.well-known/authzen-configuration`: says where the endpoints of AuthZEN are. Public.

use axum::Json;
use http::header::HOST;
use http::{HeaderMap, Uri};
use sentinel_ingress::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

/// Where the endpoints of AuthZEN are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthzenConfiguration)]
pub(crate) struct Configuration {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
}

/// Discover AuthZEN
///
/// Addresses are those of the name by which the server is asked; `https` but on loopback, since no
/// other name is served without TLS in front.
///
/// Public: needs no key.
#[utoipa::path(
    get, path = "/.well-known/authzen-configuration", tag = "authzen", security(()),
    responses((status = 200, description = "the addresses", body = Configuration)),
)]
pub(crate) async fn authzen_configuration(
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Configuration>, Problem> {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let base = host.and_then(base).ok_or_else(|| {
        Problem::bad_request("invalid_host", "the request names no host; send `Host`")
    })?;
    Ok(Json(Configuration {
        access_evaluation_endpoint: format!("{base}/access/v1/evaluation"),
        access_evaluations_endpoint: format!("{base}/access/v1/evaluations"),
        policy_decision_point: base,
    }))
}

fn base(host: &str) -> Option<String> {
    let url = url::Url::parse(&format!("https://{host}")).ok()?;
    let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    let loopback = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    let scheme = if loopback { "http" } else { "https" };
    let plain = bare && url.query().is_none() && url.fragment().is_none();
    plain.then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_of_the_host() {
        assert_eq!(base("127.0.0.1:8000").unwrap(), "http://127.0.0.1:8000");
        assert_eq!(base("localhost").unwrap(), "http://localhost");
        assert_eq!(base("[::1]:80").unwrap(), "http://[::1]:80");
        assert_eq!(base("sentinel.example.com").unwrap(), "https://sentinel.example.com");
        for bad in ["", "a/b", "u@a", "a?b", "a#b", "a b"] {
            assert_eq!(base(bad), None, "{bad}");
        }
    }
}
