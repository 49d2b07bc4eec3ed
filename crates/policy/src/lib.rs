//! Policy: Rego, evaluated by an embedded interpreter, or by an OPA that is asked over HTTP.
//!
//! A policy is a directory ([`PolicySource`]). Before it may decide, a process of its own survives
//! it ([`Vetter`]); then it is built and swapped in ([`EmbeddedEngine`]). Whatever goes wrong on
//! the way keeps the policy that was in force, and whatever goes wrong in a decision is a deny.

mod asker;
mod ast;
mod bench;
mod bounds;
mod build;
mod builtins;
pub mod bundle;
mod candidate;
mod depend;
mod document;
mod embedded;
mod error;
mod eval;
mod evaluation;
mod explain;
mod finding;
mod graph;
mod ground;
mod grounds;
mod input;
mod input_document;
mod lint;
mod load;
mod loops;
mod memo;
mod names;
mod nesting;
mod opa;
mod owned;
#[cfg(feature = "planted-faults")]
mod planted;
#[cfg(test)]
mod planted_panic;
mod pool;
mod replaced;
mod replay;
mod sample;
mod shadow;
mod shipped;
mod source;
mod stack;
pub mod supply;
mod syntax;
mod test_cases;
mod test_rules;
mod test_runner;
mod version;
mod vet;
mod weigh;

pub use crate::bench::{BenchReport, RuleTimes, Scan, bench};
pub use crate::embedded::{EmbeddedConfig, EmbeddedEngine};
pub use crate::error::LoadError;
pub use crate::eval::{Evaluation, Evaluator, eval};
pub use crate::explain::{
    ExplainedBody, ExplainedCondition, ExplainedRule, Explanation, Seen, explain,
};
pub use crate::finding::{Finding, Lint, Place, Severity};
pub use crate::input_document::{InputDocument, PrincipalDocument, ToolDocument, input_schema};
pub use crate::opa::{OpaConfig, OpaCounts, OpaEngine, OpaError, input_document};
pub use crate::pool::PoolCounts;
pub use crate::replay::{Replayed, Replayer, recorded_input};
pub use crate::sample::sample_inputs;
pub use crate::shadow::ShadowEngine;
pub use crate::shipped::shipped;
pub use crate::source::{Manifest, PolicySource, SourceLimits};
pub use crate::stack::{NEED, STACK};
pub use crate::test_cases::CaseResult;
pub use crate::test_runner::{
    CoveredFile, Outcome, TestReport, TestResult, run_selected, run_tests,
};
#[doc(hidden)]
pub use crate::vet::run_stream;
pub use crate::vet::{Vetted, Vetter, run_child};
