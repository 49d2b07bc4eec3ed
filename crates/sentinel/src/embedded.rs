//! The control plane of one user that `sentinel mcp wrap --embedded` starts: the first wrap starts
//! it, all share it, and it ends when the last has gone.
//!
//! Three locks, which the system releases when a process ends in whatever way:
//! - `control-plane.lock` is held by the control plane. What it wrote about itself counts only
//!   while the lock is held.
//! - `start.lock` is held by the wrap that starts one, so that there is one start at a time.
//! - `wraps.lock` is shared by all wraps. A control plane that ends takes it alone first: a wrap
//!   that begins then waits, and starts a new one.

pub(crate) mod lease;
pub(crate) mod place;
pub(crate) mod start;
pub(crate) mod starter;

/// The tenant of everything in it.
pub(crate) const TENANT: &str = "local";
