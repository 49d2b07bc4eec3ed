//! Policy engines: Rego evaluated by an embedded interpreter, or by an OPA that is asked over HTTP.
//!
//! Before a policy may decide, a process of its own survives it ([`Vetter`]); then it is built and
//! swapped in ([`EmbeddedEngine`]). Whatever goes wrong on the way keeps the policy that was in
//! force, and whatever goes wrong in a decision is a deny.

mod asked;
mod asker;
mod candidate;
mod config;
mod embedded;
mod error;
mod evaluation;
mod ground;
mod grounds;
mod input;
mod load;
mod lock;
mod memo;
mod opa;
mod pool;
mod reaper;
mod shadow;
mod shipped;
mod vetter;

pub use crate::config::EmbeddedConfig;
pub use crate::embedded::EmbeddedEngine;
pub use crate::error::LoadError;
pub use crate::opa::{OpaConfig, OpaCounts, OpaEngine, OpaError, input_document, is_loopback};
pub use crate::pool::PoolCounts;
pub use crate::shadow::ShadowEngine;
pub use crate::shipped::shipped;
#[doc(hidden)]
pub use crate::vetter::run_stream;
pub use crate::vetter::{Vetter, run_child};
