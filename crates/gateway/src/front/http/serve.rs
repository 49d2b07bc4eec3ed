//! One request on its way through the gateway, in a task of its own.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::endpoint::Endpoint;
use crate::client::Client;
use crate::exchange::Exchange;
use crate::mediator;
use sentinel_mcp_protocol::jsonrpc::{Object, Request, RpcError};

/// Time that a request gets to end in good order once it has been cancelled because the server
/// stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Has the request served. When the server stops, it is cancelled in time for its client to be
/// told: a stream that just ends makes clients send the call again.
pub(super) async fn serve(
    endpoint: &Endpoint,
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
    cancel: &CancellationToken,
) -> Result<Object, RpcError> {
    let serving = mediator::serve(client, request, exchange);
    tokio::pin!(serving);
    tokio::select! {
        biased;
        outcome = &mut serving => outcome,
        () = endpoint.closing.cancelled() => {
            cancel.cancel();
            match tokio::time::timeout(FAREWELL, serving).await {
                Ok(Ok(result)) => Ok(result),
                Ok(Err(_)) | Err(_) => stopping(&request.method),
            }
        }
    }
}

/// What the client of a request is told that the end of the server cuts off. It must not take it
/// for one that had no effect.
fn stopping(method: &str) -> Result<Object, RpcError> {
    let text = "Outcome unknown: the gateway is stopping. The call may have been carried out; do \
                not repeat it before you have checked. code: gateway_stopping";
    if method != "tools/call" {
        return Err(RpcError::internal("the gateway is stopping"));
    }
    let result = json!({
        "content": [{ "type": "text", "text": text }],
        "isError": true,
        "resultType": "complete",
    });
    match result {
        serde_json::Value::Object(result) => Ok(result),
        _ => Err(RpcError::internal(text)),
    }
}
