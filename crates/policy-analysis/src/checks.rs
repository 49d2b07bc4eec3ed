//! What vetting refuses because it could take the process down: recursion, depth, and functions
//! without a bound.

pub(crate) mod bounds;
pub(crate) mod builtins;
pub(crate) mod graph;
