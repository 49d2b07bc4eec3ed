//! Policy: Rego, evaluated by an embedded interpreter, or by an OPA that is asked over HTTP.
//!
//! A policy is a directory ([`PolicySource`]). Before it may decide, a process of its own survives
//! it ([`Vetter`]); then it is built and swapped in ([`EmbeddedEngine`]). Whatever goes wrong on
//! the way keeps the policy that was in force, and whatever goes wrong in a decision is a deny.

mod ast;
mod build;
mod builtins;
mod candidate;
mod depend;
mod document;
mod embedded;
mod error;
mod eval;
mod explain;
mod finding;
mod graph;
mod ground;
mod input;
mod lint;
mod load;
mod memo;
mod opa;
mod owned;
mod replay;
mod shadow;
mod shipped;
mod source;
mod syntax;
mod test_runner;
mod vet;

pub use crate::embedded::{EmbeddedConfig, EmbeddedEngine};
pub use crate::error::LoadError;
pub use crate::eval::{Evaluation, Evaluator, eval};
pub use crate::explain::{
    ExplainedBody, ExplainedCondition, ExplainedRule, Explanation, Seen, explain,
};
pub use crate::finding::{Finding, Lint, Place, Severity};
pub use crate::opa::{OpaConfig, OpaCounts, OpaEngine, OpaError};
pub use crate::replay::{Replayed, Replayer};
pub use crate::shadow::ShadowEngine;
pub use crate::shipped::shipped;
pub use crate::source::{Manifest, PolicySource, SourceLimits};
pub use crate::test_runner::{
    CoveredFile, Outcome, TestReport, TestResult, run_selected, run_tests,
};
pub use crate::vet::{Vetted, Vetter, run_child};
