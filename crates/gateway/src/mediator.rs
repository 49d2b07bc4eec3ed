//! From a method to what governs it: the one place through which every request of every front
//! passes.

mod calls;
mod greeting;
mod input;

use crate::catalog::{self, Kind};
use crate::client::Client;
use crate::exchange::Exchange;
use sentinel_mcp_protocol::jsonrpc::{Object, Request, RpcError};
use sentinel_mcp_protocol::method::{Governance, Lifecycle, List, Sender, governance};

/// Serves one request of `client`.
///
/// # Errors
/// When the request is malformed, its method is not governed, or the server answered with an error.
/// A denial is a result.
pub async fn serve(
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    match governance(Sender::Client, &request.method)? {
        Governance::Lifecycle(lifecycle) => lifecycle_of(client, request, lifecycle).await,
        Governance::List(list) => catalog::list(client, kind(list), &request.params).await,
        Governance::Call(call) => calls::serve(client, request, call, exchange).await,
        Governance::Ask(_) | Governance::Notice(_) | Governance::Refused(_) => {
            Err(RpcError::method_not_found(&request.method, "clients do not send it"))
        }
    }
}

async fn lifecycle_of(
    client: &Client,
    request: &Request,
    lifecycle: Lifecycle,
) -> Result<Object, RpcError> {
    match lifecycle {
        Lifecycle::Initialize | Lifecycle::Discover => Ok(greeting::greet(client).await),
        Lifecycle::Ping => Ok(Object::new()),
        Lifecycle::SetLevel => calls::set_level(client, request).await,
        // It opens a stream, which only a front has.
        Lifecycle::Listen => {
            Err(RpcError::method_not_found(&request.method, "this way in has no streams"))
        }
    }
}

const fn kind(list: List) -> Kind {
    match list {
        List::Tools => Kind::Tools,
        List::Prompts => Kind::Prompts,
        List::Resources => Kind::Resources,
        List::Templates => Kind::Templates,
    }
}
