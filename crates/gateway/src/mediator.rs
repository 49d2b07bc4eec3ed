//! From a method to what governs it: the one place through which every request of every front
//! passes.

use crate::client::Client;
use crate::exchange::Exchange;
use crate::jsonrpc::{Object, Request, RpcError};

/// Serves one request of `client`.
///
/// # Errors
/// When the request is malformed, its method is not governed, or the server answered with an error.
/// A denial is a result.
pub async fn serve(
    _client: &Client,
    request: &Request,
    _exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let message = format!("the gateway does not serve `{}`", request.method);
    Err(RpcError { code: -32601, message, data: None })
}
