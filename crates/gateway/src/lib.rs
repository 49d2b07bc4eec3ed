//! The MCP gateway: agents reach tools only through it, and every call is decided first.
//!
//! One call passes through these modules:
//!
//! 1. A *front* reads it: [`front::http`] for `/mcp/{tenant}`, `front::stdio` for `sentinel mcp wrap`.
//!    It knows the client's era, its session and its streams, and nothing of policy.
//! 2. [`mediator`] looks the method up in the table of [`method`](sentinel_mcp_protocol::method) and hands it to what governs it:
//!    lists to [`catalog`], calls to [`enforce`]. A method that is not in the table is refused.
//! 3. [`enforce`] asks the [`authority`], takes the grant of an allow, forwards the call to its
//!    [`upstream`], and has the outcome recorded.
//! 4. [`upstream`] speaks to the server in the server's own era.
//!
//! Fronts and upstreams do not know each other's era: between them a message is a
//! [`Request`](sentinel_mcp_protocol::jsonrpc::Request) with the parameters of the modern revision.

pub mod authority;
pub mod catalog;
pub mod client;
pub mod denial;
pub mod enforce;
pub mod exchange;
pub mod front;
pub mod gateway;
pub mod mediator;
pub mod repeats;
pub mod server;
pub mod upstream;
