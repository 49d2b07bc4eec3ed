//! The front door: what every way in shares, whatever protocol it speaks.
//!
//! A [`FrontDoor`] holds the use cases and the limits. A request passes the [`edge`], which gives
//! it an identifier and counts it; a [scheme](auth) authenticates its caller; the [`body`] is read
//! within bounds; [`ask`](ask::ask) has a call decided. An error is a
//! [`Problem`](problem::Problem).

pub mod ask;
pub mod auth;
pub mod body;
mod deadline;
pub mod edge;
mod front_door;
mod host;
pub mod limits;
pub mod path;
pub mod problem;
pub mod query;
mod readiness;
pub mod received;
mod traffic;

pub use auth::AuthMode;
pub use front_door::{BehindFrontDoor, FrontDoor, Options};
pub use limits::{Connection, Limits, Network, NoNetwork};
pub use traffic::{RouteCounters, Routes, Traffic};
