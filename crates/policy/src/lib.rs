//! Policy: Rego, evaluated by an embedded interpreter, or by an OPA that is asked over HTTP.
//!
//! A policy is a directory ([`PolicySource`]). Before it may decide, a process of its own survives
//! it ([`Vetter`]); then it is built and swapped in ([`EmbeddedEngine`]). Whatever goes wrong on
//! the way keeps the policy that was in force, and whatever goes wrong in a decision is a deny.

mod ast;
mod build;
mod builtins;
mod depend;
mod document;
mod embedded;
mod error;
mod eval;
mod graph;
mod input;
mod load;
mod memo;
mod opa;
mod shadow;
mod shipped;
mod source;
mod test_runner;
mod vet;

pub use crate::embedded::{EmbeddedConfig, EmbeddedEngine};
pub use crate::error::LoadError;
pub use crate::eval::{Evaluation, Evaluator, eval};
pub use crate::opa::{OpaConfig, OpaCounts, OpaEngine, OpaError};
pub use crate::shadow::ShadowEngine;
pub use crate::shipped::shipped;
pub use crate::source::{Manifest, PolicySource, SourceLimits};
pub use crate::test_runner::{Outcome, TestResult, run_tests};
pub use crate::vet::{Vetted, Vetter, run_child};
