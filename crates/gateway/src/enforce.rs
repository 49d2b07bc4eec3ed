//! Calls: each is decided by the [`Authority`](crate::authority::Authority), forwarded exactly as
//! it was decided, and its outcome recorded.
//!
//! One call goes through these steps:
//!
//! 1. Its parameters are read strictly (`call_params`), and the name in it leads to an upstream
//!    (`catalog`). What a meta-tool would call is found ([`Settings::meta_tools`]).
//! 2. A repeat of a call that must not act twice waits for the first ([`repeats`](crate::repeats)).
//! 3. It is decided. A deny is a result (see [`denial`]).
//! 4. It is sent with the grant of the decision. A kill withdraws the grant: the client gets its
//!    result at once, and the server a cancellation.
//! 5. What the server asks the client meanwhile is decided, too.
//! 6. The outcome is signed, and the result says by which decision it came about.

mod counts;
mod forward;
mod govern;
mod inquiry;
mod meta_tool;
mod outcome;
mod payload;
mod settings;
mod state;

use crate::catalog::{self, Target};
use crate::client::Client;
use crate::exchange::Exchange;
use sentinel_mcp_protocol::call_params::{
    Completion, PromptGet, Reference, ResourceRead, Subscription, ToolCall,
};
use sentinel_mcp_protocol::jsonrpc::{Object, Request, RpcError};

use govern::{Governed, govern};
use payload::Payload;

pub use inquiry::server_request;
pub use meta_tool::MetaTool;
pub use settings::{Enforcement, Settings, Sign};

#[cfg(doc)]
use crate::denial;

/// Members of `_meta` that are the gateway's own.
pub(crate) const OWN: &str = "sentinel/";
/// The decision that a result came about by.
pub const DECISION: &str = "sentinel/decision";
/// The manifest of the outcome.
pub const MANIFEST: &str = "sentinel/manifest";
/// The first call, of a result that is that of an earlier call.
pub const REPEATS: &str = "sentinel/repeats";
/// Set when the outcome could not be recorded.
pub const UNRECORDED: &str = "sentinel/unrecorded";
/// What the client says the call is for.
pub const PURPOSE: &str = "sentinel/purpose";

/// Serves `tools/call`.
///
/// # Errors
/// When the parameters are malformed, or the server responded with an error.
pub async fn call_tool(
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let call = ToolCall::read(request.params.clone())?;
    let target = catalog::find_tool(client, &call.name).await;
    let governed = Governed::new("tools/call", "call", target, Payload::tool(call)?);
    govern(client, exchange, governed).await
}

/// Serves `resources/read`.
///
/// # Errors
/// When the parameters are malformed, it is denied, or the server responded with an error.
pub async fn read_resource(
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let read = ResourceRead::read(request.params.clone())?;
    let target = catalog::find_resource(client, &read.uri);
    let payload = Payload::resource(ResourceRead { uri: target.name.clone(), ..read })?;
    govern(client, exchange, Governed::new("resources/read", "read", target, payload)).await
}

/// Serves `resources/subscribe`.
///
/// # Errors
/// As [`read_resource`].
pub async fn subscribe(
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let subscription = Subscription::read(request.params.clone())?;
    let target = catalog::find_resource(client, &subscription.uri);
    let payload = Payload::subscription(Subscription { uri: target.name.clone(), ..subscription })?;
    govern(client, exchange, Governed::new("resources/subscribe", "subscribe", target, payload))
        .await
}

/// Serves `prompts/get`.
///
/// # Errors
/// As [`read_resource`].
pub async fn get_prompt(
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let get = PromptGet::read(request.params.clone())?;
    let target = catalog::find_prompt(client, &get.name).await;
    let payload = Payload::prompt(PromptGet { name: target.name.clone(), ..get })?;
    govern(client, exchange, Governed::new("prompts/get", "get", target, payload)).await
}

/// Serves `completion/complete`.
///
/// # Errors
/// As [`read_resource`].
pub async fn complete(
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let completion = Completion::read(request.params.clone())?;
    let (target, reference) = match completion.reference {
        Reference::Prompt { name, title } => {
            let target = catalog::find_prompt(client, &name).await;
            let name = target.name.clone();
            (target, Reference::Prompt { name, title })
        }
        Reference::Resource { uri } => {
            let target = catalog::find_resource(client, &uri);
            let uri = target.name.clone();
            (target, Reference::Resource { uri })
        }
    };
    let registered = target
        .upstream
        .as_ref()
        .map_or_else(|| target.registered.clone(), |upstream| door(upstream.name(), "completion"));
    let target = Target { registered, ..target };
    let payload = Payload::completion(Completion { reference, ..completion })?;
    govern(client, exchange, Governed::new("completion/complete", "complete", target, payload))
        .await
}

/// The name in the registry of a door of an upstream.
fn door(upstream: &str, door: &str) -> String {
    sentinel_core::name::qualified(upstream, door)
        .map_or_else(|_| door.to_owned(), |name| name.to_string())
}
