//! Staged rollout of a policy: a file per endpoint.

mod drop;
mod get;
mod promote;
mod start;

pub(super) use drop::*;
pub(super) use get::*;
pub(super) use promote::*;
pub(super) use start::*;
