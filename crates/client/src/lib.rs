//! A client of Sentinel's HTTP interface, for Rust agents and for tools.
//!
//! It fails closed: [`Client::check`] returns an allow only for a complete and consistent answer of
//! a server that decided so. Whatever else happens (no connection, no answer in time, an answer
//! that cannot be read) is an [`Error`], and an error is not an allow.
//!
//! ```no_run
//! use sentinel_client::{Client, api::CheckRequest};
//!
//! # async fn agent() -> Result<(), Box<dyn std::error::Error>> {
//! let sentinel = Client::from_environment()?; // SENTINEL_URL and SENTINEL_API_KEY
//! let mut call = CheckRequest::new("platform-eng".parse()?, "search".parse()?, "invoke".parse()?);
//! call.purpose = Some("documentation_lookup".parse()?);
//! let answer = sentinel.check(&call).await?;
//! if answer.allow {
//!     println!("go on: decision {}", answer.decision_id);
//! } else {
//!     println!("denied, {}: {}", answer.code, answer.reason);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An [`ApiKey`] is sent only to the origin that it was given for; redirects are not followed.
//! Every call has one deadline from the connection to the last byte, 30 seconds unless
//! [`Builder::timeout`] says otherwise, and sends exactly one request: there are no hidden retries.
//! [`Client::events`] is the stream of events, with which an agent hears of a kill while its call
//! is under way; [`Events::next_resumed`] connects again where the stream broke off.
//!
//! Unknown fields of an answer are ignored, so a client can talk to a newer server.

mod calls;
mod client;
mod error;
mod events;
mod key;
mod pages;
mod sse;

pub use sentinel_api as api;

pub use calls::{DecisionFilter, Precondition, Readiness};
pub use client::{Builder, Client, Query};
pub use error::{Error, Problem};
pub use events::{Events, StreamEvent, Streamed};
pub use key::{ApiKey, DEFAULT_URL, InvalidHome, is_loopback, origin, same_origin};
pub use pages::Pages;
