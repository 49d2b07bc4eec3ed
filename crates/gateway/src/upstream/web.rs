//! Servers that are reached over HTTP.
//!
//! Requests go to the configured address only: names are resolved to allowed addresses when they are
//! dialled, redirects are not followed, and the credentials are those of the configuration, never
//! the client's.

mod body;
pub(super) mod client;
mod line;
mod listener;
mod response;
pub(super) mod sse;
mod stream;
pub(super) mod streamable;
pub(super) mod tools;
