//! The headers of a modern request, which repeat parts of its body.
//!
//! A proxy on the way may have routed or counted by the headers, so a request whose headers say
//! something else than its body is refused. The gateway itself decides on the body alone, and
//! writes the headers for the server again from the body that it forwards.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::meta::stated_version;
use super::{ClientMeta, Version, encoding, header};
use crate::jsonrpc::{Object, RpcError};

/// Reads what a modern request that came over HTTP says of its sender, and checks its headers.
///
/// A version that differs between header and body is a mismatch even when it is not supported
/// either; a version that is missing in the body makes the body malformed.
///
/// # Errors
/// As [`ClientMeta::take`] and [`check_headers`].
pub fn read_over_http(
    headers: &HeaderMap,
    method: &str,
    params: &mut Object,
) -> Result<ClientMeta, RpcError> {
    if let Some(stated) = stated_version(params) {
        check_version(headers, stated)?;
    }
    let meta = ClientMeta::take(params)?;
    check_headers(headers, meta.version.as_str(), method, params)?;
    Ok(meta)
}

/// Checks `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` against the body of a modern request.
/// `version` is what its `_meta` states, whether or not it is supported.
///
/// # Errors
/// `-32020`, when one is missing, occurs twice, cannot be decoded or differs.
pub fn check_headers(
    headers: &HeaderMap,
    version: &str,
    method: &str,
    params: &Object,
) -> Result<(), RpcError> {
    check_version(headers, version)?;
    expect(single(headers, header::METHOD)?, method, "Mcp-Method")?;
    if let Some(name) = name_of(method, params) {
        let stated = single(headers, header::NAME)?.map(decoded).transpose()?;
        expect(stated.as_deref(), name, "Mcp-Name")?;
    }
    Ok(())
}

fn check_version(headers: &HeaderMap, version: &str) -> Result<(), RpcError> {
    expect(single(headers, header::PROTOCOL_VERSION)?, version, "MCP-Protocol-Version")
}

/// Writes those headers for a request to a modern server.
///
/// # Errors
/// When the method cannot be a header value; [`parse`](crate::jsonrpc::parse) refuses such a
/// method.
pub fn write_headers(
    headers: &mut HeaderMap,
    version: Version,
    method: &str,
    params: &Object,
) -> Result<(), RpcError> {
    put(headers, header::PROTOCOL_VERSION, version.as_str())?;
    put(headers, header::METHOD, method)?;
    match name_of(method, params) {
        Some(name) => put(headers, header::NAME, &encoding::encode(name)),
        None => Ok(()),
    }
}

/// What `Mcp-Name` repeats.
fn name_of<'a>(method: &str, params: &'a Object) -> Option<&'a str> {
    let member = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return None,
    };
    params.get(member)?.as_str()
}

fn expect(stated: Option<&str>, body: &str, name: &str) -> Result<(), RpcError> {
    match stated {
        Some(stated) if stated == body => Ok(()),
        Some(_) => {
            Err(RpcError::header_mismatch(format!("the header {name} contradicts the body")))
        }
        None => Err(RpcError::header_mismatch(format!("the header {name} is missing"))),
    }
}

/// The one value of a header. Two values are refused even if they are equal: readers differ in
/// which one they take.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RpcError::header_mismatch(format!("the header {name} occurs more than once")));
    }
    // Also refuses bytes beyond ASCII, which readers decode differently.
    value.to_str().map(Some).map_err(|_| invalid(name))
}

pub(super) fn decoded(value: &str) -> Result<std::borrow::Cow<'_, str>, RpcError> {
    encoding::decode(value)
        .ok_or_else(|| RpcError::header_mismatch("a header has a broken base64 value"))
}

pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), RpcError> {
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid(name))?;
    let value = HeaderValue::from_str(value).map_err(|_| invalid(name))?;
    headers.insert(header, value);
    Ok(())
}

fn invalid(name: &str) -> RpcError {
    let name = crate::jsonrpc::excerpt(name);
    RpcError::header_mismatch(format!("the header {name} contains invalid characters"))
}
