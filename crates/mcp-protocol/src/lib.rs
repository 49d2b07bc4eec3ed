//! The messages of the Model Context Protocol, read and written strictly: what the gateway knows of
//! the wire, without any I/O and without a decision.
//!
//! - [`jsonrpc`]: the envelope. What is not exactly one request, notification or response is refused.
//! - [`framing`]: one message to a line on stdio, one to an event on a stream of HTTP.
//! - [`era`]: the two eras of the protocol, their headers and their `_meta`.
//! - [`method`]: every method of every revision, and what governs it.
//! - [`call_params`]: the parameters of the methods that are decided.

pub mod call_params;
pub mod era;
pub mod framing;
pub mod jsonrpc;
pub mod method;
