//! The interpreter of Rego, set up so that it evaluates what OPA evaluates.
//!
//! [`build`] is the only way to an interpreter with a policy: it bounds the builtins, replaces
//! those that OPA evaluates otherwise, and parses each file in the version that is stated for it. A
//! policy that has not been vetted is never built outside the vetting process.

mod build;
mod builtin;
mod document;
mod error;
mod guard;
mod nesting;
mod owned;
#[cfg(feature = "planted-faults")]
mod planted;
mod replaced;
mod rules;
mod stack;
mod unknown_syntax;
mod value;
mod version;

pub use self::build::{Built, Include, build, prepare};
pub(crate) use self::builtin::is_builtin;
pub use self::document::decision;
pub use self::error::InterpreterError;
pub use self::owned::Owned;
pub use self::rules::{RuleValues, Shape};
pub(crate) use self::stack::MAX_LEVELS;
pub use self::stack::{NEED, STACK, guarded};
pub use self::value::{json_value, map_value};
