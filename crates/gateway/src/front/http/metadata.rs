//! The metadata of the protected resource (RFC 9728), which a client reads when it has no valid
//! key. It names no authorization server: keys are issued by the operators of the control plane.

use axum::Json;
use axum::extract::{RawPathParams, State};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use serde_json::{Value, json};

use super::endpoint::{Endpoint, Shared};

const PREFIX: &str = "/.well-known/oauth-protected-resource";

/// Where the metadata of the endpoint is that the request is for.
pub(super) fn url_of(endpoint: &Endpoint, parts: &Parts) -> Option<String> {
    let path = parts.uri.path();
    // The path goes into a header, in quotes.
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    let base = base(endpoint, parts.headers.get(HOST)?.to_str().ok()?)?;
    plain.then(|| format!("{base}{PREFIX}{path}"))
}

/// Where clients reach this server. The edge has checked `host`.
fn base(endpoint: &Endpoint, host: &str) -> Option<String> {
    if let Some(url) = &endpoint.settings.public_url {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let authority: Authority = host.parse().ok()?;
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<std::net::IpAddr>();
    let loopback = name == "localhost" || address.is_ok_and(|address| address.is_loopback());
    // Beyond loopback a proxy terminates TLS, or the server refuses to start.
    let scheme = if loopback { "http" } else { "https" };
    Some(format!("{scheme}://{authority}"))
}

pub(super) async fn of_all(
    State(endpoint): State<Shared>,
    params: RawPathParams,
    headers: http::HeaderMap,
) -> Json<Value> {
    document(&endpoint, &params, &headers)
}

pub(super) async fn of_one(
    State(endpoint): State<Shared>,
    params: RawPathParams,
    headers: http::HeaderMap,
) -> Json<Value> {
    document(&endpoint, &params, &headers)
}

/// The same for every tenant, whether it exists or not.
fn document(endpoint: &Endpoint, params: &RawPathParams, headers: &http::HeaderMap) -> Json<Value> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut resource = base(endpoint, host).unwrap_or_default();
    resource.push_str("/mcp");
    for (_, value) in params {
        let encoded = url::form_urlencoded::byte_serialize(value.as_bytes());
        resource.push('/');
        resource.extend(encoded);
    }
    Json(json!({
        "resource": resource,
        "resource_name": "Sentinel MCP gateway",
        "bearer_methods_supported": ["header"],
    }))
}
