//! A tower layer for the server of a tool: it lets a call through only with a valid, unused permit
//! for that tool and those arguments, so that the tool cannot be called except through Sentinel.
//!
//! ```no_run
//! use axum::{Router, routing::post};
//! use sentinel_client::Client;
//! use sentinel_tower::{Calls, RequirePermit};
//!
//! # async fn search() {}
//! # fn server() -> Result<Router, Box<dyn std::error::Error>> {
//! let sentinel = Client::from_environment()?; // SENTINEL_URL and SENTINEL_API_KEY
//! let calls = Calls::Tool("search".parse()?);
//! let guard = RequirePermit::new(sentinel, "platform-eng".parse()?, calls);
//! let app = Router::new().route("/search", post(search)).layer(guard);
//! # Ok(app)
//! # }
//! ```
//!
//! The caller sends the permit of its check in the header `Sentinel-Permit`. The layer redeems it at
//! the control plane, which refuses it when it was used before, has expired, is for another call, or
//! when the call would be denied by now. Whatever goes wrong on the way, the call does not get
//! through. A refusal because of the permit is reported to the control plane, where
//! `sentinel tools uncovered` shows it.

mod call;
mod guard;
mod refusal;
mod tools;

pub use call::Calls;
pub use guard::{Guarded, PERMIT, RequirePermit};
